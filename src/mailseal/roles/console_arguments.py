"""Arguments of what the console asks the worker, checked again: a web that was taken over could ask anything."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from mailseal.errors import PermanentError
from mailseal.store.console_jobs import Json

Arguments = Mapping[str, Json]
E = TypeVar("E", bound=StrEnum)


class ArgumentError(PermanentError):
    """That is not how the action is asked."""


def text(arguments: Arguments, name: str, default: str | None = None) -> str:
    """A text; raises ArgumentError."""
    found = arguments.get(name, default)
    if not isinstance(found, str) or not _is_storable(found):
        raise ArgumentError(f"{name} is a text")
    return found


def _is_storable(found: str) -> bool:
    """Whether a database takes it: JSON can say lone surrogates, which are no characters."""
    return found.isascii() or found == found.encode("utf-8", "replace").decode()


def flag(arguments: Arguments, name: str) -> bool:
    """True or false, which it is without one; raises ArgumentError."""
    found = arguments.get(name, False)
    if not isinstance(found, bool):
        raise ArgumentError(f"{name} is true or false")
    return found


def number(arguments: Arguments, name: str, default: int, *, most: int) -> int:
    """A number from 1 to `most`; raises ArgumentError."""
    found = arguments.get(name, default)
    if isinstance(found, bool) or not isinstance(found, int) or not 1 <= found <= most:
        raise ArgumentError(f"{name} is a number from 1 to {most}")
    return found


def texts(arguments: Arguments, name: str) -> Sequence[str]:
    """A list of texts, without one an empty one; raises ArgumentError."""
    found = arguments.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, str) and _is_storable(one) for one in found):
        raise ArgumentError(f"{name} is a list of texts")
    return found


def limited_to(arguments: Arguments) -> frozenset[str] | None:
    """`domains`: those that the caller looks after, None for all; raises ArgumentError.

    It has to be said: left out by mistake, it shall not mean all.
    """
    if "domains" not in arguments:
        raise ArgumentError("domains is a list of texts, or null")
    return None if arguments["domains"] is None else frozenset(texts(arguments, "domains"))


def one_of(kind: type[E], arguments: Arguments, name: str, default: E | None = None) -> E:
    """A value of a closed list; raises ArgumentError."""
    found = arguments.get(name, default)
    if found not in list(kind):
        raise ArgumentError(f"{name} is one of {', '.join(kind)}")
    return kind(str(found))


def moment(arguments: Arguments, name: str) -> datetime | None:
    """A time with its zone (ISO 8601), None for null; raises ArgumentError."""
    found = arguments.get(name)
    if found is None:
        return None
    try:
        at = datetime.fromisoformat(text(arguments, name))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ArgumentError(f"{name} is a time with its zone, or null")
    return at
