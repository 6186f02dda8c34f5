"""Operations on certificate revocation lists (`store.crls`, RFC 5280 §5)."""

from datetime import datetime
from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router
from ninja.responses import Status
from pydantic import Field

from mailseal.store import console_jobs, crls
from mailseal.store.crls import CrlInfo, NoSuchCrlError
from mailseal.web.access import Area, Verb
from mailseal.web.api import etag
from mailseal.web.api.authentication import needs
from mailseal.web.api.body import FILE_BODY_BYTES
from mailseal.web.api.certificates import FileGiven
from mailseal.web.api.paging import ITEMS, After, Limit, Page, page
from mailseal.web.api.problem import not_found
from mailseal.web.api.shapes import Shown
from mailseal.web.api.work import worked

router = Router()
MAX_SERIAL_CHARS = 64


class CrlShown(Shown):
    """A list that counts."""

    fingerprint: str = Field(description="SHA-256 of its DER, hexadecimal.")
    issuer: str
    number: str
    this_update: datetime
    next_update: datetime | None
    entries: int
    stored_at: datetime


class RevokedShown(Shown):
    """A revoked certificate."""

    serial: str
    reason: str = Field(description='"" for none.')
    revoked_at: datetime


class CrlStored(Shown):
    """The list that was stored."""

    fingerprint: str


@router.get("", response=Page[CrlShown], auth=needs(Area.TRUST), operation_id="list_crls")
def list_crls(request: HttpRequest, after: After = "", limit: Limit = ITEMS) -> Page[CrlShown]:
    """Lists that count, by issuer."""
    try:
        rows = crls.list_crls(after=after or None, limit=limit + 1)
    except NoSuchCrlError:
        raise not_found("page") from None
    return page(rows, limit, show=_shown, key=lambda one: one.fingerprint)


@router.post(
    "/import",
    response=worked(CrlStored),
    auth=needs(Area.TRUST, Verb.CHANGE, body_bytes=FILE_BODY_BYTES),
    operation_id="import_crl",
)
def import_crl(request: HttpRequest, given: FileGiven) -> CrlStored:
    """Import a list (DER or PEM) whose authority is stored as root or intermediate."""
    return CrlStored(**console_jobs.call("crl-import", {}, blob=given.file))


@router.get("/{fingerprint}", response=CrlShown, auth=needs(Area.TRUST), operation_id="get_crl")
def get_crl(request: HttpRequest, fingerprint: str) -> CrlShown:
    """One list, by its fingerprint or the beginning of it."""
    return _shown(_find(fingerprint))


@router.get("/{fingerprint}/entries", response=Page[RevokedShown], auth=needs(Area.TRUST), operation_id="list_revoked")
def list_revoked(
    request: HttpRequest,
    fingerprint: str,
    after: Annotated[str, Query(max_length=MAX_SERIAL_CHARS, description="`next` of the page before.")] = "",
    limit: Limit = ITEMS,
) -> Page[RevokedShown]:
    """What a list revokes, by serial number."""
    rows = crls.entries(_find(fingerprint).fingerprint, after=after, limit=limit + 1)
    return page(
        rows,
        limit,
        show=lambda row: RevokedShown(serial=row[0], reason=row[1], revoked_at=row[2]),
        key=lambda row: row[0],
    )


@router.delete("/{fingerprint}", response={204: None}, auth=needs(Area.TRUST, Verb.CHANGE), operation_id="delete_crl")
def delete_crl(request: HttpRequest, fingerprint: str) -> Status[None]:
    """Delete a list; what it spoke about is judged again without it."""
    info = _find(fingerprint)
    etag.require(request, lambda: _shown(info))
    crls.delete_crl(info.fingerprint)
    return Status(204, None)


def _find(fingerprint: str) -> CrlInfo:
    try:
        return crls.show_crl(fingerprint)
    except NoSuchCrlError:
        raise not_found("list") from None


def _shown(one: CrlInfo) -> CrlShown:
    return CrlShown(
        fingerprint=one.fingerprint,
        issuer=one.issuer,
        number=one.number,
        this_update=one.this_update,
        next_update=one.next_update,
        entries=one.entries,
        stored_at=one.created,
    )
