"""Who acts, and from where: set once at the edge (command, console, API, job), read where a change is recorded."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum

from mailseal.store.actor import MAILSEAL, Actor


class Way(StrEnum):
    """By what somebody acts."""

    COMMAND = "command"
    CONSOLE = "console"
    API = "api"
    ITSELF = "itself"


@dataclass(frozen=True, slots=True)
class Acting:
    """`place`: the client's IP address, "" for a command and for what happens by itself."""

    actor: Actor
    way: Way
    place: str = ""


ITSELF = Acting(MAILSEAL, Way.ITSELF)

_CURRENT: ContextVar[Acting] = ContextVar("acting", default=ITSELF)


@contextmanager
def acting(who: Acting) -> Iterator[None]:
    """What is changed inside is changed by them."""
    token = _CURRENT.set(who)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current() -> Acting:
    """Who acts now."""
    return _CURRENT.get()
