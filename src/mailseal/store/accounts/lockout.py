"""Failed sign-ins: growing delays that nobody can use to keep somebody else out (OWASP: device cookies, by network).

Three counts. PAIR: an account from a network. ACCOUNT: from anywhere, so that many networks together guess no more.
NETWORK: at any account, so that one network does not try one password at each. An account that has signed in from a
network in the last 30 days is held there by its PAIR alone: whoever guesses elsewhere does not lock it out.

What was typed as an account is kept as a digest only; accounts that do not exist are counted like those that do, and
all spellings of one address (quotes, other forms of its domain) as one.
"""

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F

from mailseal.store.accounts.accounts import account_email
from mailseal.store.accounts.ended import FORGOTTEN, KNOWN
from mailseal.store.accounts.errors import AccountError
from mailseal.store.accounts.models import FailureRow
from mailseal.store.row import utc_now
from mailseal.store.transaction import reads, run

FIRST_DELAY = timedelta(seconds=15)
LONGEST_DELAY = timedelta(minutes=15)
CODE_KEPT = timedelta(minutes=5)
"""Longer than any code of an authenticator app is good for."""
IPV6_PREFIX = 56
"""What a home or an office gets (RFC 6177); of IPv4 it is one address."""


@dataclass(frozen=True, slots=True)
class _Count:
    """What is counted, by which key, and how many failures go without delay."""

    key: str
    free: int


PAIR_FREE, ACCOUNT_FREE, NETWORK_FREE = 5, 50, 50


def network_of(place: str) -> str:
    """The network of a client's IP address; "" for what is none (a UNIX socket)."""
    try:
        address = ipaddress.ip_address(place)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
    return str(address)


@reads
def wait(who: str, place: str) -> timedelta:
    """How long somebody has to wait before the next try; 0: no time. `who`: what was typed as an account, or its ID."""
    counts = _counts(who, place)
    now = utc_now()
    rows = {row.key: row for row in FailureRow.objects.filter(key__in=[one.key for one in counts])}
    pair = rows.get(counts[0].key)
    known = pair is not None and pair.succeeded is not None and pair.succeeded > now - KNOWN
    asked = counts[:1] if known else counts
    until = [row.until for one in asked if (row := rows.get(one.key)) is not None and row.until is not None]
    return max([timedelta(0), *(moment - now for moment in until)])


def failed(who: str, place: str) -> None:
    """Count a failed try."""
    counts = _counts(who, place)

    def work() -> None:
        for one in sorted(counts, key=lambda count: count.key):  # in one order: two that fail together wait
            _count(one, utc_now())

    run(work)


def succeeded(who: str, place: str) -> None:
    """Forget the failures of this pair, and remember that the network is one of the account's own."""
    key = _counts(who, place)[0].key
    values = {"count": 0, "until": None, "succeeded": utc_now(), "last": utc_now()}
    run(lambda: FailureRow.objects.update_or_create(key=key, defaults=values))


def first_use(who: str, code: str) -> bool:
    """Whether a code of a second factor was not used lately, which it is from now on: by whatever node, RFC 6238 §5.2.

    `code` as it is compared, without blanks.
    """
    key = _key("code", _person(who), code)

    def work() -> bool:
        now = utc_now()
        known, made = FailureRow.objects.select_for_update().get_or_create(key=key, defaults={"last": now})
        if made:  # else another may have made it in this very moment
            return True
        if known.last > now - CODE_KEPT:
            return False
        FailureRow.objects.filter(key=key).update(last=now)
        return True

    return run(work)


def forget(whos: Iterable[str]) -> None:
    """An administrator lets somebody try again from anywhere: the count of the account ends."""
    keys = [_key("account", _person(who)) for who in whos]
    run(lambda: FailureRow.objects.filter(key__in=keys).delete())


def _counts(who: str, place: str) -> tuple[_Count, _Count, _Count]:
    """The pair first."""
    person, network = _person(who), network_of(place)
    return (
        _Count(_key("pair", person, network), PAIR_FREE),
        _Count(_key("account", person), ACCOUNT_FREE),
        _Count(_key("network", network), NETWORK_FREE),
    )


def _person(who: str) -> str:
    """As an account is found by it (`accounts.account_email`); what is no address, as it is."""
    try:
        return account_email(who)
    except AccountError:
        return who.strip().casefold()


def _count(one: _Count, now: datetime) -> None:
    FailureRow.objects.bulk_create([FailureRow(key=one.key)], ignore_conflicts=True)
    fresh = FailureRow.objects.filter(key=one.key, last__lt=now - FORGOTTEN)
    if not fresh.update(count=1, last=now, until=None):
        FailureRow.objects.filter(key=one.key).update(count=F("count") + 1, last=now)
    row = FailureRow.objects.get(key=one.key)
    if row.count > one.free:
        delay = min(FIRST_DELAY * 2 ** min(row.count - one.free - 1, 10), LONGEST_DELAY)
        FailureRow.objects.filter(key=one.key).update(until=now + delay)


def _key(kind: str, *parts: str) -> str:
    return hashlib.sha256("\0".join((kind, *parts)).encode("utf-8", "replace")).hexdigest()
