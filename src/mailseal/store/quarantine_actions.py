"""What people do with a held mail: each is one transaction with its event, and of two at once one finds it done.

A release is a job of the worker. Releasing a mail as it is takes two different people: one asks, another one approves.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypedDict
from uuid import UUID

from mailseal.errors import PermanentError
from mailseal.store import jobs, quarantine_events, stored_messages
from mailseal.store.quarantine import HeldMail, NotHeldError, State, held_mail
from mailseal.store.quarantine_events import Action, Actor
from mailseal.store.quarantine_models import QuarantineRow
from mailseal.store.row import utc_now
from mailseal.store.transaction import run, writes

RELEASE = "quarantine-release"
"""The kind of job that releases a held mail."""
ENDED = "quarantine-ended"
"""The kind of job that tells of an end whoever is to be told, and deletes what is left of the mail."""
REQUEST_HOURS = 24
"""For how long a request to release a mail as it is can be approved."""
MAX_HOLD_DAYS = 3650


class Way(StrEnum):
    """How a mail is released: as policy says, with its findings approved; encrypted or not at all; as it is."""

    POLICY = "policy"
    ENCRYPTED = "encrypted"
    AS_IS = "as-is"


class ReleasePayload(TypedDict):
    """Of a job of kind RELEASE; `number` is the `releases` of the row that it is for."""

    quarantine: str
    number: int
    mail: str


class EndedPayload(TypedDict):
    """Of a job of kind ENDED: which mail ended, and as what it was stored."""

    quarantine: str
    stored: str
    mail: str


class BusyError(PermanentError):
    """The mail is being released at the moment."""


class SamePersonError(PermanentError):
    """A mail is released as it is by two different people only."""


class NoRequestError(PermanentError):
    """Nobody has asked for this mail to be released as it is, or too long ago."""


@writes
def release(held: UUID, actor: Actor, way: Way = Way.POLICY, note: str = "") -> HeldMail:
    """Have the worker release a mail; raises NotHeldError, BusyError, and ValueError for AS_IS, see `ask_as_is`."""
    if way is Way.AS_IS:
        raise ValueError("releasing a mail as it is takes two people")
    row = _held(held)
    _begin(row, way)
    quarantine_events.add(row, actor, Action.RELEASE_ASKED, _noted(way.value, note))
    return held_mail(row)


@writes
def ask_as_is(held: UUID, actor: Actor, note: str = "") -> HeldMail:
    """Ask for a mail to be released as it is, whatever policy says; a later request replaces an earlier one.

    Raises NotHeldError, BusyError.
    """
    row = _held(held)
    row.asked_by, row.asked_until = actor.key, utc_now() + timedelta(hours=REQUEST_HOURS)
    _change(row, "asked_by", "asked_until")
    quarantine_events.add(row, actor, Action.AS_IS_ASKED, note)
    return held_mail(row)


def approve(held: UUID, actor: Actor, note: str = "") -> HeldMail:
    """Approve that a mail is released as it is; raises NotHeldError, BusyError, NoRequestError, SamePersonError."""
    try:
        return run(lambda: _approve(held, actor, note))
    except SamePersonError:
        run(lambda: quarantine_events.add(_held(held), actor, Action.AS_IS_DENIED, "the same person has asked for it"))
        raise


def _approve(held: UUID, actor: Actor, note: str) -> HeldMail:
    row = _held(held)
    if not row.asked_by or row.asked_until is None or row.asked_until <= utc_now():
        raise NoRequestError(f"nobody has asked in the last {REQUEST_HOURS} hours for {held} to be released as it is")
    if row.asked_by == actor.key:
        raise SamePersonError(f"{actor.name} has asked for it: another person has to approve")
    asked_by = row.asked_by
    _begin(row, Way.AS_IS)
    quarantine_events.add(row, actor, Action.AS_IS_APPROVED, _noted(f"asked for by {asked_by}", note))
    return held_mail(row)


@writes
def deny(held: UUID, actor: Actor, note: str = "") -> HeldMail:
    """Refuse, or withdraw, that a mail is released as it is; raises NotHeldError, BusyError, NoRequestError."""
    row = _held(held)
    if not row.asked_by:
        raise NoRequestError(f"nobody has asked for {held} to be released as it is")
    asked_by, row.asked_by, row.asked_until = row.asked_by, "", None
    _change(row, "asked_by", "asked_until")
    quarantine_events.add(row, actor, Action.AS_IS_DENIED, _noted(f"asked for by {asked_by}", note))
    return held_mail(row)


@writes
def withdraw(asked_by: str, actor: Actor, note: str) -> None:
    """Nothing that somebody has asked for, by the `key` of who did, is released as it is any more."""
    rows = QuarantineRow.objects.filter(asked_by=asked_by, state=State.HELD.value).order_by("pk")
    for held in rows.values_list("pk", flat=True):
        deny(held, actor, note)


@writes
def delete(held: UUID, actor: Actor, note: str = "") -> HeldMail:
    """Delete a mail for good; raises NotHeldError, BusyError."""
    return end(_held(held), State.DELETED, actor, Action.DELETED, note)


@writes
def extend(held: UUID, actor: Actor, until: datetime, note: str = "") -> HeldMail:
    """Hold a mail until another time, earlier too; raises NotHeldError, and PermanentError for a time that is no use.

    One that is being released can be extended: it may be held again.
    """
    row = _row(held, (State.HELD, State.RELEASING))
    now = utc_now()
    if not now < until <= now + timedelta(days=MAX_HOLD_DAYS):
        raise PermanentError(f"a mail can be held until some time in the next {MAX_HOLD_DAYS} days")
    row.expires, row.noticed = until, None
    _change(row, "expires", "noticed")
    quarantine_events.add(row, actor, Action.EXTENDED, _noted(f"until {until:%Y-%m-%d %H:%M} UTC", note))
    return held_mail(row)


def seen(held: UUID, actor: Actor, action: Action, note: str = "") -> None:
    """Somebody is about to see the content of a mail (SHOWN, EXPORTED); raises NotHeldError."""
    run(lambda: quarantine_events.add(_row(held, tuple(State)), actor, action, note))


def end(row: QuarantineRow, state: State, actor: Actor, action: Action, note: str) -> HeldMail:
    """The mail has come to an end, in the caller's transaction, which has the row. What is stored goes with the last.

    What is sealed of the row goes when the worker has told those who are to be told (`quarantine_work.forget`).
    """
    stored = row.stored_id
    row.state, row.ended, row.stored_id = state.value, utc_now(), None
    row.asked_by, row.asked_until = "", None
    _change(row, "state", "ended", "stored_id", "asked_by", "asked_until", "error")
    if stored is not None:
        stored_messages.drop_unless_held(stored)
    quarantine_events.add(row, actor, action, note)
    mail = quarantine_events.mail_of(row)
    payload = EndedPayload(quarantine=str(row.pk), stored=str(stored or ""), mail=mail)
    jobs.enqueue(ENDED, payload, dedupe=str(row.pk), once=True, node=jobs.ANY_NODE)
    return held_mail(row)


def _begin(row: QuarantineRow, way: Way) -> None:
    row.state, row.way, row.releases, row.error = State.RELEASING.value, way.value, row.releases + 1, ""
    row.asked_by, row.asked_until = "", None
    _change(row, "state", "way", "releases", "error", "asked_by", "asked_until")
    payload = ReleasePayload(quarantine=str(row.pk), number=row.releases, mail=quarantine_events.mail_of(row))
    jobs.enqueue(RELEASE, payload, dedupe=release_key(row.pk, row.releases), once=True, node=jobs.ANY_NODE)


def release_key(held: UUID, number: int) -> str:
    """What names a release among all: one job does it."""
    return f"{held}:{number}"


def _held(held: UUID) -> QuarantineRow:
    row = _row(held, (State.HELD, State.RELEASING))
    if row.state == State.RELEASING:
        raise BusyError(f"the mail {held} is being released at the moment")
    return row


def _row(held: UUID, states: tuple[State, ...]) -> QuarantineRow:
    """Locked, so that of two actions at once the second finds what the first has done."""
    row = QuarantineRow.objects.select_for_update().defer("sealed").filter(pk=held).first()
    if row is None:
        raise NotHeldError(f"no mail {held} is or was held")
    if State(row.state) not in states:
        raise NotHeldError(f"the mail {held} is not held any more: it is {row.state}")
    return row


def _change(row: QuarantineRow, *columns: str) -> None:
    QuarantineRow.objects.filter(pk=row.pk).update(**{column: getattr(row, column) for column in columns})


def _noted(what: str, note: str) -> str:
    return f"{what}; {note}" if note else what
