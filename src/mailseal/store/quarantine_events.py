"""Who did what with a held mail, and when: rows that are only added, and outlive the mail (docs/quarantine.md)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from mailseal.store.actor import MAILSEAL as MAILSEAL  # noqa: PLC0414 -- where others look for it
from mailseal.store.actor import Actor as Actor  # noqa: PLC0414 -- same
from mailseal.store.audit import record
from mailseal.store.pace import Turn
from mailseal.store.purge import delete_before
from mailseal.store.quarantine_models import QuarantineEventRow, QuarantineRow
from mailseal.store.row import first_uuid7, storable, utc_now
from mailseal.store.transaction import reads, run

KEPT_DAYS = 400
"""For how long an event is kept, unless the log is kept for longer."""
MAX_NOTE_CHARS = 1000
_NAME_CHARS = 200
_MAIL_DIGITS = 16


class Action(StrEnum):
    """What can be done with a held mail, or happen to it."""

    HELD = "held"
    SHOWN = "shown"
    EXPORTED = "exported"
    RELEASE_ASKED = "release-asked"
    AS_IS_ASKED = "as-is-asked"
    AS_IS_APPROVED = "as-is-approved"
    AS_IS_DENIED = "as-is-denied"
    RELEASED = "released"
    HELD_AGAIN = "held-again"
    NOT_RELEASED = "not-released"
    EXTENDED = "extended"
    EXPIRY_NOTICED = "expiry-noticed"
    EXPIRED = "expired"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Event:
    """One of them. `mail` is Mailseal's ID of the mail; `note` what else was said of it."""

    id: UUID
    quarantine: UUID
    mail: str
    recipient: str
    time: datetime
    actor: Actor
    action: str
    note: str


def add(row: QuarantineRow, actor: Actor, action: Action, note: str = "") -> None:
    """Add an event, in the caller's transaction if there is one."""
    event = QuarantineEventRow(
        quarantine=row.pk,
        mail=mail_of(row),
        recipient=row.recipient,
        actor=actor.key,
        actor_name=storable(actor.name)[:_NAME_CHARS],
        action=action.value,
        note=storable(note)[:MAX_NOTE_CHARS],
    )

    def work() -> None:
        event.save(force_insert=True)
        # What happens by itself is in the message log; nobody sees a mail by itself, whoever says so.
        if actor != MAILSEAL or action in {Action.SHOWN, Action.EXPORTED}:
            record("quarantine", action.value, str(row.pk), after={"mail": event.mail, "note": event.note}, actor=actor)

    run(work)


def mail_of(row: QuarantineRow) -> str:
    """Mailseal's ID of the mail, as of `mail.envelope.mail_id`."""
    return row.attempt[:_MAIL_DIGITS]


@reads
def list_events(
    quarantine: UUID | None = None,
    *,
    actor: str | None = None,
    action: Action | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: UUID | None = None,
    limit: int = 200,
) -> tuple[Event, ...]:
    """The newest events: of one mail, of one actor (key), of a time; older than one."""
    rows = QuarantineEventRow.objects.all()
    if quarantine is not None:
        rows = rows.filter(quarantine=quarantine)
    if actor is not None:
        rows = rows.filter(actor=actor)
    if action is not None:
        rows = rows.filter(action=action.value)
    if since is not None:
        rows = rows.filter(pk__gte=first_uuid7(since))
    if until is not None:
        rows = rows.filter(pk__lt=first_uuid7(until))
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return _events(list(rows.order_by("-pk")[:limit]))


@reads
def of_mails(held: Collection[UUID], *, limit: int) -> tuple[Event, ...]:
    """What was done with some mails after they were held, the newest first."""
    rows = QuarantineEventRow.objects.filter(quarantine__in=held).exclude(action=Action.HELD.value)
    return _events(list(rows.order_by("-pk")[:limit]))


def _events(rows: Sequence[QuarantineEventRow]) -> tuple[Event, ...]:
    return tuple(
        Event(
            row.pk,
            row.quarantine,
            row.mail,
            row.recipient,
            row.time,
            Actor(row.actor, row.actor_name),
            row.action,
            row.note,
        )
        for row in rows
    )


def purge(retention_days: int, turn: Turn | None = None) -> int:
    """Delete events that are older than KEPT_DAYS, and than the log is kept; returns how many."""
    before = utc_now() - timedelta(days=max(KEPT_DAYS, retention_days))
    return delete_before(QuarantineEventRow, "pk", first_uuid7(before), turn)
