"""Jobs: work done at least once by whichever process claims it, with lease and epoch (mta-ha, section 6).

Every claim raises the epoch, so a worker that froze and lost its job finds 0 rows at `fence`, which it calls
immediately before each side effect. A side effect carries an idempotency key of its own.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any
from uuid import UUID

from django.db import IntegrityError
from django.db.models import F, Q, QuerySet
from django.db.transaction import atomic

from mailseal.store.configure import this_node
from mailseal.store.models import JobRow
from mailseal.store.pace import Turn
from mailseal.store.purge import delete_before
from mailseal.store.row import utc_now, uuid7
from mailseal.store.transaction import reads, run, writes

LEASE_SECONDS = 60
MAX_ATTEMPTS = 10
BACK_OFF_SECONDS = 10
MAX_BACK_OFF_SECONDS = 6 * 3600
CANDIDATES = 10
"""Waiting jobs looked at for one claim; a random one of them is taken, so that workers seldom meet."""
MAX_ERROR_CHARS = 500
MAX_LEASE_SECONDS = 3600
MENDED_AT_ONCE = 10_000
CLOCK_SLACK = timedelta(minutes=1)
ANY_NODE = ""


class State(IntEnum):
    """Where a job is. `FAILED`: given up after MAX_ATTEMPTS."""

    WAITING = 0
    RUNNING = 1
    DONE = 2
    FAILED = 3


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed job. `sealed` is opened by the handler with the row's identity `identity(id)`."""

    id: UUID
    kind: str
    epoch: int
    attempts: int
    payload: Mapping[str, Any]
    sealed: bytes | None
    every_seconds: int | None
    created: datetime


def identity(job_id: UUID) -> bytes:
    """What a sealed payload is bound to."""
    return b"store_job:" + job_id.bytes


def enqueue(
    kind: str,
    payload: Mapping[str, Any] | None = None,
    *,
    job_id: UUID | None = None,
    sealed: bytes | None = None,
    dedupe: str | None = None,
    once: bool = False,
    node: str | None = None,
    run_at: datetime | None = None,
    every_seconds: int | None = None,
) -> UUID | None:
    """Add a job, in the caller's transaction if there is one; its ID, or None when (kind, dedupe) is taken.

    `dedupe` is unique while the job is live; with `once` also afterwards, until the row is purged. `node` is this node
    unless given; ANY_NODE lets every node claim it.
    """
    row = JobRow(
        id=job_id or uuid7(),
        kind=kind,
        payload=dict(payload or {}),
        sealed=sealed,
        dedupe_key=None if dedupe is None else f"{kind}:{dedupe}",
        once=once,
        node=this_node() if node is None else node,
        run_at=run_at or utc_now(),
        every_seconds=every_seconds,
    )

    def work() -> UUID | None:
        try:
            with atomic():  # a savepoint: the caller's transaction survives a key that is taken
                row.save(force_insert=True)
        except IntegrityError:
            return None
        return row.id

    return run(work)


def ensure_recurring(
    kind: str, subject: str, every_seconds: int, *, node: str = ANY_NODE, first: datetime | None = None
) -> None:
    """One job per (kind, subject) in the whole cluster, run again `every_seconds` after each end.

    `node`: who does it; `first`: when the first time, without it at once.
    """

    def work() -> None:
        known = JobRow.objects.filter(dedupe_key=f"{kind}:{subject}")
        if known.exists():
            known.exclude(every_seconds=every_seconds).update(every_seconds=every_seconds)
            # Nothing recurring waits longer than that, unless the clock was ahead when its time was set.
            too_late = utc_now() + timedelta(seconds=every_seconds) + CLOCK_SLACK
            known.filter(state=State.WAITING, run_at__gt=too_late).update(run_at=utc_now())
        else:
            enqueue(kind, {"subject": subject}, dedupe=subject, node=node, run_at=first, every_seconds=every_seconds)

    run(work)


def drop_recurring(kind: str, subject: str) -> bool:
    """End a recurring job; a run in progress finishes."""
    return run(lambda: bool(JobRow.objects.filter(dedupe_key=f"{kind}:{subject}").delete()[0]))


def claim(token: str, *, kinds: Sequence[str] | None = None, lease_seconds: float = LEASE_SECONDS) -> Job | None:
    """Take one waiting job of this node or of any; None when there is none. `token` names the claiming worker."""

    @reads
    def waiting() -> list[JobRow]:
        rows = JobRow.objects.filter(node__in=(this_node(), ANY_NODE), state=State.WAITING, run_at__lte=utc_now())
        if kinds is not None:
            rows = rows.filter(kind__in=kinds)
        return list(rows.order_by("run_at")[:CANDIDATES])

    found = waiting()
    random.shuffle(found)
    for row in found:
        lease_until = utc_now() + timedelta(seconds=lease_seconds)
        values = {"state": State.RUNNING, "owner": token, "lease_until": lease_until}
        counts = {"epoch": F("epoch") + 1, "attempts": F("attempts") + 1}
        if _change(row.id, row.epoch, State.WAITING, values | counts):
            return _job(row)
    return None


def _job(row: JobRow) -> Job:
    return Job(
        id=row.id,
        kind=row.kind,
        epoch=row.epoch + 1,
        attempts=row.attempts + 1,
        payload=row.payload,
        sealed=None if row.sealed is None else bytes(row.sealed),
        every_seconds=row.every_seconds,
        created=row.created,
    )


def fence(job: Job, *, lease_seconds: float = LEASE_SECONDS) -> bool:
    """Renew the lease, immediately before a side effect. False: the job is someone else's now; stop."""
    lease_until = utc_now() + timedelta(seconds=lease_seconds)
    return _change(job.id, job.epoch, State.RUNNING, {"lease_until": lease_until})


def done(job: Job, *, again_seconds: float | None = None) -> bool:
    """The job is finished; a recurring one waits for its next time. False: it was taken over meanwhile.

    `again_seconds`: there is more of the same to do, and it goes on after so long; others have their turn before.
    """
    now = utc_now()
    pause = job.every_seconds if again_seconds is None else again_seconds
    if pause is not None:
        run_at = now + timedelta(seconds=pause)
        again = {"state": State.WAITING, "run_at": run_at, "attempts": 0, "error": "", "owner": ""}
        return _change(job.id, job.epoch, State.RUNNING, again)
    return _finish(job, State.DONE, now, error="")


def fail(job: Job, error: str, *, retry_seconds: float | None = None, for_good: bool = False) -> bool:
    """The attempt failed: try again after a growing pause, or give up. `error` is shown to administrators."""
    now = utc_now()
    error = error[:MAX_ERROR_CHARS]
    if job.every_seconds is None and (for_good or job.attempts >= MAX_ATTEMPTS):
        return _finish(job, State.FAILED, now, error=error)
    pause = retry_seconds if retry_seconds is not None else back_off_seconds(job.attempts)
    if job.every_seconds is not None:
        pause = min(pause, job.every_seconds)
    run_at = now + timedelta(seconds=pause)
    again = {"state": State.WAITING, "run_at": run_at, "error": error, "owner": ""}
    return _change(job.id, job.epoch, State.RUNNING, again)


def back_off_seconds(attempts: int) -> float:
    """10 s, 20 s, 40 s … 6 h, each with up to a fifth of jitter, so that failures of one cause spread."""
    pause = min(BACK_OFF_SECONDS * 2.0 ** min(attempts - 1, 30), MAX_BACK_OFF_SECONDS)
    return pause * random.uniform(1.0, 1.2)  # noqa: S311 -- jitter, not a secret


def _finish(job: Job, state: State, now: datetime, *, error: str) -> bool:
    def work() -> bool:
        values = {"state": state, "finished": now, "error": error, "sealed": None}
        ended = _change(job.id, job.epoch, State.RUNNING, values)
        JobRow.objects.filter(id=job.id, once=False, state=state).update(dedupe_key=None)
        return ended

    return run(work)


def _change(job_id: UUID, epoch: int, state: State, values: Mapping[str, Any]) -> bool:
    """Compare and set: True when the job was still in that state and epoch."""
    return run(lambda: JobRow.objects.filter(id=job_id, epoch=epoch, state=state).update(**values)) == 1


@writes
def reclaim() -> int:
    """Put back jobs of this node (or of any) whose worker died or froze: lease over. Returns how many."""
    rows = JobRow.objects.filter(node__in=(this_node(), ANY_NODE), state=State.RUNNING, lease_until__lt=utc_now())
    return _put_back(rows)


@writes
def mend_times() -> None:
    """The clock was set back: nothing shall wait for, or be leased until, a time that only the wrong clock knew."""
    now = utc_now()
    mine = JobRow.objects.filter(node__in=(this_node(), ANY_NODE))
    leased = mine.filter(state=State.RUNNING, lease_until__gt=now + timedelta(seconds=MAX_LEASE_SECONDS))
    leased.update(lease_until=now + timedelta(seconds=LEASE_SECONDS), run_at=now)
    waiting = mine.filter(state=State.WAITING)
    longest = timedelta(seconds=MAX_BACK_OFF_SECONDS * 1.2)
    waiting.filter(attempts__gt=0, run_at__gt=now + longest + CLOCK_SLACK).update(run_at=now)
    for row in waiting.filter(created__gt=now + CLOCK_SLACK, attempts=0)[:MENDED_AT_ONCE]:
        waiting.filter(pk=row.pk).update(run_at=now + max(row.run_at - row.created, timedelta(0)), created=now)


def take_over(rows: QuerySet[JobRow], node: str) -> int:
    """Move the jobs of a dead node, waiting or with their lease over, to another; see `nodes.take_over`."""
    return _put_back(rows.filter(Q(state=State.WAITING) | Q(state=State.RUNNING, lease_until__lt=utc_now())), node=node)


def _put_back(rows: QuerySet[JobRow], **values: Any) -> int:
    return rows.update(state=State.WAITING, epoch=F("epoch") + 1, owner="", **values)


@reads
def next_run_at() -> datetime | None:
    """When the next job of this node is due; None when none waits."""
    rows = JobRow.objects.filter(node__in=(this_node(), ANY_NODE), state=State.WAITING)
    return rows.order_by("run_at").values_list("run_at", flat=True).first()


@dataclass(frozen=True, slots=True)
class JobSummary:
    """A job as administrators see it."""

    id: UUID
    kind: str
    node: str
    state: State
    attempts: int
    run_at: datetime
    error: str


@reads
def list_jobs(*, state: State | None = None, before: UUID | None = None, limit: int = 200) -> tuple[JobSummary, ...]:
    """The newest jobs, of one state if given; `before` is the `id` of the last of the page before."""
    rows = JobRow.objects.all() if state is None else JobRow.objects.filter(state=state)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return tuple(map(_summary, rows.defer("sealed", "payload").order_by("-id")[:limit]))


@reads
def find(job: UUID) -> JobSummary | None:
    """One job."""
    row = JobRow.objects.filter(pk=job).defer("sealed", "payload").first()
    return None if row is None else _summary(row)


def _summary(row: JobRow) -> JobSummary:
    return JobSummary(row.id, row.kind, row.node, State(row.state), row.attempts, row.run_at, row.error)


def purge(before: datetime, turn: Turn | None = None) -> int:
    """Delete jobs that ended before a time; returns how many."""
    return delete_before(JobRow, "finished", before, turn)
