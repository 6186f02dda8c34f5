"""The message log: what became of each copy, searched by sender, recipient, outcome, time, Message-ID, queue ID."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet

from mailseal.errors import PermanentError
from mailseal.mail.address import Address, AddressError
from mailseal.policy.model import Fate
from mailseal.policy.reason import Reason
from mailseal.store.models import LogRow
from mailseal.store.outcomes import known_reasons
from mailseal.store.owners import domain_name
from mailseal.store.pace import Turn
from mailseal.store.purge import delete_before
from mailseal.store.queue_models import LogQueueRow
from mailseal.store.row import first_uuid7, utc_now
from mailseal.store.transaction import reads

CLOCK_SLACK = timedelta(minutes=10)
"""How far the time in a row's key may be from its `time`."""
IDS_AT_ONCE = 500
LATEST_ROWS = 1000


class LogFilterError(PermanentError):
    """A filter that cannot be meant."""


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
class LogFilter:
    """What to look for; None is anything. `sender`, `recipient`: an address, or a domain for all of it.

    `queue_id`: that of the MTA which handed the mail in, or of the one that took it.
    """

    sender: str | None = None
    recipient: str | None = None
    fate: Fate | None = None
    direction: str | None = None
    message: str | None = None
    message_id: str | None = None
    queue_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@reads
def search(wanted: LogFilter, *, before: UUID | None = None, limit: int = 100) -> tuple[LogEntry, ...]:
    """The newest rows; `before` is the `id` of the last row of the page before. Raises LogFilterError."""
    rows = _filtered(wanted)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return _entries(rows.order_by("-pk")[:limit])


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
    rows = _filtered(wanted)
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
    return delete_before(LogRow, "pk", first_uuid7(before), turn)


def _filtered(wanted: LogFilter) -> QuerySet[LogRow]:
    rows = LogRow.objects.all()
    for column, text in (("sender_key", wanted.sender), ("recipient_key", wanted.recipient)):
        if text is not None:
            rows = rows.filter(**party_filter(column, text))
    # SQLite has no statistics and would read all rows of a fate instead of those few; a LIKE finds no index there.
    named = wanted.message or wanted.message_id or wanted.queue_id
    narrow = named or _is_address(wanted.sender) or _is_address(wanted.recipient)
    exact = {
        "fate__startswith" if narrow else "fate": None if wanted.fate is None else wanted.fate.value,
        "direction": wanted.direction,
        "message": wanted.message,
        "message_id": wanted.message_id,
    }
    rows = rows.filter(**{name: value for name, value in exact.items() if value is not None})
    if wanted.queue_id is not None:
        either = Q(queue_id=wanted.queue_id) | Q(sent_as=wanted.queue_id)
        keys = LogQueueRow.objects.filter(either).values("pk")
        rows = rows.filter(pk__in=keys) if wanted.queue_id else rows.none()
    # The key begins with the time, so its index finds the range; the column decides.
    if wanted.since is not None:
        rows = rows.filter(pk__gte=first_uuid7(wanted.since - CLOCK_SLACK), time__gte=wanted.since)
    if wanted.until is not None:
        rows = rows.filter(pk__lt=first_uuid7(wanted.until + CLOCK_SLACK), time__lt=wanted.until)
    return rows


def _is_address(text: str | None) -> bool:
    return text is not None and "@" in text.strip().removeprefix("@")


def party_filter(column: str, text: str) -> dict[str, str]:
    """A filter on a column of address keys: an address, a domain for all of it, "<>"; raises LogFilterError."""
    text = text.strip()
    try:
        if text in {"", "<>"}:
            return {column: ""}
        if "@" in text.removeprefix("@"):
            return {column: Address.parse(text).key}
        return {f"{column}__endswith": f"@{domain_name(text.removeprefix('@'))}"}
    except AddressError as error:
        raise LogFilterError(f"{text[:100]!r} is neither an address nor a domain: {error}") from None


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
