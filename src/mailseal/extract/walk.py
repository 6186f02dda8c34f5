"""Where a reader is in a mail, and what it has said so far: passages, gaps, the budget that all share."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mailseal.extract.budget import Budget, OverBudgetError
from mailseal.mail.content_type import parameter, parse_content_type
from mailseal.policy.inspection import Gap, GapReason, GapStatus, Inspection, Passage

MAX_NAME = 200
MAX_GAPS = 1000

Handler = Callable[[bytes, "Walk"], None]
"""Reads octets: says what they say, and what is not read. Raises OverBudgetError; anything when they are broken."""


@dataclass(slots=True)
class Told:
    """What was read and what was not, in the order in which it stands."""

    passages: list[Passage] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    kinds: Counter[tuple[GapStatus, GapReason]] = field(default_factory=Counter)


@dataclass(slots=True)
class Walk:
    """A place in a mail. `place` is for people; `handler` reads what is found inside.

    `name`, `media_type` (lower case), `charset` and `delsp` (RFC 3676 §4.3) are what others say of what stands here,
    "" for nothing: hints.
    """

    budget: Budget
    handler: Handler
    place: str = ""
    depth: int = 0
    name: str = ""
    media_type: str = ""
    charset: str = ""
    delsp: bool = False
    told: Told = field(default_factory=Told)

    def say(self, text: str, what: str = "") -> None:
        """Text that stands here, or in a part of it that is named. What is over the budget raises OverBudgetError."""
        if text.strip():
            text = well_formed(text)
            left = self.budget.characters
            self.told.passages.append(Passage(self._at(what), text if len(text) <= left else text[: max(left, 0)]))
            self.budget.say(len(text))

    def gap(self, status: GapStatus, reason: GapReason, detail: str = "", what: str = "") -> None:
        """Something here was not read. What is more than so many gaps of one kind is not told again: many harmless
        ones do not keep another one back.
        """
        gap = Gap(self._at(what), status, reason, detail)
        if self.told.kinds[status, reason] < MAX_GAPS and gap not in self.told.gaps[-1:]:
            self.told.kinds[status, reason] += 1
            self.told.gaps.append(gap)

    def descend(self, octets: bytes, name: str = "", content_type: str = "", place: str = "") -> None:
        """Read a file that is in here, its name too; `content_type` as in a field of that name, "" for none.

        `place` is what people are shown in place of a name. What is over the budget becomes a gap of its place.
        """
        inner = self.into(name, content_type, place)
        try:
            inner.budget.open(inner.depth)
            inner.say(name, "name")
            inner.handler(octets, inner)
        except OverBudgetError as error:
            inner.gap(GapStatus.PARTIAL, error.reason, str(error))

    def into(self, name: str, content_type: str = "", place: str = "") -> "Walk":
        """The place of something inside, one level deeper."""
        place = place or shown(name)
        place = f"{self.place} > {place}" if self.place else place
        inner = Walk(self.budget, self.handler, place, self.depth + 1, name, told=self.told)
        inner.hint(content_type)
        return inner

    def hint(self, content_type: str) -> None:
        """What a field of that name says of what stands here, "" for nothing."""
        read = parse_content_type(content_type)
        self.media_type = read.type if content_type else ""
        self.charset = read.parameters.get("charset", "")
        self.delsp = read.parameters.get("delsp", "").lower() == "yes"

    @property
    def content_type(self) -> str:
        """The same, for who reads it elsewhere."""
        charset = f"; {parameter('charset', self.charset)}" if self.charset else ""
        return f"{self.media_type}{charset}{'; delsp=yes' if self.delsp else ''}" if self.media_type else ""

    def adopt(self, found: Inspection, root: str) -> None:
        """What was read elsewhere of what stands here; its places start with `root`. Raises OverBudgetError."""
        for gap in found.gaps:
            self.told.gaps.append(replace(gap, place=self.place + gap.place.removeprefix(root)))
        for passage in found.passages:
            self.budget.say(len(passage.text))
            self.told.passages.append(Passage(self.place + passage.place.removeprefix(root), passage.text))

    def inspection(self) -> Inspection:
        """All that was said."""
        return Inspection(tuple(self.told.passages), tuple(self.told.gaps))

    def _at(self, what: str) -> str:
        return f"{self.place}: {what}" if self.place and what else self.place or what


def well_formed(text: str) -> str:
    """The text with U+FFFD for lone surrogates, which nothing can encode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def shown(name: str) -> str:
    """A file name as people are shown it."""
    return "".join(one if one.isprintable() else "\ufffd" for one in name[:MAX_NAME]) or "attachment"
