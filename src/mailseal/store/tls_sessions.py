"""Counts of TLS sessions by day and domain, and how far the log is read that they come from (RFC 8460 §4.1).

A count and the place in the log up to which it counts are one transaction: what is read twice counts once.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.db import IntegrityError
from django.db.models import F, Q, Sum
from django.db.transaction import atomic

from mailseal.mail.tls_report import AppliedPolicy, Failures, PolicyReport, policy_from_json, policy_to_json
from mailseal.store.configure import this_node
from mailseal.store.pace import Turn
from mailseal.store.purge import delete_before
from mailseal.store.row import OWNER_CHARS, utc_now
from mailseal.store.tls_policy_models import StsPolicyRow
from mailseal.store.tls_report_models import TlsLogRow, TlsSessionRow
from mailseal.store.transaction import read, reads, run

MAX_KINDS_PER_DOMAIN = 300
"""Rows of one domain and day; what more there is counts without host, address and reason."""
MAX_REASON_CHARS = 200


@dataclass(frozen=True, slots=True)
class Kind:
    """What sessions have in common that count as one. `result`: as of `Failures`, "" for success."""

    day: date
    policy: AppliedPolicy
    result: str = ""
    reason: str = ""
    mx: str = ""
    mx_address: str = ""
    sending_address: str = ""


@dataclass(frozen=True, slots=True)
class LogPosition:
    """How far a log is read. `inode` and `head` (a digest of its first `head_bytes` octets) tell which file it was.

    `begun`: what the reader has to know of the lines before.
    """

    inode: str = ""
    head: str = ""
    head_bytes: int = 0
    offset: int = 0
    begun: Mapping[str, Any] = field(default_factory=dict)


def position(path: str) -> LogPosition:
    """How far this node has read a log; raises StoreUnavailable."""
    row = read(lambda: TlsLogRow.objects.filter(name=_name(path)).first())
    if row is None:
        return LogPosition()
    return LogPosition(row.inode, row.head, row.head_bytes, row.offset, row.begun)


def add(counts: Mapping[Kind, int], path: str, reached: LogPosition) -> None:
    """Add sessions, and remember how far the log is read; raises StoreUnavailable."""

    def work() -> None:
        for kind, sessions in counts.items():
            _add(kind, sessions)
        values = {
            "inode": reached.inode,
            "head": reached.head,
            "head_bytes": reached.head_bytes,
            "offset": reached.offset,
            "begun": dict(reached.begun),
            "updated": utc_now(),
        }
        TlsLogRow.objects.update_or_create(name=_name(path), defaults=values)

    run(work)


def _name(path: str) -> str:
    return f"{this_node()}:{path}"[:OWNER_CHARS]


def _add(kind: Kind, sessions: int) -> None:
    if _increase(kind, sessions):
        return
    known = TlsSessionRow.objects.filter(day=kind.day.isoformat(), domain=kind.policy.domain)
    if (kind.mx or kind.reason) and known.count() >= MAX_KINDS_PER_DOMAIN:
        _add(Kind(kind.day, kind.policy, kind.result, sending_address=kind.sending_address), sessions)
        return
    row = TlsSessionRow(
        key=_key(kind),
        day=kind.day.isoformat(),
        domain=kind.policy.domain,
        policy_type=kind.policy.type,
        policy=policy_to_json(kind.policy),
        result=kind.result,
        reason=kind.reason[:MAX_REASON_CHARS],
        mx=kind.mx,
        mx_address=kind.mx_address,
        sending_address=kind.sending_address,
        sessions=sessions,
    )
    try:
        with atomic():
            row.save(force_insert=True)
    except IntegrityError:  # another node's worker was quicker
        _increase(kind, sessions)


def _increase(kind: Kind, sessions: int) -> bool:
    return bool(TlsSessionRow.objects.filter(key=_key(kind)).update(sessions=F("sessions") + sessions))


def _key(kind: Kind) -> str:
    parts = [
        kind.day.isoformat(), policy_to_json(kind.policy), kind.result, kind.reason[:MAX_REASON_CHARS],
        kind.mx, kind.mx_address, kind.sending_address,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class DayOfDomain:
    """How many sessions with a domain's servers there were on a day, and how many of them failed."""

    day: date
    domain: str
    succeeded: int
    failed: int


@reads
def days(
    *, since: date, domain: str | None = None, before: tuple[date, str] | None = None, limit: int = 10_000
) -> tuple[DayOfDomain, ...]:
    """Days and domains with sessions, the newest day first; those behind a day and domain in that order."""
    rows = TlsSessionRow.objects.filter(day__gte=since.isoformat())
    if domain is not None:
        rows = rows.filter(domain=domain)
    if before is not None:
        day_of_last = before[0].isoformat()
        rows = rows.filter(Q(day__lt=day_of_last) | Q(day=day_of_last, domain__lt=before[1]))
    found: dict[tuple[str, str], list[int]] = {}
    for day, name, result, sessions in rows.values_list("day", "domain", "result").annotate(Sum("sessions")):
        counts = found.setdefault((day, name), [0, 0])
        counts[bool(result)] += sessions
    newest = sorted(found, key=lambda key: (key[0], key[1]), reverse=True)[:limit]
    return tuple(DayOfDomain(date.fromisoformat(day), name, *found[day, name]) for day, name in newest)


@reads
def domains_of(day: date) -> tuple[str, ...]:
    """The domains with sessions on a day."""
    rows = TlsSessionRow.objects.filter(day=day.isoformat())
    return tuple(rows.order_by("domain").values_list("domain", flat=True).distinct())


@reads
def policies_of(day: date, domain: str) -> tuple[PolicyReport, ...]:
    """What a report about a domain's day has to say, of all nodes; empty without sessions."""
    policies: dict[AppliedPolicy, list[TlsSessionRow]] = {}
    for row in TlsSessionRow.objects.filter(day=day.isoformat(), domain=domain).order_by("-sessions", "pk"):
        policies.setdefault(policy_from_json(row.policy), []).append(row)
    return tuple(_report(policy, rows) for policy, rows in policies.items())


def _report(policy: AppliedPolicy, rows: Sequence[TlsSessionRow]) -> PolicyReport:
    failures = [
        Failures(row.result, row.sessions, row.sending_address, row.mx, row.mx_address, row.reason)
        for row in rows
        if row.result
    ]
    succeeded = sum(row.sessions for row in rows if not row.result)
    return PolicyReport(policy, succeeded, sum(one.sessions for one in failures), tuple(failures))


@reads
def max_age_seconds(domain: str) -> int:
    """How long a domain's MTA-STS policy counts, as the policy says; 0 without one."""
    return StsPolicyRow.objects.filter(domain=domain).values_list("max_age_seconds", flat=True).first() or 0


def purge(before: date, turn: Turn | None = None) -> int:
    """Forget days before one; returns how many rows."""
    return delete_before(TlsSessionRow, "day", before.isoformat(), turn)  # type: ignore[arg-type]  # texts have an order
