"""Operations on the audit: who changed what (`store.audit`), and whether that is what was recorded."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import Field

from mailseal.store import audit, audit_signing, console_jobs
from mailseal.store.acting import Way
from mailseal.store.audit import AuditEvent, AuditFilter
from mailseal.store.audit_signing import Signature
from mailseal.web.access import Area
from mailseal.web.api.authentication import needs
from mailseal.web.api.log import Time
from mailseal.web.api.paging import ITEMS, After, Limit, Page, after_id, page
from mailseal.web.api.problem import not_found
from mailseal.web.api.shapes import Given, Shown
from mailseal.web.api.work import worked

MAX_CHARS = 400
router = Router()


class AuditEventShown(Shown):
    """One change."""

    id: str
    node: str
    number: int = Field(description="Events of a node are counted from 1; each hashes the one before it.")
    time: datetime
    actor: str
    actor_name: str
    way: Way
    place: str = Field(description="The address of the client, if there was one.")
    area: str
    action: str
    subject: str
    before: Any = Field(description="Facts before the change, null if there were none. Secrets are masked.")
    after: Any = Field(description="Facts after it.")
    hashed: str = Field(description="The text whose SHA-256 is `digest`.")
    digest: str


class SignatureShown(Shown):
    """A head of a chain that was signed (Ed25519)."""

    id: str
    node: str
    number: int
    kind: str = Field(description="`start`: older events were deleted for their age.")
    digest: str
    time: datetime
    signed: str = Field(description="The text that is signed.")
    key: str = Field(description="The public key, hexadecimal.")
    signature: str


class ChainShown(Shown):
    """The events of a node."""

    node: str
    first: int
    last: int
    signed: int


class FindingShown(Shown):
    """What is wrong, with which event."""

    node: str
    number: int
    fault: str
    text: str


class VerifiedShown(Shown):
    """What was found."""

    intact: bool
    events: int
    chains: list[ChainShown]
    keys: list[str]
    findings: list[FindingShown]


class AuditQuery(Given):
    """What to look for."""

    area: str | None = Field(default=None, max_length=MAX_CHARS)
    action: str | None = Field(default=None, max_length=MAX_CHARS)
    subject: str | None = Field(default=None, max_length=MAX_CHARS, description="All of what was changed.")
    containing: str | None = Field(default=None, max_length=MAX_CHARS, description="A part of what was changed.")
    actor: str | None = Field(default=None, max_length=MAX_CHARS, description="A key or a name.")
    way: Way | None = None
    node: str | None = Field(default=None, max_length=MAX_CHARS)
    since: Time | None = None
    until: Time | None = None


@router.get("", response=Page[AuditEventShown], auth=needs(Area.AUDIT), operation_id="list_audit")
def list_audit(
    request: HttpRequest, wanted: Annotated[AuditQuery, Query()], after: After = "", limit: Limit = ITEMS
) -> Page[AuditEventShown]:
    """Changes, the newest first. A page may have fewer than `limit`, or none, and yet a `next`."""
    found = AuditFilter(**{name: getattr(wanted, name) for name in AuditQuery.model_fields})
    some = audit.search(found, before=after_id(after), limit=limit)
    return Page(items=[_shown(one) for one in some.events], next=None if some.rest is None else str(some.rest))


@router.get("/signatures", response=Page[SignatureShown], auth=needs(Area.AUDIT), operation_id="list_audit_signatures")
def list_signatures(request: HttpRequest, after: After = "", limit: Limit = ITEMS) -> Page[SignatureShown]:
    """What was signed, the newest first."""
    rows = audit_signing.list_signatures(before=after_id(after), limit=limit + 1)
    return page(rows, limit, show=_signature, key=lambda one: one.id)


@router.post("/verify", response=worked(VerifiedShown), auth=needs(Area.AUDIT), operation_id="verify_audit")
def verify_audit(request: HttpRequest) -> VerifiedShown:
    """Have the job worker walk through the newest 100,000 events of every chain: is that what was recorded?

    All of it: `mailseal audit verify`.
    """
    return VerifiedShown.model_validate(console_jobs.call("audit-verify", {}))


@router.get("/{event}", response=AuditEventShown, auth=needs(Area.AUDIT), operation_id="get_audit_event")
def get_event(request: HttpRequest, event: UUID) -> AuditEventShown:
    """One change."""
    found = audit.find_event(event)
    if found is None:
        raise not_found("event")
    return _shown(found)


def _shown(one: AuditEvent) -> AuditEventShown:
    return AuditEventShown(
        id=str(one.id),
        node=one.node,
        number=one.number,
        time=one.time,
        actor=one.actor.key,
        actor_name=one.actor.name,
        way=one.way,
        place=one.place,
        area=one.area,
        action=one.action,
        subject=one.subject,
        before=one.before,
        after=one.after,
        hashed=one.hashed,
        digest=one.digest,
    )


def _signature(one: Signature) -> SignatureShown:
    return SignatureShown(
        id=str(one.id),
        node=one.node,
        number=one.number,
        kind=one.kind.value,
        digest=one.digest,
        time=one.time,
        signed=one.statement().decode(),
        key=one.key,
        signature=one.signature,
    )
