"""Who did something: the person, login or program behind a change, as it is kept with it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. Two actors are the same person when their `key` is the same; `name` is for people."""

    key: str
    name: str


MAILSEAL = Actor("mailseal", "Mailseal")
"""Nobody: what happens by itself."""
