"""The message log: what became of each copy, searched by sender, recipient, outcome, time, Message-ID, queue ID."""

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailseal.mail.address import Address
from mailseal.policy.reason import Reason
from mailseal.store import traffic
from mailseal.store.log_filter import CLOCK_SLACK as CLOCK_SLACK  # noqa: PLC0414 -- where others look for it
from mailseal.store.log_filter import LogFilter as LogFilter  # noqa: PLC0414 -- same
from mailseal.store.log_filter import LogFilterError as LogFilterError  # noqa: PLC0414 -- same
from mailseal.store.log_filter import filtered
from mailseal.store.log_filter import party_filter as party_filter  # noqa: PLC0414 -- same
from mailseal.store.log_search import BUDGET_SECONDS, find
from mailseal.store.models import LogRow
from mailseal.store.outcomes import known_reasons
from mailseal.store.pace import Turn
from mailseal.store.purge import delete_before
from mailseal.store.queue_models import LogQueueRow
from mailseal.store.row import first_uuid7, utc_now
from mailseal.store.transaction import reads

IDS_AT_ONCE = 500
LATEST_ROWS = 1000


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One recipient's copy of one mail."""

    id: UUID
    message: str
    message_id: str
    time: datetime
    direction: str
    sender: str
    recipient: str
    fate: str
    treatment: str
    method: str
    reply: str
    reasons: tuple[Reason, ...]
    details: tuple[tuple[str, str], ...]
    subject: str
    queue_id: str = ""
    sent_as: str = ""


@dataclass(frozen=True, slots=True)
class LogPage:
    """Newest first. `next`: `before` of the next page, None when there is none.

    `back_to`: rows of before this time have not been looked at, though the page is not full; the next page does.
    """

    entries: tuple[LogEntry, ...]
    next: UUID | None = None
    back_to: datetime | None = None


@reads
def page(
    wanted: LogFilter, *, before: UUID | None = None, limit: int = 100, budget_seconds: float = BUDGET_SECONDS
) -> LogPage:
    """The newest rows, for somebody who waits; `before` is `next` of the page before. Raises LogFilterError."""
    found = find(wanted, before=before, limit=limit, budget_seconds=budget_seconds)
    return LogPage(_entries(found.rows), found.next, found.back_to)


def search(wanted: LogFilter, *, before: UUID | None = None, limit: int = 100) -> tuple[LogEntry, ...]:
    """The newest rows, however long it takes; `before` is the `id` of the last row before. Raises LogFilterError."""
    return page(wanted, before=before, limit=limit, budget_seconds=math.inf).entries


def latest(queue_id: str) -> dict[str, LogEntry]:
    """What became last of each recipient (by `Address.key`) of a mail that is in the queue of the MTA in front."""
    found: dict[str, LogEntry] = {}
    for entry in search(LogFilter(queue_id=queue_id), limit=LATEST_ROWS):
        if entry.queue_id == queue_id:
            found.setdefault(Address.parse(entry.recipient).key, entry)
    return found


@reads
def newer(wanted: LogFilter, *, after: UUID | None, limit: int = 100) -> tuple[LogEntry, ...]:
    """The rows after one, oldest first."""
    rows = filtered(wanted)
    if after is not None:
        rows = rows.filter(pk__gt=after)
    return _entries(rows.order_by("pk")[:limit])


def follow(wanted: LogFilter, *, poll_seconds: float = 1.0, overlap_seconds: float = 10.0) -> Iterator[LogEntry]:
    """Rows as they come in, for ever. Workers' journals arrive out of order by a little, hence the overlap."""
    last = search(wanted, limit=1)
    start: UUID | None = _shifted(min(last[0].id, first_uuid7(utc_now())), overlap_seconds) if last else None
    seen = {entry.id for entry in newer(wanted, after=start, limit=10_000)}
    while True:
        found = newer(wanted, after=start, limit=10_000)
        for entry in found:
            if entry.id not in seen:
                yield entry
        if found:
            # A row of a clock that was ahead may not hide those that come now.
            start = _shifted(min(found[-1].id, first_uuid7(utc_now())), overlap_seconds)
            seen = {entry.id for entry in found if entry.id > start}
        time.sleep(poll_seconds)


def _shifted(key: UUID, seconds: float) -> UUID:
    """A bound some seconds before a key."""
    return UUID(int=max(key.int - (int(seconds * 1000) << 80), 0))


def purge(before: datetime, turn: Turn | None = None) -> int:
    """Delete rows of before a time, in short transactions; returns how many."""
    delete_before(LogQueueRow, "pk", first_uuid7(before), turn)
    traffic.purge(before, turn)
    return delete_before(LogRow, "pk", first_uuid7(before), turn)


def _entries(rows: Iterable[LogRow]) -> tuple[LogEntry, ...]:
    found = list(rows)
    queues: dict[UUID, LogQueueRow] = {}
    for start in range(0, len(found), IDS_AT_ONCE):
        queues |= LogQueueRow.objects.in_bulk([row.pk for row in found[start : start + IDS_AT_ONCE]])
    return tuple(_entry(row, queues.get(row.pk)) for row in found)


def _entry(row: LogRow, queue: LogQueueRow | None) -> LogEntry:
    return LogEntry(
        row.id,
        row.message,
        row.message_id,
        row.time,
        row.direction,
        row.sender,
        row.recipient,
        row.fate,
        row.treatment,
        row.method,
        row.reply,
        known_reasons(row.reasons),
        tuple((name, value) for name, value in row.details),
        row.subject,
        queue.queue_id if queue else "",
        queue.sent_as if queue else "",
    )
