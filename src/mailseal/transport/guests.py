"""Who may come in: connections counted by class and by client; who leaves when there is no room."""

from collections import Counter
from typing import Protocol

from mailseal.mail import reply
from mailseal.mail.envelope import Origin
from mailseal.mail.reply import Reply
from mailseal.transport.caps import Caps

LOOK_AGAIN_SECONDS = 1.0
"""A crowd may knock thousands of times in a second; all connections are looked through once in that time."""


class Guest(Protocol):
    """A connection."""

    @property
    def origin(self) -> Origin:
        """Its class."""

    @property
    def client(self) -> str | None:
        """What it is counted by; None: by nothing."""

    @property
    def silent_since(self) -> float | None:
        """When it last said something that mattered; None while content comes or a mail is being handled."""

    def make_room(self) -> None:
        """Say 421 and close."""


class Guests:
    """The connections of one process, of all its listeners. Used on its event loop only.

    Outside clients cannot take the place of authorised ones, and who is silent cannot keep out who has mail.
    """

    __slots__ = ("_expendable", "_inside", "_looked_at", "_of_client", "_outside")

    def __init__(self) -> None:
        self._inside: set[Guest] = set()
        self._outside: set[Guest] = set()
        self._of_client: Counter[str] = Counter()
        self._expendable: list[Guest] = []
        self._looked_at = float("-inf")

    def admit(self, guest: Guest, caps: Caps, now: float) -> Reply | None:
        """Count it in; or why not (421). `now` is the event loop's time."""
        if guest.client is not None and self._of_client[guest.client] >= caps.max_connections_per_client:
            return reply.TOO_MANY_OF_ONE_CLIENT
        outside = guest.origin is not Origin.AUTHORISED
        full = outside and len(self._outside) >= caps.outside_connections
        full = full or len(self._inside) + len(self._outside) >= caps.max_connections
        if full and not self._make_room(caps, now):
            return reply.TOO_MANY_CONNECTIONS
        (self._outside if outside else self._inside).add(guest)
        if guest.client is not None:
            self._of_client[guest.client] += 1
        return None

    def leave(self, guest: Guest) -> None:
        """Count it out, if it is in."""
        group = self._inside if guest.origin is Origin.AUTHORISED else self._outside
        if guest not in group:
            return
        group.discard(guest)
        if guest.client is not None:
            self._of_client[guest.client] -= 1
            if not self._of_client[guest.client]:
                del self._of_client[guest.client]

    def count(self, origin: Origin) -> int:
        """How many connections of a class there are."""
        group = self._inside if origin is Origin.AUTHORISED else self._outside
        return sum(guest.origin is origin for guest in group)

    def _make_room(self, caps: Caps, now: float) -> bool:
        """Send away the connection from outside that has been silent for longest; False if none has been for long."""
        latest = now - caps.expendable_seconds
        if not self._expendable and now - self._looked_at >= LOOK_AGAIN_SECONDS:
            self._looked_at = now
            silent = [(since, guest) for guest in self._outside if (since := guest.silent_since) is not None]
            silent.sort(key=lambda pair: pair[0], reverse=True)
            self._expendable = [guest for since, guest in silent if since <= latest]
        while self._expendable:
            guest = self._expendable.pop()
            since = guest.silent_since
            if guest in self._outside and since is not None and since <= latest:
                self.leave(guest)
                guest.make_room()
                return True
        return False
