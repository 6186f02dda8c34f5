"""What is said of one setting: how two values combine, which is stronger, its bounds and its help."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Pairing(StrEnum):
    """How the sender's and the recipient's value make the one that counts."""

    MODE = "mode"
    BOTH = "both"
    EITHER = "either"
    SMALLER = "smaller"
    UNION = "union"
    RECIPIENT = "recipient"
    SENDER = "sender"


class Strength(StrEnum):
    """Which of two values protects more; decides what may change a locked value and which of two senders wins."""

    HIGHER = "higher"  # yes, a larger number, a later name in the list of values
    LOWER = "lower"  # no
    SUPERSET = "superset"  # all of the other's and more
    FIXED = "fixed"  # no order: a locked value cannot be changed at all


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """One row of the table. `lowest` and `highest` bound a number."""

    name: str
    type: type
    default: Any
    pairing: Pairing
    strength: Strength
    help: str
    unit: str = ""
    lowest: int = 0
    highest: int = 0


def row(
    pairing: Pairing,
    strength: Strength,
    help_text: str,
    *,
    default: Any,
    unit: str = "",
    lowest: int = 0,
    highest: int = 0,
) -> Any:
    """A field of the table, with what SettingInfo says of it."""
    told = {"pairing": pairing, "strength": strength, "help": help_text}
    return field(default=default, metadata={**told, "unit": unit, "lowest": lowest, "highest": highest})
