"""How often somebody may try to log in: failures are counted by login and by client, and forgotten one by one.

Each failure is answered later than the one before; after some a login or a client is locked out for minutes. Who has
logged in from an address before is counted apart there: strangers who guess at a login cannot lock its user out. The
same counts for names that no login has. An attempt counts as a failure while it is under way, so that many at the same
time are no way round. All of it is in memory and bounded: what was not touched for longest is forgotten first.
"""

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from mailseal.transport.receiver import counted_by

FORGET_SECONDS = 120.0
"""After so long one failure less counts."""
LOCK_SECONDS = 600.0
FAILURES_OF_LOGIN = 10
FAILURES_OF_CLIENT = 40
"""Behind one address there may be an office."""
ENTRIES = 50_000
FIRST_DELAY_SECONDS = 0.25
LONGEST_DELAY_SECONDS = 4.0
"""Postfix waits 10 seconds for an answer, in which the password has to be looked at as well."""


@dataclass(slots=True)
class _Count:
    failures: float = 0.0
    at: float = 0.0
    locked_until: float = -math.inf


class Failures:
    """Of one kind of key."""

    def __init__(self, most: int, entries: int = ENTRIES) -> None:
        self._most = most
        self._entries = entries
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def is_locked(self, key: str, now: float) -> bool:
        """Whether nothing is to be tried."""
        count = self._counts.get(key)
        return count is not None and now < count.locked_until

    def add(self, key: str, now: float) -> None:
        """One more; the last one that is borne locks."""
        count = self._counts.setdefault(key, _Count())
        self._counts.move_to_end(key)
        count.failures = self._left(count, now) + 1
        count.at = now
        if count.failures >= self._most:
            count.locked_until = now + LOCK_SECONDS
        while len(self._counts) > self._entries:
            self._counts.popitem(last=False)

    def take_back(self, key: str, now: float) -> None:
        """The last one was none."""
        count = self._counts.get(key)
        if count is None:
            return
        count.failures = max(0.0, self._left(count, now) - 1)
        count.at = now
        if count.failures < self._most:
            count.locked_until = -math.inf
        if count.failures == 0:
            del self._counts[key]

    def level(self, key: str, now: float) -> float:
        """How many count now."""
        count = self._counts.get(key)
        return 0.0 if count is None else self._left(count, now)

    @staticmethod
    def _left(count: _Count, now: float) -> float:
        return max(0.0, count.failures - (now - count.at) / FORGET_SECONDS)


@dataclass(frozen=True, slots=True)
class Ticket:
    """An attempt that may be made. `keys`: where it counts until it has succeeded."""

    login: str
    client: str
    keys: tuple[tuple[Failures, str], ...]


class LoginLimits:
    """Used on one event loop."""

    def __init__(self, clock: Callable[[], float], entries: int = ENTRIES) -> None:
        self._clock = clock
        self._entries = entries
        self._of_login = Failures(FAILURES_OF_LOGIN, entries)
        self._of_known_pair = Failures(FAILURES_OF_LOGIN, entries)
        self._of_client = Failures(FAILURES_OF_CLIENT, entries)
        self._known_pairs: OrderedDict[str, None] = OrderedDict()

    def begin(self, login: str, client: str) -> Ticket | None:
        """Let somebody try; None: not now. `client` as of `client_key`."""
        now = self._clock()
        pair = f"{login} {client}"
        known = pair in self._known_pairs
        keys = [(self._of_known_pair, pair) if known else (self._of_login, login)]
        if client:
            keys.append((self._of_client, client))
        if any(failures.is_locked(key, now) for failures, key in keys):
            return None
        for failures, key in keys:
            failures.add(key, now)
        return Ticket(login, client, tuple(keys))

    def succeeded(self, ticket: Ticket) -> None:
        """It was the password."""
        self.undecided(ticket)
        if not ticket.client:
            return
        pair = f"{ticket.login} {ticket.client}"
        self._known_pairs[pair] = None
        self._known_pairs.move_to_end(pair)
        while len(self._known_pairs) > self._entries:
            self._known_pairs.popitem(last=False)

    def undecided(self, ticket: Ticket) -> None:
        """It could not be looked at: it does not count."""
        now = self._clock()
        for failures, key in ticket.keys:
            failures.take_back(key, now)

    def delay_seconds(self, ticket: Ticket) -> float:
        """How long to wait before saying that it failed."""
        now = self._clock()
        worst = max(failures.level(key, now) for failures, key in ticket.keys)
        return min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * math.exp2(min(max(0.0, worst - 1), 16.0)))


def client_key(text: str) -> str:
    """What a client is counted by, "" if the text is no address."""
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return ""
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return counted_by(mapped or ip)
