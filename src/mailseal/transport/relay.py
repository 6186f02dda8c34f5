"""The client side: sends mail to the next hops of its direction or route, a verdict per recipient (RFC 5321)."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from mailseal.config import NextHop
from mailseal.errors import TransientError
from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.reply import Reply
from mailseal.ports import Hop, Transfer
from mailseal.transport.connection import Connection, LostError, SilentError
from mailseal.transport.exchange import Exchange
from mailseal.transport.opening import Opener, PasswordOf, no_passwords
from mailseal.transport.pool import Pool, Timeouts
from mailseal.transport.replies import GarbageError
from mailseal.transport.routes import NoRoutes, Routes, hops_of, key_of

__all__ = ["SmtpRelay", "Timeouts"]

ASK_SECONDS = 5.0
"""How long a next hop that carries no mail may take to say what it offers."""


class SmtpRelay:
    """Implements `ports.Relay`. Blocking; any number of threads may send at once, each on a connection of its own.

    Next hops are tried in order. The next one is tried only while the mail can be nowhere yet: before the final dot.
    """

    def __init__(
        self,
        hops: Mapping[Hop, Sequence[NextHop]],
        hostname: str,
        timeouts: Timeouts | None = None,
        *,
        routes: Routes | None = None,
        password_of: PasswordOf = no_passwords,
        places: int = sys.maxsize,
    ) -> None:
        """`places`: how many mails may be on their way to one of several next hops; fewer than there are threads."""
        self._hops = hops
        self._places = places
        self._routes = routes or NoRoutes()
        self._timeouts = timeouts or Timeouts()
        self._opener = Opener(hostname, password_of)
        self._pools: dict[NextHop, Pool] = {}
        self._lock = threading.Lock()
        self._every_hop = frozenset(one for several in hops.values() for one in several)
        self._offered = frozenset[str]()

    # ---- mail

    def route(self, hop: Hop, address: Address) -> str:
        """As of the port: the same for recipients whose mail goes to the same next hops.

        A domain's route counts in both directions, and not for what goes back to the neighbour.
        """
        return "" if hop is Hop.NEIGHBOUR else key_of(self._routes.of(address.domain))

    def send(self, transfer: Transfer) -> Sequence[Reply]:
        """One reply per recipient in order; 451 when no next hop can be reached or the outcome is unknown."""
        deadline = time.monotonic() + self._timeouts.total_seconds
        if transfer.deadline is not None:
            deadline = min(deadline, transfer.deadline)
        hops = hops_of(transfer.route) if transfer.route else self._hops[transfer.hop]
        said: Reply | None = None
        unfit = 0
        for number, pool in enumerate(self._in_order(hops, deadline)):
            with pool.claimed():
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                share = left / (len(hops) - number)
                try:
                    replies = self._send(pool, transfer, deadline, share)
                except TransientError as error:
                    self._blame(pool, error, share)
                    said = getattr(error, "reply", None) or said
                    continue
            if reply.OUTCOME_UNKNOWN in replies and time.monotonic() >= deadline:
                self._blame(pool, SilentError("the next hop does not say whether it has taken a mail"), share)
            else:
                pool.works()
            if replies[0] is not reply.NEXT_HOP_WITHOUT_SMTPUTF8:
                return [replace(one, remote=pool.hop.host) for one in replies]
            unfit += 1
        if unfit == len(hops):  # else one that is down may be the one that takes it
            said = reply.NEXT_HOP_WITHOUT_SMTPUTF8
        return [said or reply.NEXT_HOP_UNAVAILABLE] * len(transfer.recipients)

    def _blame(self, pool: Pool, error: TransientError, share_seconds: float) -> None:
        """A mail that came late and had hardly any time left says nothing about the next hop."""
        if share_seconds >= self._timeouts.fair_seconds or not isinstance(error, SilentError):
            pool.failed(error)

    def _in_order(self, hops: Sequence[NextHop], deadline: float) -> Iterator[Pool]:
        """As they are preferred, those that failed lately last; each is claimed."""
        pools = [self._pool(hop) for hop in hops]
        places = self._places if len(self._pools) > 1 else sys.maxsize  # the only one takes nothing from any other
        later = []
        for pool in pools:
            if pool.claim_first(places, deadline):
                yield pool
            else:
                later.append(pool)
        yield from (pool for pool in later if pool.claim_last(places, deadline))

    def _send(self, pool: Pool, transfer: Transfer, deadline: float, share_seconds: float) -> list[Reply]:
        """Raises TransientError only if this next hop has taken nothing."""
        until = time.monotonic() + share_seconds
        kept = pool.take()
        if kept is not None:
            try:
                return self._exchange(pool, kept, transfer, deadline, share_seconds)
            except SilentError:
                if until < deadline:  # another next hop waits for its share
                    raise
            except (LostError, GarbageError):
                pass  # it was closed while it waited: a new one says how things are
        left = max(0.0, until - time.monotonic())
        return self._exchange(pool, self._open(pool, left), transfer, deadline, left)

    def _exchange(
        self, pool: Pool, connection: Connection, transfer: Transfer, deadline: float, share_seconds: float
    ) -> list[Reply]:
        patience = min(self._timeouts.reply_seconds, share_seconds)
        try:
            return Exchange(connection, transfer, deadline, patience).run()
        finally:
            pool.give(connection)

    # ---- what next hops offer

    def ask(self, goes_on: Callable[[], bool] = lambda: True) -> bool:
        """Ask every next hop that is configured, and has not said it yet, what it offers; may take 5 s for each.

        Whether all have said it by now. Raises TransientError if the routes cannot be read.
        """
        self._every_hop = frozenset(self._routes.hops()).union(*self._hops.values())
        pools = [self._pool(hop) for hop in self._every_hop]
        self._compare()
        for pool in pools:
            if pool.known is None and goes_on():
                try:
                    pool.give(self._open(pool, ASK_SECONDS))
                except TransientError as error:
                    pool.failed(error)
                else:
                    pool.works()
        self.sweep()
        return all(pool.known is not None for pool in pools)

    def features(self) -> frozenset[str]:
        """Keywords of the extensions that every configured next hop is known to offer. Never waits."""
        return self._offered

    def _open(self, pool: Pool, share_seconds: float) -> Connection:
        before = pool.known
        connection = pool.open(share_seconds)
        if pool.known != before:
            self._compare()
        return connection

    def _compare(self) -> None:
        """Find what all offer, now and not in `features`: a client may ask that on the event loop again and again."""
        with self._lock:
            pools = [self._pools.get(hop) for hop in self._every_hop]
            known = [(pool and pool.known) or frozenset[str]() for pool in pools]
            self._offered = frozenset.intersection(*known) if known else frozenset()

    # ---- connections

    def sweep(self) -> None:
        """Close the connections that have waited for too long."""
        for pool in list(self._pools.values()):
            pool.sweep()

    def close(self) -> None:
        """Close the connections that are not in use."""
        for pool in list(self._pools.values()):
            pool.close()

    def _pool(self, hop: NextHop) -> Pool:
        with self._lock:
            pool = self._pools.get(hop)
            if pool is None:
                pool = self._pools[hop] = Pool(hop, self._opener, self._timeouts)
            return pool
