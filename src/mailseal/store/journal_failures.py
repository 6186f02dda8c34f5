"""Journal reports of which the mail could not be opened: kept here and tried again, or gone on and listed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from django.db import IntegrityError
from django.db.models import F, QuerySet
from django.db.transaction import atomic

from mailseal.mail.address import Address
from mailseal.mail.message import Message
from mailseal.policy.reason import Reason
from mailseal.ports import Unopened
from mailseal.store import jobs, stored_messages
from mailseal.store.audit import record
from mailseal.store.journaling_models import JournalFailureRow
from mailseal.store.outcomes import Json, reasons_from_json, reasons_to_json
from mailseal.store.pace import Turn
from mailseal.store.private_keys import Sealing
from mailseal.store.purge import delete_all
from mailseal.store.row import OWNER_CHARS, storable, utc_now
from mailseal.store.transaction import reads, run, writes

RETRY = "journal-retry"
"""The kind of job that tries a kept report again."""
MAX_ERROR_CHARS = 500


class RetryPayload(TypedDict):
    """Of such a job. `as_it_came`: it shall go on unopened."""

    failure: str
    as_it_came: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """A report that was not opened. `kept`: here, under that ID; else it has gone on. `journal` is an address key.

    `ended`: a kept one has gone on then. `error`: why the last try to send it failed.
    """

    id: UUID
    attempt: str
    journal: str
    sender: str
    message_id: str
    reasons: tuple[Reason, ...]
    kept: UUID | None
    size_bytes: int
    tries: int
    error: str
    created: datetime
    ended: datetime | None


def is_kept(attempt: bytes, journal: Address) -> bool:
    """Whether the report of an attempt is kept, or was and has been sent on since."""
    rows = _rows(attempt, journal).exclude(kept=None, ended=None)
    return bool(reads(rows.exists)())


def keep(report: Unopened, message: Message, sealing: Sealing) -> None:
    """Store a report, once per (attempt, journal address); raises SealError, StoreUnavailable."""
    stored = stored_messages.put(message.raw, sealing)

    def work() -> None:
        # It may have been noted at an earlier attempt, when the journal was set to forward.
        noted = _rows(report.attempt, report.journal).filter(kept=None, ended=None)
        if noted.update(kept=stored, reasons=reasons_to_json(report.reasons)) or _insert(report, stored):
            stored_messages.complete(stored)
        else:
            stored_messages.delete(stored)  # another worker has the same mail

    run(work)


def note(report: Unopened) -> None:
    """Note that a report goes on unopened, once per (attempt, journal address); raises StoreUnavailable."""
    run(lambda: _insert(report, None))


def _rows(attempt: bytes, journal: Address) -> QuerySet[JournalFailureRow]:
    return JournalFailureRow.objects.filter(attempt=attempt.hex(), journal=journal.key)


def _insert(report: Unopened, stored: UUID | None) -> bool:
    """False: there is a row already."""
    row = JournalFailureRow(
        attempt=report.attempt.hex(),
        journal=report.journal.key,
        sender=str(report.sender or ""),
        message_id=storable(report.message_id)[:OWNER_CHARS],
        reasons=reasons_to_json(report.reasons),
        kept_id=stored,
    )
    try:
        with atomic():  # a savepoint: the caller's transaction survives a key that is taken
            row.save(force_insert=True)
    except IntegrityError:
        return False
    return True


@reads
def find(failure: UUID) -> Failure | None:
    """One of them."""
    row = JournalFailureRow.objects.select_related("kept").defer("kept__sealed").filter(pk=failure).first()
    return None if row is None else _failure(row)


@reads
def list_failures(
    *, journal: Address | None = None, kept: bool | None = None, before: UUID | None = None, limit: int = 200
) -> tuple[Failure, ...]:
    """The newest ones that are not sent on yet: kept or not, older than a row."""
    rows = JournalFailureRow.objects.filter(ended=None)
    if journal is not None:
        rows = rows.filter(journal=journal.key)
    if kept is not None:
        rows = rows.filter(kept__isnull=not kept)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return tuple(_failure(row) for row in rows.select_related("kept").defer("kept__sealed").order_by("-pk")[:limit])


@reads
def kept() -> tuple[UUID, ...]:
    """The IDs of all that are kept here, the oldest first."""
    return tuple(JournalFailureRow.objects.filter(kept__isnull=False).order_by("pk").values_list("pk", flat=True))


def _failure(row: JournalFailureRow) -> Failure:
    return Failure(
        id=row.pk,
        attempt=row.attempt,
        journal=row.journal,
        sender=row.sender,
        message_id=row.message_id,
        reasons=_reasons(row.reasons),
        kept=row.kept_id,
        size_bytes=0 if row.kept is None else row.kept.size_bytes,
        tries=row.tries,
        error=row.error,
        created=row.created,
        ended=row.ended,
    )


def _reasons(values: Sequence[Json]) -> tuple[Reason, ...]:
    try:
        return reasons_from_json(values)
    except (ValueError, KeyError, TypeError):  # of another release
        return ()


@writes
def retry(failures: Sequence[UUID], *, as_it_came: bool = False) -> int:
    """Have the worker try kept reports again; returns how many, without those that wait for it already."""
    if failures:
        record(
            "journals",
            "retry",
            str(failures[0]),
            after={"reports": [str(one) for one in failures], "as_it_came": as_it_came},
        )
    asked = 0
    for one in failures:
        payload = RetryPayload(failure=str(one), as_it_came=as_it_came)
        dedupe = f"{one}:as-it-came" if as_it_came else str(one)
        asked += jobs.enqueue(RETRY, payload, dedupe=dedupe, node=jobs.ANY_NODE) is not None
    return asked


@writes
def stays_shut(failure: UUID, reasons: Sequence[Reason]) -> None:
    """Another try has not opened it either."""
    values = {"reasons": reasons_to_json(reasons), "tries": F("tries") + 1, "error": ""}
    JournalFailureRow.objects.filter(pk=failure).update(**values)


@writes
def not_sent(failure: UUID, error: str) -> None:
    """The archive has not taken it."""
    JournalFailureRow.objects.filter(pk=failure).update(error=error[:MAX_ERROR_CHARS])


@writes
def sent(failure: UUID) -> None:
    """It has gone on: what was kept is deleted. The row stays for a while: the same attempt may come again."""
    row = JournalFailureRow.objects.filter(pk=failure, ended=None).first()
    if row is None:
        return
    JournalFailureRow.objects.filter(pk=failure).update(ended=utc_now(), kept=None, error="")
    if row.kept_id is not None:
        stored_messages.delete(row.kept_id)


def purge(before: datetime, turn: Turn | None = None) -> int:
    """Delete what is known of reports that went on before a time; never one that is kept. Returns how many."""
    return delete_all(JournalFailureRow.objects.filter(kept=None, created__lt=before).order_by("created"), turn)
