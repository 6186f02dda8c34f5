"""Operations on OpenPGP keys (`store.pgp_admin`): by fingerprint, its beginning, or key ID. No secret leaves here."""

from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router
from ninja.responses import Status
from pydantic import Field, SecretStr, StrictBool

from mailseal.errors import PermanentError
from mailseal.mail.address import Address
from mailseal.openpgp.certificate import PgpTrust
from mailseal.store import console_jobs, pgp_admin
from mailseal.store.owners import read_owner
from mailseal.store.pgp_rows import PgpUse
from mailseal.store.row import OWNER_CHARS
from mailseal.web.access import Area, Verb
from mailseal.web.api import etag
from mailseal.web.api.authentication import needs, principal
from mailseal.web.api.body import FILE_BODY_BYTES, File
from mailseal.web.api.certificate_shapes import Choice
from mailseal.web.api.holdings import limits, require_all
from mailseal.web.api.paging import ITEMS, After, Limit, Page, page
from mailseal.web.api.pgp_found import find, owners_of, to_change
from mailseal.web.api.pgp_shapes import (
    PgpImportShown,
    PgpShown,
    PgpWanted,
    PgpWithText,
    shown,
    shown_with_text,
)
from mailseal.web.api.problem import conflict, not_found
from mailseal.web.api.shapes import Given
from mailseal.web.api.work import worked

router = Router()
_AREA = Area.PGP
WithKey = Annotated[bool, Query(description="Also its secret keys, for good: what is encrypted to it is lost.")]


class RingGiven(Given):
    """A keyring, armored or binary, with public or secret keys. The worker reads it, not the web."""

    file: File
    password: SecretStr = SecretStr("")
    trust: StrictBool = Field(default=False, description="Vouch for them: mail is encrypted to them.")


class SubkeyGiven(Given):
    """The one key of a certificate that mail is encrypted to."""

    subkey: str = Field(max_length=100, description='Its fingerprint, the end of it, or its key ID; "" for all.')


@router.get("", response=Page[PgpShown], auth=needs(_AREA), operation_id="list_pgp_keys")
def list_pgp_keys(
    request: HttpRequest, wanted: Annotated[PgpWanted, Query()], after: After = "", limit: Limit = ITEMS
) -> Page[PgpShown]:
    """OpenPGP keys, those stored last first."""
    rows = pgp_admin.list_keys(
        address=None if wanted.address is None else Address.parse(wanted.address),
        domains=principal(request).domains_for(_AREA),
        before=after or None,
        limit=limit + 1,
        **wanted.model_dump(exclude={"address"}),
    )
    return page(rows, limit, show=shown, key=lambda one: one.fingerprint)


@router.post(
    "/import",
    response=worked(PgpImportShown),
    auth=needs(_AREA, Verb.CHANGE, body_bytes=FILE_BODY_BYTES),
    operation_id="import_pgp_keys",
)
def import_pgp_keys(request: HttpRequest, given: RingGiven) -> PgpImportShown:
    """Import a keyring. Public keys are candidates until they are trusted; whose secret key comes along is ours."""
    arguments = {
        "password": given.password.get_secret_value(),
        "trust": given.trust,
        "domains": limits(request, _AREA, Verb.CHANGE),
    }
    return PgpImportShown(**console_jobs.call("pgp-import", arguments, blob=given.file))


@router.get("/{key}", response=PgpWithText, auth=needs(_AREA), operation_id="get_pgp_key")
def get_pgp_key(request: HttpRequest, key: str) -> PgpWithText:
    """One key, with its armored public part."""
    return shown_with_text(find(request, key))


@router.delete("/{key}", response={204: None}, auth=needs(_AREA, Verb.CHANGE), operation_id="delete_pgp_key")
def delete_pgp_key(request: HttpRequest, key: str, with_key: WithKey = False) -> Status[None]:  # noqa: FBT002 -- a query
    """Delete a key. One whose secret key is here only by asking for that too (409)."""

    def write() -> None:
        info = to_change(request, key)
        if info.keys and not with_key:
            raise conflict("its secret key is here: ask with with_key=true to delete that as well", kind="secret-key")
        pgp_admin.delete(info.fingerprint)

    etag.change(request, lambda: shown_with_text(find(request, key)), write)
    return Status(204, None)


@router.post("/{key}/trust", response=PgpShown, auth=needs(_AREA, Verb.CHANGE), operation_id="trust_pgp_key")
def trust_pgp_key(request: HttpRequest, key: str) -> PgpShown:
    """Have mail encrypted to it, and signatures by it believed, for all its user IDs. Compare the fingerprint first."""
    return shown(pgp_admin.trust(to_change(request, key).fingerprint))


@router.post("/{key}/distrust", response=PgpShown, auth=needs(_AREA, Verb.CHANGE), operation_id="distrust_pgp_key")
def distrust_pgp_key(request: HttpRequest, key: str) -> PgpShown:
    """Never use it, whoever brings or certifies it, until it is trusted."""
    return shown(pgp_admin.distrust(to_change(request, key).fingerprint))


@router.put("/{key}/subkey", response=PgpShown, auth=needs(_AREA, Verb.CHANGE), operation_id="choose_pgp_subkey")
def choose_pgp_subkey(request: HttpRequest, key: str, given: SubkeyGiven) -> PgpShown:
    """Encrypt to one key of a certificate, or again to all that can be encrypted to."""
    return shown(pgp_admin.choose_subkey(to_change(request, key).fingerprint, given.subkey))


@router.put(
    "/{key}/{choice}/{path:owner}", response=PgpShown, auth=needs(_AREA, Verb.CHANGE), operation_id="use_pgp_key"
)
def use_pgp_key(request: HttpRequest, key: str, choice: Choice, owner: str) -> PgpShown:
    """Choose a key by hand for an address, a domain or a wildcard, which trusts it; or share its secret keys."""
    require_all(request, _AREA, Verb.CHANGE, [read_owner(owner[:OWNER_CHARS])[1]])
    info = find(request, key)
    if choice is Choice.SHARED or info.trust is PgpTrust.CANDIDATE:  # it becomes trusted for all its user IDs
        require_all(request, _AREA, Verb.CHANGE, owners_of(info))
    return shown(pgp_admin.use(info.fingerprint, owner, PgpUse(choice.value)))


@router.delete(
    "/{key}/{choice}/{path:owner}",
    response={204: None},
    auth=needs(_AREA, Verb.CHANGE),
    operation_id="stop_using_pgp_key",
)
def stop_using_pgp_key(request: HttpRequest, key: str, choice: Choice, owner: str) -> Status[None]:
    """No longer choose it for them, or share its keys with them. It stays trusted."""
    require_all(request, _AREA, Verb.CHANGE, [read_owner(owner[:OWNER_CHARS])[1]])
    info = find(request, key)
    try:
        stopped = pgp_admin.stop_using(info.fingerprint, owner, PgpUse(choice.value))
    except PermanentError:
        stopped = False
    if not stopped:
        raise not_found("choice")
    return Status(204, None)
