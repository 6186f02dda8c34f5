"""Verdicts follow their reasons: a certificate is judged again when a CA certificate, root, CRL or CTL entry above it
changes, and when a time bound of its verdict passes.

A change marks what hangs below as due in its own transaction; then the marked are judged, a few at once, the rest by
the worker. A verdict is written only if nothing marked the row meanwhile, so no change is lost.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from django.db.models import F

from mailseal.policy.reason import ReasonCode
from mailseal.smime.certificate import Revocation
from mailseal.smime.path import MAX_PATH
from mailseal.store import jobs
from mailseal.store.certificate_rows import DUE_NOW, Purpose, address_uses, parsed, verdict_values
from mailseal.store.conflicts import in_conflict, uses_of
from mailseal.store.jobs import Job
from mailseal.store.judging import judge
from mailseal.store.models import CertificateRow
from mailseal.store.pace import Turn
from mailseal.store.row import utc_now
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import read, run, writes

REVALIDATE = "revalidate"
"""The kind of job that judges all certificates that are due."""
AT_ONCE = 200
"""Certificates judged within the command that changed something: about two seconds."""
TURN_SECONDS = 10.0
AGAIN_SECONDS = 0.1
_NAMES_PER_QUERY = 400


@writes
def mark_below(names: Iterable[str], *, distrust: bool) -> int:
    """Mark every certificate whose path can lead through a CA of these names (`name_key`) as due; returns how many.

    With `distrust` they are untrusted until judged: what they stood on is gone.
    """
    values: dict[str, object] = {"due": DUE_NOW, "marks": F("marks") + 1}
    if distrust:
        values |= {"trusted": False, "reason": ReasonCode.CERTIFICATE_UNTRUSTED.value}
    wanted, seen, marked = set(names), set[str](), 0
    for _ in range(MAX_PATH):
        below: set[str] = set()
        for some in _some(sorted(wanted - seen)):
            rows = CertificateRow.objects.filter(issuer_sha256__in=some)
            marked += rows.update(**values)
            authorities = rows.exclude(purpose=Purpose.END_ENTITY)
            below |= set(authorities.values_list("subject_sha256", flat=True).distinct())
        seen |= wanted
        wanted = below
        if not wanted - seen:
            break
    return marked


@writes
def mark_judged_after(moment: datetime) -> int:
    """Have judged again what was judged at a time that has not come yet: the clock was ahead. Returns how many."""
    return CertificateRow.objects.filter(judged_at__gt=moment).update(due=DUE_NOW, marks=F("marks") + 1)


def _some(names: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(names), _NAMES_PER_QUERY):
        yield names[start : start + _NAMES_PER_QUERY]


def revalidate(fingerprints: Sequence[str], *, at: datetime | None = None) -> int:
    """Judge these certificates now; returns how many verdicts changed."""
    moment = at or utc_now()
    total = Judged()
    for start in range(0, len(fingerprints), _NAMES_PER_QUERY):
        rows = CertificateRow.objects.filter(fingerprint__in=fingerprints[start : start + _NAMES_PER_QUERY])
        total += _judge_rows(read(lambda rows=rows: list(rows)), moment)  # type: ignore[misc]
    _tell(total)
    return total.changed


def revalidate_due(*, at: datetime | None = None) -> int:
    """Judge AT_ONCE certificates that are due, those an administrator keeps first; returns how many were judged."""
    judged = _judge_due(at or utc_now())
    _tell(judged)
    return judged.rows


def due_count(*, at: datetime | None = None) -> int:
    """How many certificates are due to be judged."""
    return read(CertificateRow.objects.filter(due__lte=at or utc_now()).count)


def handle(job: Job | None = None) -> float | None:
    """The handler of REVALIDATE jobs: what is due, for some seconds; after how long it goes on, or None."""
    turn = Turn(TURN_SECONDS)
    total = Judged()
    try:
        while True:
            judged = _judge_due(utc_now())
            total += judged
            if judged.rows < AT_ONCE:
                return None
            if (job is not None and not jobs.fence(job)) or not turn.goes_on():
                return AGAIN_SECONDS
    finally:
        _tell(total)


def after_change(*, at: datetime | None = None) -> None:
    """Judge what a change marked: a few at once, the rest by a job of the worker."""
    if revalidate_due(at=at) == AT_ONCE:
        jobs.enqueue(REVALIDATE, dedupe="now")


@dataclass(frozen=True, slots=True)
class Judged:
    """How many rows were judged, how many verdicts changed, and whether more can be used now than before."""

    rows: int = 0
    changed: int = 0
    better: bool = False

    def __add__(self, other: "Judged") -> "Judged":
        return Judged(self.rows + other.rows, self.changed + other.changed, self.better or other.better)


def _tell(judged: Judged) -> None:
    """Say that there is more to use: once for many, since each time empties the caches of all mail workers."""
    if judged.better:
        bump(Scope.KEYS)


def _judge_due(at: datetime) -> Judged:
    due = CertificateRow.objects.filter(due__lte=at).order_by("candidate", "due")[:AT_ONCE]
    return _judge_rows(read(lambda: list(due)), at)


def _judge_rows(rows: Sequence[CertificateRow], at: datetime) -> Judged:
    verdicts = [(row, judge(parsed(row.fingerprint, row.der), (), at)) for row in rows]

    def write() -> Judged:
        changed = 0
        effects: set[_Effect] = set()
        # Before one of them is trusted: those that find their path together are no conflict.
        conflicts = {row.pk for row, verdict in verdicts if verdict.trusted and _late_conflict(row)}
        for row, verdict in verdicts:
            values = verdict_values(verdict, at, candidate=row.candidate)
            if row.pk in conflicts:
                values["conflict"] = True
            unchanged = all(getattr(row, name) == value for name, value in values.items() if name not in _TIMES)
            if CertificateRow.objects.filter(pk=row.pk, marks=row.marks).update(**values) and not unchanged:
                changed += 1
                effects.add(_effect(row, values))
        if _Effect.WORSE in effects:
            bump(Scope.KEYS)
        return Judged(len(rows), changed, _Effect.BETTER in effects)

    return run(write)


class _Effect(Enum):
    """What a new verdict means to mail. What may no longer be used is told at once, in the same transaction."""

    NONE = "none"
    BETTER = "better"
    WORSE = "worse"


def _effect(row: CertificateRow, values: Mapping[str, Any]) -> _Effect:
    """Candidates are forgotten by age, as is how long a revocation list counts: neither is told."""
    if row.candidate or all(getattr(row, name) == values[name] for name in _SEEN_BY_MAIL):
        return _Effect.NONE
    worse = (
        (row.trusted and not values["trusted"])
        or values["revocation"] == Revocation.REVOKED.value
        or values["valid_from"] > row.valid_from
        or values["valid_until"] < row.valid_until
    )
    return _Effect.WORSE if worse else _Effect.BETTER


def _late_conflict(row: CertificateRow) -> bool:
    """Whether a candidate that had no path until now, and so was of no use, meets an address with another key."""
    if row.trusted or row.judged_at is None or not row.candidate or row.purpose != Purpose.END_ENTITY:
        return False
    certificate = parsed(row.fingerprint, row.der)
    return in_conflict(certificate, uses_of([owner for owner, _ in address_uses(certificate)]))


_TIMES = frozenset({"judged_at", "due"})
_SEEN_BY_MAIL = ("trusted", "valid_from", "valid_until", "revocation")
