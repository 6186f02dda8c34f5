"""What the worker does with held mails: what became of a release, expiry, and what is deleted after an end.

Each change compares and sets: a worker that froze and lost its job finds that the row has moved on.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F, QuerySet

from mailseal.keys.sealing import sealed_by
from mailseal.policy.held import Held
from mailseal.store import quarantine_details, quarantine_events, stored_messages
from mailseal.store.jobs import State as JobState
from mailseal.store.journal_import import log_now
from mailseal.store.models import JobRow
from mailseal.store.outcomes import reasons_to_json
from mailseal.store.pace import Turn
from mailseal.store.private_keys import Sealing
from mailseal.store.purge import delete_before
from mailseal.store.quarantine import HeldMail, State, held_mail
from mailseal.store.quarantine_actions import RELEASE, end, release_key
from mailseal.store.quarantine_details import Details
from mailseal.store.quarantine_events import MAILSEAL, Action
from mailseal.store.quarantine_models import QuarantineRow
from mailseal.store.records import LogRecord
from mailseal.store.row import utc_now
from mailseal.store.transaction import read, reads, run, writes

NOTICE_DAYS = 3
"""How long before it expires it is said that a mail will."""
AT_LEAST = timedelta(days=1)
"""How long a mail is held again after a release that was none, so that somebody can look at it."""
MAX_ERROR_CHARS = 1000
FORGOTTEN_AT_ONCE = 500


@reads
def to_release(held: UUID, number: int) -> HeldMail | None:
    """The mail of a job; None when it has moved on since."""
    row = _releases(held, number).first()
    return None if row is None else held_mail(row)


@writes
def released(mail: HeldMail, note: str, record: LogRecord) -> bool:
    """The next hop has it. False: that was known already."""
    row = _releasing(mail)
    if row is None:
        return False
    log_now([record])
    end(row, State.RELEASED, MAILSEAL, Action.RELEASED, note)
    return True


def held_again(mail: HeldMail, held: Held, record: LogRecord, sealing: Sealing) -> bool:
    """Policy of today would have held it: it is listed with what was found now. False: it has moved on since."""
    details = Details(held.envelope, held.subject, held.findings)
    sealed = sealing.seal(quarantine_details.to_octets(details), identity=quarantine_details.identity(mail.id))
    values = {
        "why": held.why.value,
        "reasons": reasons_to_json(held.reasons),
        "findings": quarantine_details.safe_findings(held.findings),
        "kek_id": sealed_by(sealed),
        "sealed": sealed,
    }
    return _back(mail, "held again: today's policy holds it", Action.HELD_AGAIN, values, record)


def not_released(mail: HeldMail, error: str, record: LogRecord | None = None) -> bool:
    """It was refused, or has been deferred for too long. False: it has moved on since."""
    return _back(mail, error, Action.NOT_RELEASED, {}, record)


@writes
def _back(mail: HeldMail, error: str, action: Action, values: Mapping[str, object], record: LogRecord | None) -> bool:
    row = _releasing(mail)
    if row is None:
        return False
    expires = max(row.expires, utc_now() + AT_LEAST)
    error = error[:MAX_ERROR_CHARS]
    QuarantineRow.objects.filter(pk=row.pk).update(**values, state=State.HELD.value, error=error, expires=expires)
    if record is not None:
        log_now([record])
    quarantine_events.add(row, MAILSEAL, action, error)
    return True


@writes
def deferred(mail: HeldMail, error: str, record: LogRecord) -> None:
    """It is tried again."""
    if _releases(mail.id, mail.releases).update(error=error[:MAX_ERROR_CHARS]):
        log_now([record])


def _releases(held: UUID, number: int) -> QuerySet[QuarantineRow]:
    return QuarantineRow.objects.filter(pk=held, state=State.RELEASING.value, releases=number)


def _releasing(mail: HeldMail) -> QuarantineRow | None:
    return _releases(mail.id, mail.releases).select_for_update().first()


@reads
def to_notice(now: datetime, limit: int) -> tuple[HeldMail, ...]:
    """Mails that expire soon, and of which nobody has been told that yet. Not those held for so few days only."""
    before = timedelta(days=NOTICE_DAYS)
    rows = QuarantineRow.objects.filter(state=State.HELD.value, noticed=None, expires__gt=F("created") + before)
    soon = rows.filter(expires__gt=now, expires__lte=now + before).order_by("expires")
    return tuple(held_mail(row) for row in soon.defer("sealed")[:limit])


@reads
def expiring(until: datetime) -> int:
    """How many mails expire before a time."""
    return QuarantineRow.objects.filter(state=State.HELD.value, expires__lt=until).count()


@writes
def noticed(mail: HeldMail) -> bool:
    """Whoever is to be told that it will expire has been told, unless that has just been put off (False)."""
    rows = QuarantineRow.objects.filter(pk=mail.id, state=State.HELD.value, expires=mail.expires, noticed=None)
    if not rows.update(noticed=utc_now()):
        return False
    quarantine_events.add(QuarantineRow.objects.defer("sealed").get(pk=mail.id), MAILSEAL, Action.EXPIRY_NOTICED)
    return True


@reads
def expired(now: datetime, limit: int) -> tuple[UUID, ...]:
    """Mails whose time is over, those first that have been for longest."""
    rows = QuarantineRow.objects.filter(state=State.HELD.value, expires__lte=now).order_by("expires")
    return tuple(rows.values_list("pk", flat=True)[:limit])


@writes
def expire(held: UUID, now: datetime) -> bool:
    """End a mail whose time is over. False: somebody has been quicker."""
    rows = QuarantineRow.objects.select_for_update()
    row = rows.filter(pk=held, state=State.HELD.value, expires__lte=now).first()
    if row is None:
        return False
    end(row, State.EXPIRED, MAILSEAL, Action.EXPIRED, "")
    return True


@reads
def abandoned(limit: int) -> tuple[HeldMail, ...]:
    """Mails that are being released by nobody: their job was given up."""
    found = []
    for row in QuarantineRow.objects.filter(state=State.RELEASING.value).defer("sealed").order_by("pk"):
        key = f"{RELEASE}:{release_key(row.pk, row.releases)}"
        if not JobRow.objects.filter(dedupe_key=key, state__in=(JobState.WAITING, JobState.RUNNING)).exists():
            found.append(held_mail(row))
    return tuple(found[:limit])


def forget(held: UUID, stored: UUID | None) -> None:
    """What is left of a mail that has ended: its pieces, and what is sealed of it."""
    if stored is not None:
        # Once more: on a cluster two nodes may each have left a mail of two recipients to the other.
        run(lambda: stored_messages.drop_unless_held(stored))
        stored_messages.delete_dropped(stored)
    run(lambda: QuarantineRow.objects.filter(pk=held).exclude(ended=None).update(sealed=None))


def forget_attempts(before: datetime, turn: Turn | None = None) -> None:
    """Of mails held before a time no attempt comes again: an identical mail from now on is a new mail.

    As in the ledger. A client that never came back after a 451 has left what `quarantine.conclude` never saw.
    """
    turn = turn or Turn()
    rows = QuarantineRow.objects.filter(created__lt=before).exclude(once=None)
    while turn.goes_on() and (found := read(lambda: list(rows.values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE]))):
        run(lambda found=found: QuarantineRow.objects.filter(pk__in=found).update(once=None))  # type: ignore[misc]


def purge(before: datetime, turn: Turn | None = None) -> int:
    """Delete what is known of mails that ended before a time; never one that is held. Returns how many."""
    return delete_before(QuarantineRow, "ended", before, turn)
