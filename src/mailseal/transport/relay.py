"""The client side: sends mail to a next hop over kept connections, a verdict per recipient (RFC 5321)."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailseal.mail import reply
from mailseal.mail.reply import Reply
from mailseal.ports import Hop, Transfer
from mailseal.transport.connection import Connection, GreetingError, LostError, NextHop
from mailseal.transport.exchange import Exchange
from mailseal.transport.replies import GarbageError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long the next hop may take. `total_seconds` bounds a whole mail, also when the transfer has no deadline."""

    connect_seconds: float = 10.0
    reply_seconds: float = 60.0
    total_seconds: float = 300.0
    idle_seconds: float = 60.0


class SmtpRelay:
    """Implements `ports.Relay`. Blocking; any number of threads may send at once, each on a connection of its own."""

    def __init__(self, hops: Mapping[Hop, NextHop], hostname: str, timeouts: Timeouts | None = None) -> None:
        self._timeouts = timeouts or Timeouts()
        self._pools = {hop: _Pool(next_hop, hostname, self._timeouts) for hop, next_hop in hops.items()}

    def send(self, transfer: Transfer) -> Sequence[Reply]:
        """One reply per recipient in order; 451 when the next hop cannot be reached or the outcome is unknown."""
        deadline = time.monotonic() + self._timeouts.total_seconds
        if transfer.deadline is not None:
            deadline = min(deadline, transfer.deadline)
        pool = self._pools[transfer.hop]
        kept = pool.take()
        try:
            if kept is not None:
                try:
                    return self._exchange(pool, kept, transfer, deadline)
                except (LostError, GarbageError) as error:
                    logger.debug("a kept connection failed, nothing was sent: %s", error)
            return self._exchange(pool, pool.open(deadline), transfer, deadline)
        except (LostError, GreetingError, GarbageError) as error:
            # once when it begins: a next hop that is down fails every mail
            logger.log(logging.DEBUG if pool.failing else logging.WARNING, "next hop %s: %s", transfer.hop, error)
            pool.failing = True
            said = error.reply if isinstance(error, LostError) else None
            return [said or reply.NEXT_HOP_UNAVAILABLE] * len(transfer.recipients)

    def capabilities(self, hop: Hop) -> frozenset[str]:
        """Keywords of the extensions that the hop offers, asked once; raises TransientError if it cannot be reached."""
        pool = self._pools[hop]
        if pool.known is None:
            pool.give(pool.open(time.monotonic() + self._timeouts.total_seconds))
        assert pool.known is not None
        return pool.known

    def known_capabilities(self, hop: Hop) -> frozenset[str]:
        """What `capabilities` would give if it need not ask, else nothing. Never waits."""
        return self._pools[hop].known or frozenset()

    def close(self) -> None:
        """Close the connections that are not in use."""
        for pool in self._pools.values():
            pool.close()

    def _exchange(self, pool: "_Pool", connection: Connection, transfer: Transfer, deadline: float) -> list[Reply]:
        try:
            replies = Exchange(connection, transfer, deadline, self._timeouts.reply_seconds).run()
            pool.failing = False
            return replies
        finally:
            pool.give(connection)


class _Pool:
    """The connections to one next hop that wait for a mail; the one used last is taken first."""

    def __init__(self, hop: NextHop, hostname: str, timeouts: Timeouts) -> None:
        self._hop = hop
        self._hostname = hostname
        self._timeouts = timeouts
        self._waiting: list[Connection] = []
        self._lock = threading.Lock()
        self.known: frozenset[str] | None = None
        self.failing = False

    def open(self, deadline: float) -> Connection:
        soon = min(deadline, time.monotonic() + self._timeouts.connect_seconds)
        connection = Connection(self._hop, self._hostname, soon)
        self.known = frozenset(connection.features)
        return connection

    def take(self) -> Connection | None:
        oldest = time.monotonic() - self._timeouts.idle_seconds
        while True:
            with self._lock:
                connection = self._waiting.pop() if self._waiting else None
            if connection is None or (connection.idle_since >= oldest and connection.fresh):
                return connection
            connection.quit()

    def give(self, connection: Connection) -> None:
        if not connection.reusable:
            connection.close()
            return
        connection.idle_since = time.monotonic()
        stale = None
        with self._lock:
            self._waiting.append(connection)
            if self._waiting[0].idle_since < connection.idle_since - self._timeouts.idle_seconds:
                stale = self._waiting.pop(0)
        if stale is not None:
            stale.quit()

    def close(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for connection in waiting:
            connection.quit()
