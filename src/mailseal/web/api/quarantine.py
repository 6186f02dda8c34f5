"""Operations on held mails (`store.quarantine`): look, release, delete. Releasing as it is takes two people."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import Field

from mailseal.policy.held import WhyHeld
from mailseal.store import console_jobs, quarantine, quarantine_events
from mailseal.store import quarantine_actions as actions
from mailseal.store.quarantine import OPEN, HeldFilter, HeldMail, NotHeldError, State
from mailseal.store.quarantine_actions import MAX_HOLD_DAYS, Way
from mailseal.store.quarantine_events import MAX_NOTE_CHARS, Event
from mailseal.store.row import OWNER_CHARS, utc_now
from mailseal.web.access import Area, Verb
from mailseal.web.api import etag
from mailseal.web.api.authentication import needs, principal, reach
from mailseal.web.api.holdings import limits
from mailseal.web.api.listed import ReleaseWay
from mailseal.web.api.log import Time
from mailseal.web.api.paging import ITEMS, After, Limit, Page, after_id, page
from mailseal.web.api.problem import not_found
from mailseal.web.api.reasons import ReasonShown, reason_shown
from mailseal.web.api.shapes import Given, Shown
from mailseal.web.api.work import worked

router = Router()
_AREA = Area.QUARANTINE


class States(StrEnum):
    """Which ones."""

    OPEN = "open"
    ALL = "all"
    HELD = "held"
    RELEASING = "releasing"
    RELEASED = "released"
    DELETED = "deleted"
    EXPIRED = "expired"


class HeldWanted(Given):
    """What to look for; without it all that are held."""

    sender: str | None = Field(None, max_length=OWNER_CHARS, description="An address, a domain, `<>` for none.")
    recipient: str | None = Field(None, max_length=OWNER_CHARS, description="An address or a domain.")
    state: States = States.OPEN
    why: WhyHeld | None = None
    message: str | None = Field(None, max_length=64, description="Mailseal's own ID of a mail.")
    since: Time | None = None
    until: Time | None = None


class HeldFinding(Shown):
    """A finding, without what was found."""

    name: str
    action: str
    count: int


class HeldShown(Shown):
    """A mail that is or was held, without anything of its content."""

    id: str
    message: str
    message_id: str
    sender: str = Field(description='"" for the null sender.')
    recipient: str
    why: str
    state: State
    reasons: list[ReasonShown]
    findings: list[HeldFinding]
    size_bytes: int
    held: datetime
    expires: datetime
    ended: datetime | None
    releases: int
    way: str = Field(description="How the last release is done.")
    error: str = Field(description="Why the last release was none.")
    asked_by: str = Field(description='Who wants it released as it is; "" for nobody.')
    asked_until: datetime | None


class FindingSeen(HeldFinding):
    """A finding, with what was found masked."""

    places: list[str]
    excerpt: str


class TextShown(Shown):
    """Text and its place."""

    place: str
    text: str


class AttachmentShown(Shown):
    """A part that is not shown."""

    name: str
    type: str
    size_bytes: int | None


class NotReadShown(Shown):
    """What was not read."""

    place: str
    reason: str


class HeldView(Shown):
    """What may be shown of a mail: nothing in it acts, and what patterns match is masked. `cut`: there is more."""

    client: str
    origin: str
    findings: list[FindingSeen]
    header: list[list[str]]
    texts: list[TextShown]
    attachments: list[AttachmentShown]
    not_read: list[NotReadShown]
    fault: str
    cut: bool


class EventShown(Shown):
    """What was done with a mail."""

    id: str
    time: datetime
    actor: str
    actor_name: str
    action: str
    note: str


class NoteGiven(Given):
    """Why, for the record; who and when is recorded by itself."""

    note: str = Field("", max_length=MAX_NOTE_CHARS)


class ReleaseGiven(NoteGiven):
    """How: as policy says, its findings approved; encrypted or not at all; as it is, which another person approves."""

    way: ReleaseWay = Way.POLICY


class ExtendGiven(NoteGiven):
    """For how long from now on; less than before, too."""

    days: int = Field(ge=1, le=MAX_HOLD_DAYS)


@router.get("", response=Page[HeldShown], auth=needs(_AREA), operation_id="list_held")
def list_held(
    request: HttpRequest, wanted: Annotated[HeldWanted, Query()], after: After = "", limit: Limit = ITEMS
) -> Page[HeldShown]:
    """Held mails, the newest first."""
    states = {States.OPEN: OPEN, States.ALL: None}
    found = HeldFilter(
        sender=wanted.sender,
        recipient=wanted.recipient,
        states=states[wanted.state] if wanted.state in states else (State(wanted.state.value),),
        why=wanted.why,
        mail=wanted.message,
        since=wanted.since,
        until=wanted.until,
        domains=principal(request).domains_for(_AREA),
    )
    rows = quarantine.search(found, before=after_id(after), limit=limit + 1)
    return page(rows, limit, show=_shown, key=lambda one: one.id)


@router.get("/{held}", response=HeldShown, auth=needs(_AREA), operation_id="get_held")
def get_held(request: HttpRequest, held: UUID) -> HeldShown:
    """One of them."""
    return _shown(_find(request, held, Verb.SEE))


@router.get("/{held}/events", response=Page[EventShown], auth=needs(_AREA), operation_id="list_held_events")
def list_held_events(request: HttpRequest, held: UUID, after: After = "", limit: Limit = ITEMS) -> Page[EventShown]:
    """Who did what with it, the newest first."""
    _find(request, held, Verb.SEE)
    rows = quarantine_events.list_events(held, before=after_id(after), limit=limit + 1)
    return page(rows, limit, show=_event, key=lambda one: one.id)


@router.post("/{held}/view", response=worked(HeldView), auth=needs(_AREA, Verb.CONTENT), operation_id="view_held")
def view_held(request: HttpRequest, held: UUID) -> HeldView:
    """A safe view of its content. That somebody has looked is recorded."""
    _find(request, held, Verb.CONTENT)
    arguments = {"id": str(held), "domains": limits(request, _AREA, Verb.CONTENT)}
    return HeldView(**console_jobs.call("quarantine-view", arguments))


@router.post("/{held}/release", response=HeldShown, auth=needs(_AREA, Verb.RELEASE), operation_id="release_held")
def release_held(request: HttpRequest, held: UUID, given: ReleaseGiven) -> HeldShown:
    """Have the worker release a mail, or ask for another person to approve that it is released as it is."""
    actor = principal(request).actor
    if given.way is Way.AS_IS:
        return _done(request, held, Verb.RELEASE, lambda: actions.ask_as_is(held, actor, given.note))
    return _done(request, held, Verb.RELEASE, lambda: actions.release(held, actor, given.way, given.note))


@router.post("/{held}/approve", response=HeldShown, auth=needs(_AREA, Verb.APPROVE), operation_id="approve_held")
def approve_held(request: HttpRequest, held: UUID, given: NoteGiven) -> HeldShown:
    """Approve that it is released as it is; not for who has asked for it."""
    mail = _find(request, held, Verb.APPROVE)
    etag.require(request, lambda: _shown(mail))
    # Not in a transaction with the rest: that somebody tries to approve their own request is recorded.
    return _shown(actions.approve(held, principal(request).actor, given.note))


@router.post("/{held}/deny", response=HeldShown, auth=needs(_AREA, Verb.RELEASE), operation_id="deny_held")
def deny_held(request: HttpRequest, held: UUID, given: NoteGiven) -> HeldShown:
    """Refuse that it is released as it is; or withdraw what one has asked for."""
    actor = principal(request).actor
    mail = _find(request, held, Verb.RELEASE)
    if mail.asked_by != actor.key:
        principal(request).require(_AREA, Verb.APPROVE, domain=mail.domain)
    return _done(request, held, Verb.RELEASE, lambda: actions.deny(held, actor, given.note))


@router.post("/{held}/extend", response=HeldShown, auth=needs(_AREA, Verb.CHANGE), operation_id="extend_held")
def extend_held(request: HttpRequest, held: UUID, given: ExtendGiven) -> HeldShown:
    """Hold it until another time."""
    actor, until = principal(request).actor, utc_now() + timedelta(days=given.days)
    return _done(request, held, Verb.CHANGE, lambda: actions.extend(held, actor, until, given.note))


@router.delete("/{held}", response=HeldShown, auth=needs(_AREA, Verb.CHANGE), operation_id="delete_held")
def delete_held(
    request: HttpRequest, held: UUID, note: Annotated[str, Query(max_length=MAX_NOTE_CHARS)] = ""
) -> HeldShown:
    """Delete it for good; what was done with it stays recorded."""
    return _done(request, held, Verb.CHANGE, lambda: actions.delete(held, principal(request).actor, note))


def _done(request: HttpRequest, held: UUID, verb: Verb, act: Any) -> HeldShown:
    _find(request, held, verb)
    return _shown(etag.change(request, lambda: _shown(_find(request, held, verb)), act))


def _find(request: HttpRequest, held: UUID, verb: Verb) -> HeldMail:
    try:
        mail = quarantine.find(held)
    except NotHeldError:
        raise not_found("held mail") from None
    reach(request, _AREA, verb, domain=mail.domain, what="held mail")
    return mail


def _shown(one: HeldMail) -> HeldShown:
    return HeldShown(
        id=str(one.id),
        message=one.mail,
        message_id=one.message_id,
        sender=one.sender,
        recipient=one.recipient,
        why=one.why,
        state=one.state,
        reasons=[reason_shown(reason) for reason in one.reasons],
        findings=[HeldFinding(name=f["name"], action=f["action"], count=f["count"]) for f in one.findings],
        size_bytes=one.size_bytes,
        held=one.created,
        expires=one.expires,
        ended=one.ended,
        releases=one.releases,
        way=one.way,
        error=one.error,
        asked_by=one.asked_by,
        asked_until=one.asked_until if one.asked_by else None,
    )


def _event(one: Event) -> EventShown:
    return EventShown(
        id=str(one.id),
        time=one.time,
        actor=one.actor.key,
        actor_name=one.actor.name,
        action=one.action,
        note=one.note,
    )
