"""MTA-STS policies of the domains that mail goes to (RFC 8461): asked for by the first mail, kept, refreshed.

The role that answers Postfix asks here; the worker looks at the domain and tells here what it found. A policy counts
until its `max_age` is over, whatever becomes of the domain's web server meanwhile (§5.1).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Case, Count, Q, When

from mailseal.postfix.tls_choice import StsFacts, StsMode, StsPolicy
from mailseal.store import jobs
from mailseal.store.lru import Lru
from mailseal.store.pace import Turn
from mailseal.store.purge import delete_all
from mailseal.store.stamps import Scope, bump
from mailseal.store.tls_policy_models import StsPolicyRow
from mailseal.store.transaction import StoreUnavailable, read, reads, run, writes

LOOK = "mta-sts"
"""The kind of job that looks at one domain for the first time."""
REFRESH = "mta-sts-refresh"
"""The kind of the recurring one that looks again."""
DOMAIN = "domain"
"""In the payload of the first."""

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FIRST_LOOK = timedelta(minutes=5)
"""A first look that takes longer is waited for by nobody."""
NEVER = timedelta(days=365)
FIRST_BACK_OFF = timedelta(minutes=5)
LAST_BACK_OFF = timedelta(hours=6)
FORGOTTEN_AFTER = timedelta(days=31)
"""Without mail for so long a policy is not refreshed any more; it counts until it ends."""
KEPT_WITHOUT_POLICY = timedelta(days=7)

MAX_NEW_PER_MINUTE = 300
MAX_DOMAINS = 50_000
"""Whoever has mail sent to domains that he makes up has so many looked at, not more."""
MAX_ERROR_CHARS = 500

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StsKnown:
    """What can be said of a domain now. `asking`: it is being looked at for the first time; ask again in a moment."""

    facts: StsFacts | None = None
    asking: bool = False


NOTHING = StsKnown()


@dataclass(frozen=True, slots=True)
class StsInfo:
    """A domain whose policy was looked for, as administrators see it, and the worker before it looks again."""

    domain: str
    facts: StsFacts
    policy_id: str
    fetched: datetime | None
    expires: datetime | None
    asked: datetime
    checked: datetime | None
    failures: int
    error: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at a domain came to. `policy`: fetched now; None: not fetched. `error`: why something failed.

    `policy_id`: of the domain's record, "" without one. `dane`: None where it could not be found out.
    """

    policy_id: str = ""
    policy: StsPolicy | None = None
    dane: bool | None = None
    error: str = ""


class StoreStsPolicies:
    """Thread-safe; what is known is kept for a minute, or until the stamp `tls` changes."""

    def __init__(self, *, entries: int = 20_000) -> None:
        self._known: Lru[str, StsPolicyRow] = Lru(entries)

    def of(self, domain: str, at: datetime) -> StsKnown:
        """What is known of a domain; the first who asks has it looked at. Raises StoreUnavailable."""
        row = self._known.get(domain)
        if row is None:
            generation = self._known.generation
            row = _row(domain)
            if row is None:
                return StsKnown(asking=_begin(domain, at))
            if row.checked is None:
                return StsKnown(asking=timedelta(0) <= at - row.created < FIRST_LOOK)
            self._known.put(domain, row, generation)
        _note(row, at)
        return StsKnown(_facts(row, at))

    def clear(self) -> None:
        """Forget what was read: the stamp `tls` changed."""
        self._known.clear()


def _row(domain: str) -> StsPolicyRow | None:
    return read(lambda: StsPolicyRow.objects.filter(domain=domain).first())


def _facts(row: StsPolicyRow, at: datetime) -> StsFacts:
    if row.expires is None or row.expires <= at:
        return StsFacts(StsMode.ABSENT)
    return StsFacts(StsMode(row.mode), tuple(row.names), dane=row.dane)


def _begin(domain: str, at: datetime) -> bool:
    """Have a domain looked at for the first time; False: not now, there are too many, or it cannot be written down."""

    def work() -> bool:
        recent = StsPolicyRow.objects.filter(created__gt=at - timedelta(minutes=1)).count()
        if recent >= MAX_NEW_PER_MINUTE or StsPolicyRow.objects.count() >= MAX_DOMAINS:
            return False
        StsPolicyRow.objects.get_or_create(domain=domain, defaults={"asked": at, "created": at, "due": at + NEVER})
        jobs.enqueue(LOOK, {DOMAIN: domain}, dedupe=domain, node=jobs.ANY_NODE)
        return True

    try:
        return run(work)
    except StoreUnavailable as error:
        logger.warning("MTA-STS of a domain is not looked for: %s", error)
        return False


def _note(row: StsPolicyRow, at: datetime) -> None:
    """That mail goes there, once an hour; what was last looked at longer ago is looked at again."""
    if abs(at - row.asked) < HOUR:
        return
    row.asked = at  # the row is the cache's; the other threads need not write it down too
    values: dict[str, datetime] = {"asked": at}
    if row.checked is not None and abs(at - row.checked) >= HOUR / 2 and not row.failures:
        values["due"] = at
    try:
        run(lambda: StsPolicyRow.objects.filter(pk=row.pk).update(**values))
    except StoreUnavailable as error:
        logger.warning("the use of an MTA-STS policy is not noted: %s", error)


@writes
def looked(domain: str, found: Looked, at: datetime) -> None:
    """A look at a domain has ended."""
    row = StsPolicyRow.objects.filter(domain=domain).first() or StsPolicyRow(domain=domain, asked=at, created=at)
    before = _facts(row, at)
    if found.policy is not None:
        row.mode, row.names = found.policy.mode.value, list(found.policy.names)
        row.max_age_seconds = found.policy.max_age_seconds
        row.policy_id, row.fetched = found.policy_id, at
        row.expires = at + timedelta(seconds=found.policy.max_age_seconds)
    if found.dane is not None:
        row.dane = found.dane
    row.failures = row.failures + 1 if found.error else 0
    row.error = found.error[:MAX_ERROR_CHARS]
    row.checked = at
    row.due = _due(row, at)
    row.save()
    after = _facts(row, at)
    if before != after and StsMode.ENFORCE in (before.mode, after.mode):
        bump(Scope.TLS)


def _due(row: StsPolicyRow, at: datetime) -> datetime:
    """When to look again, asked or not."""
    if row.failures:
        return at + min(FIRST_BACK_OFF * (1 << min(row.failures - 1, 10)), LAST_BACK_OFF)
    if row.expires is None or row.expires <= at:
        return at + NEVER
    return min(at + DAY, max(row.expires - HOUR, at + FIRST_BACK_OFF))


@reads
def due(at: datetime, limit: int = 50) -> Sequence[str]:
    """Domains to be looked at again, the most urgent first, as long as mail goes there.

    What is in force goes first: who keeps us busy with domains that never answer must not have it end.
    """
    rows = StsPolicyRow.objects.filter(due__lte=at, asked__gt=at - FORGOTTEN_AFTER, checked__isnull=False)
    in_force = Case(When(expires__gt=at, then=0), default=1)
    return list(rows.order_by(in_force, "due").values_list("domain", flat=True)[:limit])


@reads
def info_of(domain: str, at: datetime) -> StsInfo | None:
    """What is known of a domain; None: nobody has asked."""
    row = StsPolicyRow.objects.filter(domain=domain).first()
    return None if row is None else _info(row, at)


@reads
def list_policies(at: datetime, *, every: bool = False, after: str = "", limit: int = 10_000) -> tuple[StsInfo, ...]:
    """Domains with a policy that counts or that could not be looked at, by name; `every`: all that were looked at.

    `after`: behind that domain.
    """
    rows = StsPolicyRow.objects.all() if every else StsPolicyRow.objects.filter(Q(expires__gt=at) | Q(failures__gt=0))
    return tuple(_info(row, at) for row in rows.filter(domain__gt=after).order_by("domain")[:limit])


@reads
def counts(at: datetime) -> dict[StsMode, int]:
    """How many domains have a policy in force, by its mode."""
    rows = StsPolicyRow.objects.filter(expires__gt=at).values_list("mode").annotate(Count("id"))
    found = {StsMode(mode): number for mode, number in rows}
    return {mode: found.get(mode, 0) for mode in StsMode if mode is not StsMode.ABSENT}


def _info(row: StsPolicyRow, at: datetime) -> StsInfo:
    return StsInfo(
        domain=row.domain,
        facts=_facts(row, at),
        policy_id=row.policy_id,
        fetched=row.fetched,
        expires=row.expires,
        asked=row.asked,
        checked=row.checked,
        failures=row.failures,
        error=row.error,
    )


def purge(at: datetime, turn: Turn | None = None) -> int:
    """Forget domains without a policy that no mail has gone to for a while; returns how many."""
    idle = StsPolicyRow.objects.filter(asked__lt=at - KEPT_WITHOUT_POLICY)
    return delete_all(idle.filter(Q(expires__isnull=True) | Q(expires__lte=at)), turn)
