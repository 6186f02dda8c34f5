"""Operations on trust anchors (`store.trust`): what a certificate's path has to lead to."""

from django.http import HttpRequest
from ninja import Router
from ninja.responses import Status

from mailseal.store import certificate_admin, console_jobs, trust
from mailseal.store.certificate_admin import CertificateInfo, NoSuchCertificateError
from mailseal.store.certificate_rows import Purpose
from mailseal.web.access import Area, Verb
from mailseal.web.api import etag
from mailseal.web.api.authentication import needs
from mailseal.web.api.body import FILE_BODY_BYTES
from mailseal.web.api.certificate_shapes import (
    CertificateShown,
    CertificateWithText,
    StoredShown,
    shown,
    shown_with_text,
)
from mailseal.web.api.certificates import FileGiven
from mailseal.web.api.paging import ITEMS, After, Limit, Page, page
from mailseal.web.api.problem import not_found
from mailseal.web.api.work import worked

router = Router()


@router.get("", response=Page[CertificateShown], auth=needs(Area.TRUST), operation_id="list_roots")
def list_roots(request: HttpRequest, after: After = "", limit: Limit = ITEMS) -> Page[CertificateShown]:
    """Trusted roots, the newest first."""
    rows = trust.list_roots(before=after or None, limit=limit + 1)
    return page(rows, limit, show=shown, key=lambda one: one.fingerprint)


@router.post(
    "/import",
    response=worked(StoredShown),
    auth=needs(Area.TRUST, Verb.CHANGE, body_bytes=FILE_BODY_BYTES),
    operation_id="import_roots",
)
def import_roots(request: HttpRequest, given: FileGiven) -> StoredShown:
    """Trust the CA certificates of a file as roots; what hangs below them is judged again."""
    return StoredShown(**console_jobs.call("root-import", {}, blob=given.file))


@router.get("/{fingerprint}", response=CertificateWithText, auth=needs(Area.TRUST), operation_id="get_root")
def get_root(request: HttpRequest, fingerprint: str) -> CertificateWithText:
    """One root, by its fingerprint or the beginning of it."""
    return shown_with_text(_find(fingerprint))


@router.delete("/{fingerprint}", response={204: None}, auth=needs(Area.TRUST, Verb.CHANGE), operation_id="delete_root")
def delete_root(request: HttpRequest, fingerprint: str) -> Status[None]:
    """Trust a root no longer; what stood on it is untrusted at once."""
    info = _find(fingerprint)
    etag.require(request, lambda: shown_with_text(info))
    trust.delete_root(info.fingerprint)
    return Status(204, None)


def _find(fingerprint: str) -> CertificateInfo:
    try:
        info = certificate_admin.show(fingerprint)
    except NoSuchCertificateError:
        raise not_found("root") from None
    if info.purpose is not Purpose.ROOT:
        raise not_found("root")
    return info
