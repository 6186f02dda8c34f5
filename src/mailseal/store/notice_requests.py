"""Notices that are to be sent: the port, and how many of them a reader gets (docs/notices.md).

Each request is a row and a job. A job takes the requests about its mail, and so many mails of one kind a reader gets in
an hour; the last of them, and the first after that hour, is for all requests that wait. So one sender who
sets off a thousand notices in a minute fills nobody's inbox, and none of them is lost.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError
from django.db.transaction import atomic

from mailseal.keys.sealing import BrokenSealError, sealed_by
from mailseal.mail.address import Address
from mailseal.mail.envelope import mail_id
from mailseal.policy.notice_kind import NoticeKind
from mailseal.ports import Notice
from mailseal.store import jobs, notice_payload
from mailseal.store.jobs import Job
from mailseal.store.notice_models import NoticeRow
from mailseal.store.pace import Turn
from mailseal.store.private_keys import Sealing
from mailseal.store.purge import delete_before
from mailseal.store.row import first_uuid7, utc_now, uuid7
from mailseal.store.transaction import reads, run, writes

NOTICE = "notice"
"""The kind of job."""
REQUEST, ABOUT_MAIL = "notice", "mail"
"""In a job's payload: the request; the ID of the mail that it is about, for the log."""
SETTLE = timedelta(seconds=2)
"""So long a request waits for those of the mail's other recipients, to be one notice with them."""
WINDOW = timedelta(hours=1)
MAX_TOGETHER = 1000
"""Requests that one notice stands for."""
MAX_ERROR_CHARS = 500
KEPT = timedelta(days=14)
"""What has waited for longer, because its job was lost, is not sent any more."""


class StoreNotices:
    """The port `Notices`. What a notice says is sealed: it has the names of patterns that were found."""

    def __init__(self, kek: Sealing) -> None:
        self._kek = kek

    def request(self, notice: Notice) -> None:
        """As of the port; raises SealError, StoreUnavailable."""
        row = sealed_row(notice, self._kek)
        run(lambda: keep(row))

    def open(self, taken: Sequence["Request"]) -> list[Notice]:
        """What was asked for, in order; one that cannot be opened any more is left out."""
        found = []
        for one in taken:
            try:
                opened = self._kek.open(one.sealed, identity=notice_payload.identity(one.id))
                found.append(notice_payload.from_octets(opened))
            except BrokenSealError:
                continue
        return found


def sealed_row(notice: Notice, kek: Sealing) -> NoticeRow:
    """A request, not kept yet; raises SealError."""
    row_id = uuid7()
    sealed = kek.seal(notice_payload.to_octets(notice), identity=notice_payload.identity(row_id))
    return NoticeRow(
        id=row_id,
        once=_once(notice),
        attempt=notice.attempt.hex(),
        kind=notice.kind.value,
        reader=str(notice.reader),
        reader_key=notice.reader.key,
        sealed=sealed,
        kek_id=sealed_by(sealed),
    )


def keep(row: NoticeRow) -> None:
    """A request and its job, in the caller's transaction; nothing if there is one already."""
    try:
        with atomic():  # a savepoint: the caller's transaction survives a key that is taken
            row.save(force_insert=True)
    except IntegrityError:
        return
    payload = {REQUEST: str(row.pk), ABOUT_MAIL: mail_id(bytes.fromhex(row.attempt))}
    jobs.enqueue(NOTICE, payload, dedupe=str(row.pk), run_at=row.created + SETTLE)


def _once(notice: Notice) -> str:
    """A mail that is about to expire once more, since that was put off, is told of once more; and so is the end of
    each of two mails that came by SMTP, held both, and are the same to the last octet.
    """
    again = notice.facts.expires if notice.kind is NoticeKind.EXPIRES_SOON else None
    held = notice.facts.quarantine
    parts = (notice.attempt.hex(), notice.about.key, notice.kind.value, notice.reader.key, str(again or ""), held)
    return hashlib.sha256("\n".join(parts).encode(errors="replace")).hexdigest()


@dataclass(frozen=True, slots=True)
class Request:
    """A request that a job has taken."""

    id: UUID
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Taken:
    """What a job is to tell in one notice. `at`: since when, the same each time that it is tried."""

    requests: tuple[Request, ...]
    at: datetime


@reads
def reader_of(request: UUID) -> Address | None:
    """Who is to be told; None if that was done, or is given up."""
    row = NoticeRow.objects.filter(pk=request, ended=None).values_list("reader", flat=True).first()
    return None if row is None else Address.parse(row)


@writes
def take(job: Job, request: UUID, per_hour: int) -> Taken | float | None:
    """Take what the job of a request is to tell: seconds to wait when its reader has had enough for now.

    None: another job has taken the request. A job that is tried again takes what it had.
    """
    row = NoticeRow.objects.defer("sealed").filter(pk=request, ended=None).first()
    if row is None or row.batch not in (None, job.id):
        return None
    pause = _take_new(job, row, per_hour) if row.batch is None else 0.0
    if pause:
        return pause
    rows = list(NoticeRow.objects.filter(batch=job.id, ended=None).order_by("pk"))
    requests = tuple(Request(one.pk, bytes(one.sealed)) for one in rows if one.sealed is not None)
    return Taken(requests, rows[0].taken or utc_now()) if rows else None


def _take_new(job: Job, row: NoticeRow, per_hour: int) -> float:
    """In the caller's transaction; seconds to wait if there is no room."""
    now = utc_now()
    of_reader = NoticeRow.objects.filter(reader_key=row.reader_key, kind=row.kind)
    waiting = of_reader.filter(batch=None, ended=None)
    # All of them, in order: two jobs of a reader do not each take what the other one has counted on.
    locked = list(waiting.select_for_update().order_by("pk").values_list("pk", "attempt")[:MAX_TOGETHER])
    batches = dict(of_reader.filter(taken__gt=now - WINDOW).values_list("batch", "taken"))
    times = sorted(one for one in batches.values() if one is not None)
    room = per_hour - len(times)
    if room <= 0:
        return float(max(1.0, (times[-room] + WINDOW - now).total_seconds()))
    ids = {pk for pk, attempt in locked if room == 1 or attempt == row.attempt}
    NoticeRow.objects.filter(pk__in={row.pk, *ids}, batch=None).update(batch=job.id, taken=now)
    return 0.0


def end(job: Job, error: str = "") -> None:
    """What a job has taken is told, or for a reason never will be."""
    values = {"ended": utc_now(), "sealed": None, "error": error[:MAX_ERROR_CHARS]}
    run(lambda: NoticeRow.objects.filter(batch=job.id, ended=None).update(**values))


@reads
def was_told(attempt: bytes, reader: Address) -> bool:
    """Whether somebody is, or was, told anything about a mail."""
    return NoticeRow.objects.filter(attempt=attempt.hex(), reader_key=reader.key).exists()


def conclude(attempt: bytes) -> None:
    """An identical mail from now on is a new mail: SMTP has its 250 (architecture, section 1)."""
    run(lambda: NoticeRow.objects.filter(attempt=attempt.hex()).exclude(once=None).update(once=None))


@reads
def failed(since: datetime) -> int:
    """How many requests were given up since a time."""
    return NoticeRow.objects.filter(ended__gt=since).exclude(error="").count()


def purge(before: datetime, turn: Turn | None = None) -> int:
    """Delete requests that ended before a time, and what has waited for ever; returns how many."""
    lost = delete_before(NoticeRow, "pk", first_uuid7(min(before, utc_now() - KEPT)), turn)
    return lost + delete_before(NoticeRow, "ended", before, turn)
