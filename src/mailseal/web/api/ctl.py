"""Operations on the certificate trust list (`store.trust`): single certificates allowed or denied by thumbprint."""

from datetime import datetime
from typing import Annotated

from django.http import HttpRequest
from ninja import Path, Router
from ninja.responses import Status
from pydantic import Field

from mailseal.smime.certificate import CtlEntry
from mailseal.store import trust
from mailseal.store.trust import CtlInfo
from mailseal.web.access import Area, Verb
from mailseal.web.api import etag
from mailseal.web.api.authentication import needs
from mailseal.web.api.paging import ITEMS, After, Limit, Page, page
from mailseal.web.api.problem import not_found
from mailseal.web.api.shapes import Given, Shown

router = Router()
MAX_COMMENT_CHARS = 1000

Thumbprint = Annotated[
    str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the certificate, hexadecimal. It need not be stored.")
]


class CtlShown(Shown):
    """An entry of the list."""

    fingerprint: str
    entry: CtlEntry
    comment: str
    subject: str = Field(description='"" if the certificate is not stored.')
    created: datetime


class CtlGiven(Given):
    """What to do with one certificate, whatever its path says."""

    entry: CtlEntry
    comment: str = Field("", max_length=MAX_COMMENT_CHARS, description="Why.")


@router.get("", response=Page[CtlShown], auth=needs(Area.TRUST), operation_id="list_ctl")
def list_ctl(request: HttpRequest, after: After = "", limit: Limit = ITEMS) -> Page[CtlShown]:
    """All entries, the oldest first."""
    rows = trust.list_ctl(after=after or None, limit=limit + 1)
    return page(rows, limit, show=_shown, key=lambda one: one.fingerprint)


@router.get("/{fingerprint}", response=CtlShown, auth=needs(Area.TRUST), operation_id="get_ctl_entry")
def get_ctl_entry(request: HttpRequest, fingerprint: Thumbprint) -> CtlShown:
    """The entry of one certificate."""
    return _find(fingerprint)


@router.put("/{fingerprint}", response=CtlShown, auth=needs(Area.TRUST, Verb.CHANGE), operation_id="put_ctl_entry")
def put_ctl_entry(request: HttpRequest, fingerprint: Thumbprint, given: CtlGiven) -> CtlShown:
    """Allow (even expired) or deny one certificate; what a denied CA carried is untrusted at once."""
    etag.require(request, lambda: _find(fingerprint))
    return _shown(trust.set_ctl(fingerprint, given.entry, comment=given.comment))


@router.delete(
    "/{fingerprint}", response={204: None}, auth=needs(Area.TRUST, Verb.CHANGE), operation_id="delete_ctl_entry"
)
def delete_ctl_entry(request: HttpRequest, fingerprint: Thumbprint) -> Status[None]:
    """Take an entry off the list."""
    etag.require(request, lambda: _find(fingerprint))
    if not trust.delete_ctl(fingerprint):
        raise not_found("entry")
    return Status(204, None)


def _find(fingerprint: str) -> CtlShown:
    found = trust.find_ctl(fingerprint)
    if found is None:
        raise not_found("entry")
    return _shown(found)


def _shown(one: CtlInfo) -> CtlShown:
    return CtlShown(
        fingerprint=one.fingerprint, entry=one.entry, comment=one.comment, subject=one.subject, created=one.created
    )
