"""Where a reader is in a mail, and what it has said so far: passages, gaps, the budget that all share."""

from collections.abc import Callable
from dataclasses import dataclass, field

from mailseal.extract.budget import Budget, OverBudgetError
from mailseal.policy.inspection import Gap, GapReason, GapStatus, Inspection, Passage

MAX_NAME = 200
MAX_GAPS = 1000

Descend = Callable[["Walk", bytes, str, str], None]
"""Reads octets of a name ("" for none) and a media type ("" for none) at a place."""


@dataclass(slots=True)
class Told:
    """What was read and what was not, in the order in which it stands."""

    passages: list[Passage] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


@dataclass(slots=True)
class Walk:
    """A place in a mail. `place` is for people; `descend_into` reads what is found inside."""

    budget: Budget
    descend_into: Descend
    place: str = ""
    depth: int = 0
    told: Told = field(default_factory=Told)

    def say(self, text: str, what: str = "") -> None:
        """Text that stands here, or in a part of it that is named; raises OverBudgetError."""
        if text.strip():
            self.budget.say(len(text))
            self.told.passages.append(Passage(self._at(what), text))

    def gap(self, status: GapStatus, reason: GapReason, detail: str = "", what: str = "") -> None:
        """Something here was not read. Of more than so many gaps the last stands for all others."""
        if len(self.told.gaps) < MAX_GAPS:
            self.told.gaps.append(Gap(self._at(what), status, reason, detail))

    def descend(self, octets: bytes, name: str = "", media_type: str = "") -> None:
        """Read a file that is in here, its name too. What is over the budget, or fails, becomes a gap of that place."""
        inner = self.into(name)
        try:
            self.budget.open(inner.depth)
            inner.say(name, "name")
            self.descend_into(inner, octets, name, media_type)
        except OverBudgetError as error:
            inner.gap(GapStatus.PARTIAL, error.reason, str(error))

    def into(self, name: str) -> "Walk":
        """The place of something inside."""
        told = "".join(one if one.isprintable() else "\ufffd" for one in name)[:MAX_NAME] or "attachment"
        place = f"{self.place} > {told}" if self.place else told
        return Walk(self.budget, self.descend_into, place, self.depth + 1, self.told)

    def inspection(self) -> Inspection:
        """All that was said."""
        return Inspection(tuple(self.told.passages), tuple(self.told.gaps))

    def _at(self, what: str) -> str:
        return f"{self.place}: {what}" if self.place and what else self.place or what
