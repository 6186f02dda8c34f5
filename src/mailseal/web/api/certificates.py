"""Operations on certificates, with and without private keys (`store.certificate_admin`). No private key leaves here."""

from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router
from ninja.responses import Status
from pydantic import Field, SecretStr, StrictBool

from mailseal.mail.address import Address
from mailseal.store import certificate_admin, console_jobs
from mailseal.store.certificate_admin import CertificateInfo, NoSuchCertificateError
from mailseal.store.certificate_rows import Purpose, Use
from mailseal.store.owners import read_owner
from mailseal.store.row import OWNER_CHARS
from mailseal.web.access import Area, Verb
from mailseal.web.api import etag
from mailseal.web.api.authentication import needs, principal
from mailseal.web.api.body import FILE_BODY_BYTES, File
from mailseal.web.api.certificate_shapes import (
    CertificateShown,
    CertificateWanted,
    CertificateWithText,
    Choice,
    FingerprintsShown,
    ImportShown,
    shown,
    shown_with_text,
)
from mailseal.web.api.holdings import limits, reach_some, require_all
from mailseal.web.api.paging import ITEMS, After, Limit, Page, page
from mailseal.web.api.problem import not_found
from mailseal.web.api.shapes import Given
from mailseal.web.api.work import worked

router = Router()
_AREA = Area.CERTIFICATES
WithKey = Annotated[bool, Query(description="Also its private key, for good: what is encrypted to it is lost.")]


class FileGiven(Given):
    """A file with certificates: PEM, DER, PKCS#7."""

    file: File


class ImportGiven(FileGiven):
    """A file with certificates, and with private keys too: PKCS#12 or PEM. The worker reads it, not the web."""

    password: SecretStr = SecretStr("")
    bind_keys: StrictBool = Field(
        default=False, description="Let certificates renewed for a stored key use it. Not for domains alone."
    )


@router.get("", response=Page[CertificateShown], auth=needs(_AREA), operation_id="list_certificates")
def list_certificates(
    request: HttpRequest, wanted: Annotated[CertificateWanted, Query()], after: After = "", limit: Limit = ITEMS
) -> Page[CertificateShown]:
    """Certificates, the newest first."""
    filters = wanted.model_dump(exclude={"address"})
    rows = certificate_admin.list_certificates(
        address=None if wanted.address is None else Address.parse(wanted.address),
        domains=principal(request).domains_for(_AREA),
        before=after or None,
        limit=limit + 1,
        **filters,
    )
    return page(rows, limit, show=shown, key=lambda one: one.fingerprint)


@router.post(
    "/import",
    response=worked(ImportShown),
    auth=needs(_AREA, Verb.CHANGE, body_bytes=FILE_BODY_BYTES),
    operation_id="import_certificates",
)
def import_certificates(request: HttpRequest, given: ImportGiven) -> ImportShown:
    """Import certificates and private keys out of a file. What is known is only counted; CAs become intermediates."""
    arguments = {
        "password": given.password.get_secret_value(),
        "bind_keys": given.bind_keys,
        "domains": limits(request, _AREA, Verb.CHANGE),
    }
    return ImportShown(**console_jobs.call("certificate-import", arguments, blob=given.file))


@router.post(
    "/fingerprints",
    response=worked(FingerprintsShown),
    auth=needs(_AREA, body_bytes=FILE_BODY_BYTES),
    operation_id="read_fingerprints",
)
def read_fingerprints(request: HttpRequest, given: FileGiven) -> FingerprintsShown:
    """The fingerprints of the certificates of a file and of their keys, as TLS policies take them. Nothing is kept."""
    return FingerprintsShown(**console_jobs.call("certificate-fingerprints", {}, blob=given.file))


@router.get("/{fingerprint}", response=CertificateWithText, auth=needs(_AREA), operation_id="get_certificate")
def get_certificate(request: HttpRequest, fingerprint: str) -> CertificateWithText:
    """One certificate, by its SHA-256 fingerprint or the beginning of it."""
    return shown_with_text(_find(request, fingerprint))


@router.delete(
    "/{fingerprint}", response={204: None}, auth=needs(_AREA, Verb.CHANGE), operation_id="delete_certificate"
)
def delete_certificate(request: HttpRequest, fingerprint: str, with_key: WithKey = False) -> Status[None]:  # noqa: FBT002 -- a query
    """Delete a certificate. A root is deleted at `/roots`."""
    info = _to_change(request, fingerprint)
    etag.require(request, lambda: shown_with_text(info))
    if with_key and info.has_key:  # before: it may be refused
        _require_key(request, info)
        certificate_admin.delete_private_key(info.fingerprint)
    certificate_admin.delete(info.fingerprint)
    return Status(204, None)


@router.delete(
    "/{fingerprint}/private-key",
    response={204: None},
    auth=needs(_AREA, Verb.CHANGE),
    operation_id="delete_private_key",
)
def delete_private_key(request: HttpRequest, fingerprint: str) -> Status[None]:
    """Delete the private key of a certificate, for good; the certificate stays."""
    info = _to_change(request, fingerprint)
    etag.require(request, lambda: shown_with_text(info))
    _require_key(request, info)
    if not certificate_admin.delete_private_key(info.fingerprint):
        raise not_found("private key")
    return Status(204, None)


@router.post(
    "/{fingerprint}/accept",
    response=CertificateShown,
    auth=needs(_AREA, Verb.CHANGE),
    operation_id="accept_certificate",
)
def accept_certificate(request: HttpRequest, fingerprint: str) -> CertificateShown:
    """Take a certificate that came with a mail as if it were imported; its key is no longer in question."""
    return shown(certificate_admin.accept(_to_change(request, fingerprint).fingerprint))


@router.put(
    "/{fingerprint}/{choice}/{path:owner}",
    response=CertificateShown,
    auth=needs(_AREA, Verb.CHANGE),
    operation_id="use_certificate",
)
def use_certificate(request: HttpRequest, fingerprint: str, choice: Choice, owner: str) -> CertificateShown:
    """Choose a certificate by hand for an address, a domain or a wildcard; or share its private key with them."""
    info = _for_owner(request, fingerprint, choice, owner)
    certificate_admin.use(info.fingerprint, owner, Use(choice.value))
    return shown(_find(request, info.fingerprint))


@router.delete(
    "/{fingerprint}/{choice}/{path:owner}",
    response={204: None},
    auth=needs(_AREA, Verb.CHANGE),
    operation_id="stop_using_certificate",
)
def stop_using_certificate(request: HttpRequest, fingerprint: str, choice: Choice, owner: str) -> Status[None]:
    """No longer choose it for them, or share its key with them."""
    require_all(request, _AREA, Verb.CHANGE, [read_owner(owner[:OWNER_CHARS])[1]])
    info = _find(request, fingerprint)
    if not certificate_admin.stop_using(info.fingerprint, owner, Use(choice.value)):
        raise not_found("choice")
    return Status(204, None)


def _for_owner(request: HttpRequest, fingerprint: str, choice: Choice, owner: str) -> CertificateInfo:
    """What may be chosen for, or shared with, an owner: a key opens mail, so it has to be the caller's to give.

    What came with a mail is accepted by choosing it, for all whom it names.
    """
    require_all(request, _AREA, Verb.CHANGE, [read_owner(owner[:OWNER_CHARS])[1]])
    info = _find(request, fingerprint)
    return _to_change(request, info.fingerprint) if choice is Choice.SHARED or info.candidate else info


def _require_key(request: HttpRequest, info: CertificateInfo) -> None:
    """Other certificates, and OpenPGP keys, may have the same private key."""
    require_all(request, _AREA, Verb.CHANGE, certificate_admin.owners_of_key(info.fingerprint))


def _find(request: HttpRequest, fingerprint: str) -> CertificateInfo:
    try:
        info = certificate_admin.show(fingerprint)
    except NoSuchCertificateError:
        raise not_found("certificate") from None
    reach_some(request, _AREA, [owner for owner, _ in info.uses], "certificate")
    return info


def _to_change(request: HttpRequest, fingerprint: str) -> CertificateInfo:
    info = _find(request, fingerprint)
    require_all(request, _AREA, Verb.CHANGE, [owner for owner, _ in info.uses])
    if info.purpose is Purpose.ROOT:
        raise not_found("certificate")
    return info
