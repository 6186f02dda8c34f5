"""Two parties' settings into one: sender with recipient by each setting's pairing, two senders by strength."""

from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from typing import Any

from mailseal.policy.choices import Mode
from mailseal.policy.setting_info import Pairing, Strength
from mailseal.policy.table import SETTINGS, Settings


@lru_cache(maxsize=4096)
def combine(sender: Settings, recipient: Settings) -> Settings:
    """The settings that count for a mail from one to the other. `mode` comes out as never, allow or mandatory."""
    return Settings(
        **{
            info.name: _PAIRINGS[info.pairing](getattr(sender, info.name), getattr(recipient, info.name))
            for info in SETTINGS
        }
    )


@lru_cache(maxsize=1024)
def stricter(first: Settings, second: Settings) -> Settings:
    """The settings of one sender known under two addresses: of each setting the stronger value.

    Where values have no order, such as triggers, the first counts; `asked` looks at both senders' triggers.
    """
    return Settings(
        **{
            info.name: _stronger(info.strength, getattr(first, info.name), getattr(second, info.name))
            for info in SETTINGS
        }
    )


def weakens(strength: Strength, value: Any, floor: Any) -> bool:
    """Whether a value protects less than `floor`; of values without order, any other does."""
    match strength:
        case Strength.HIGHER:
            return _rank(value) < _rank(floor)
        case Strength.LOWER:
            return _rank(value) > _rank(floor)
        case Strength.SUPERSET:
            return not set(value) >= set(floor)
        case Strength.FIXED:
            return bool(value != floor)


def _stronger(strength: Strength, first: Any, second: Any) -> Any:
    if strength is Strength.SUPERSET:
        return _union(first, second)
    if strength is Strength.FIXED:
        return first
    return second if weakens(strength, first, second) else first


def _rank(value: Any) -> int:
    if isinstance(value, StrEnum):
        return list(type(value)).index(value)
    return int(value)


def _pair_mode(sender: Mode, recipient: Mode) -> Mode:
    pair = (sender, recipient)
    if Mode.MANDATORY in pair:
        return Mode.MANDATORY
    if Mode.FORCE in pair:
        return Mode.ALLOW
    if Mode.NEVER in pair:
        return Mode.NEVER
    return Mode.ALLOW


def _union(sender: tuple[str, ...], recipient: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sender + recipient))


def _either(sender: Any, recipient: Any) -> Any:
    return max(sender, recipient, key=_rank)


_PAIRINGS: dict[Pairing, Callable[[Any, Any], Any]] = {
    Pairing.MODE: _pair_mode,
    Pairing.BOTH: lambda sender, recipient: sender and recipient,
    Pairing.EITHER: _either,
    Pairing.SMALLER: min,
    Pairing.UNION: _union,
    Pairing.RECIPIENT: lambda _, recipient: recipient,
    Pairing.SENDER: lambda sender, _: sender,
}
