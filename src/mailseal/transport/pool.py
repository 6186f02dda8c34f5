"""The kept connections to one next hop, and whether it works."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mailseal.config import NextHop
from mailseal.transport.connection import Connection, SilentError
from mailseal.transport.opening import Limits, Opener

DOWN_SECONDS = 30.0
"""For how long a next hop that failed is tried last."""
STALL_SECONDS = 15.0
"""How long a mail waits for a place while none of those who have one moves on."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long the next hop may take. `total_seconds` bounds a whole mail, also when the transfer has no deadline;
    `reply_seconds` each command, and each pause in taking the content. A connection waits for a mail for
    `idle_seconds`, and takes none after `kept_seconds`: then names, files and passwords count as they are by now.
    Whoever had less than `fair_seconds` is not taken for silent.
    """

    connect_seconds: float = 10.0
    greeting_seconds: float = 30.0
    reply_seconds: float = 60.0
    total_seconds: float = 300.0
    idle_seconds: float = 60.0
    kept_seconds: float = 300.0
    fair_seconds: float = 1.0


class Pool:
    """The connections to one next hop that wait for a mail; the one used last is taken first.

    `known`: what it offered last, None before it was reached.
    """

    def __init__(self, hop: NextHop, opener: Opener, timeouts: Timeouts) -> None:
        self.hop = hop
        self.known: frozenset[str] | None = None
        self._opener = opener
        self._timeouts = timeouts
        self._waiting: list[Connection] = []
        self._lock = threading.Lock()
        self._left = threading.Condition(self._lock)
        self._down_until: float | None = None
        self._silent = False
        self._claims = 0
        self._moved_at = 0.0
        self._stalled = False

    # ---- whether it works

    def claim_first(self, places: int, deadline: float) -> bool:
        """Whether to try it in its turn: yes counts as a claim, to be given back by `claimed`.

        After a failure one caller is told so each 30 s: the one that probes. May wait until there are fewer claims than
        `places`.
        """
        with self._lock:
            if self._down_until is not None:
                now = time.monotonic()
                if now < self._down_until or self._is_held():
                    return False
                self._down_until = now + DOWN_SECONDS
            return self._enter(places, deadline)

    def claim_last(self, places: int, deadline: float) -> bool:
        """Whether to try it after the others, though it failed lately; a claim too."""
        with self._lock:
            return not self._is_held() and self._enter(places, deadline)

    def _enter(self, places: int, deadline: float) -> bool:
        """All who are there may wait in vain, and nobody knows it yet: so not every thread follows them."""
        if not self._claims:
            self._moved_at = time.monotonic()
        while self._claims >= places:
            left = min(self._moved_at + STALL_SECONDS, deadline) - time.monotonic()
            if left <= 0:
                level = logging.DEBUG if self._stalled else logging.WARNING
                logger.log(
                    level, "next hop %s: %d mails wait for it, no other joins them", self.hop.place, self._claims
                )
                self._stalled = True
                return False
            self._left.wait(left)
        self._claims += 1
        return True

    def _is_held(self) -> bool:
        """A black hole keeps one mail waiting, not every thread."""
        return self._silent and self._claims > 0

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Around the mail that has claimed it."""
        try:
            yield
        finally:
            with self._lock:
                self._claims -= 1
                self._moved_at = time.monotonic()
                self._stalled = False
                self._left.notify()

    def failed(self, why: Exception) -> None:
        """It did not take a mail for a reason of its own; said once when it begins, since every mail finds it out."""
        with self._lock:
            begins = self._down_until is None
            self._down_until = time.monotonic() + DOWN_SECONDS
            self._silent = isinstance(why, SilentError)
        logger.log(logging.WARNING if begins else logging.DEBUG, "next hop %s: %s", self.hop.place, why)

    def works(self) -> None:
        """It has answered a mail."""
        if self._down_until is not None:
            with self._lock:
                self._down_until, self._silent = None, False
            logger.info("next hop %s works again", self.hop.place)

    # ---- connections

    def open(self, share_seconds: float) -> Connection:
        """A new connection, within a share of the mail's time; raises as `Opener.open`."""
        now, limits = time.monotonic(), self._timeouts
        connected = now + min(share_seconds, limits.connect_seconds)
        ready = now + min(share_seconds, limits.connect_seconds + limits.greeting_seconds)
        connection = self._opener.open(self.hop, Limits(connected, ready))
        self.known = frozenset(connection.features)
        return connection

    def take(self) -> Connection | None:
        """A kept connection that still stands, None if there is none."""
        while True:
            with self._lock:
                connection = self._waiting.pop() if self._waiting else None
            if connection is None or (not self._is_stale(connection) and connection.fresh):
                return connection
            connection.quit()

    def give(self, connection: Connection) -> None:
        """Keep a connection for the next mail, or close it if it cannot be used again."""
        if not connection.reusable:
            connection.close()
            return
        connection.idle_since = time.monotonic()
        with self._lock:
            self._waiting.append(connection)
        self.sweep()

    def sweep(self) -> None:
        """Close what has waited for too long."""
        with self._lock:
            stale = [one for one in self._waiting if self._is_stale(one)]
            self._waiting = [one for one in self._waiting if one not in stale]
        for connection in stale:
            connection.quit()

    def _is_stale(self, connection: Connection) -> bool:
        now, limits = time.monotonic(), self._timeouts
        return connection.idle_since < now - limits.idle_seconds or connection.since < now - limits.kept_seconds

    def close(self) -> None:
        """Close the connections that are not in use."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for connection in waiting:
            connection.quit()
