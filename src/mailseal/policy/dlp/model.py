"""A DLP pattern as an administrator writes it: what to look for, how often, and what follows."""

from dataclasses import dataclass
from enum import StrEnum

from mailseal.policy.model import Action


class Kind(StrEnum):
    """What the text of a pattern is."""

    EXPRESSION = "expression"  # RE2
    KEYWORDS = "keywords"  # a word or phrase a line; `word*` is the beginning of a word


class Mask(StrEnum):
    """What the safe view shows of a match."""

    ALL = "all"  # nothing
    FIRST4 = "first4"
    LAST4 = "last4"


@dataclass(frozen=True, slots=True)
class Pattern:
    """`validator` is a name of `VALIDATORS`, "" for none; `threshold` counts distinct matches that it passes.

    `id` and `revision` say which text it is: a change of any other field raises the revision. `delayed`: it counts
    only for a copy that would leave in clear.
    """

    id: str
    revision: int
    name: str
    kind: Kind
    text: str
    action: Action
    validator: str = ""
    threshold: int = 1
    delayed: bool = False
    mask: Mask = Mask.ALL
    description: str = ""

    @property
    def key(self) -> str:
        """What a waiver names."""
        return f"{self.id}:{self.revision}"
