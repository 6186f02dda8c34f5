"""Operations on DKIM keys (`store.dkim_keys`, RFC 6376): which sign, and the record that each needs in the DNS."""

from datetime import datetime
from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router
from ninja.responses import Status
from pydantic import Field, SecretStr, StrictBool

from mailseal.dkim.record import strings_of
from mailseal.mail.address import domain_to_ascii
from mailseal.store import console_jobs, dkim_keys
from mailseal.store.dkim_keys import DkimKeyError, DkimKeyInfo, DkimKind
from mailseal.web.access import Area, Verb
from mailseal.web.api import etag
from mailseal.web.api.authentication import needs, principal, reach
from mailseal.web.api.body import FILE_BODY_BYTES, File
from mailseal.web.api.paging import ITEMS, After, Limit, Page, page
from mailseal.web.api.problem import conflict, not_found
from mailseal.web.api.shapes import Given, Shown
from mailseal.web.api.work import worked

router = Router()
_AREA = Area.DKIM
_CHANGE = needs(_AREA, Verb.CHANGE)
NAME_CHARS = 255


class DkimShown(Shown):
    """A key, and what has to be in the DNS."""

    domain: str
    selector: str
    algorithm: str
    active: bool = Field(description="Mail is signed with it.")
    published: datetime | None = Field(description="When its record was last seen in the DNS.")
    name: str = Field(description="Of the TXT record.")
    record: str = Field(description="Its text.")
    strings: list[str] = Field(description="The same in pieces of 255 octets at most, as zone files want it.")
    spki_sha256: str
    created: datetime


class DkimNamed(Shown):
    """A key that was made or changed."""

    domain: str
    selector: str


class DkimAnswer(Shown):
    """What the DNS says of a key."""

    state: str = Field(description="published, not published, wrong, unknown.")
    text: str
    what_to_do: str


class DkimGiven(Given):
    """A key to make. It signs nothing until it is enabled."""

    domain: str = Field(min_length=1, max_length=NAME_CHARS)
    selector: str = Field("", max_length=NAME_CHARS, description="Made of the day and the algorithm without.")
    kind: DkimKind = DkimKind.RSA


class DkimFileGiven(Given):
    """A key of another signer: PEM, or a bare Ed25519 seed in Base64."""

    domain: str = Field(min_length=1, max_length=NAME_CHARS)
    selector: str = Field(min_length=1, max_length=NAME_CHARS)
    file: File
    password: SecretStr = SecretStr("")


class EnableGiven(Given):
    """Whether to look first."""

    unchecked: StrictBool = Field(default=False, description="Without looking whether the record is published.")


@router.get("", response=Page[DkimShown], auth=needs(_AREA), operation_id="list_dkim_keys")
def list_dkim_keys(
    request: HttpRequest,
    domain: Annotated[str, Query(max_length=NAME_CHARS, description="Only those of one domain.")] = "",
    after: After = "",
    limit: Limit = ITEMS,
) -> Page[DkimShown]:
    """Keys by domain and selector."""
    last, _, selector = after.partition("/")
    rows = dkim_keys.list_keys(
        domain,
        domains=principal(request).domains_for(_AREA),
        after=(last, selector) if after else None,
        limit=limit + 1,
    )
    return page(rows, limit, show=_shown, key=lambda one: f"{one.domain}/{one.selector}")


@router.post("/generate", response=worked(DkimNamed), auth=_CHANGE, operation_id="generate_dkim_key")
def generate_dkim_key(request: HttpRequest, given: DkimGiven) -> DkimNamed:
    """Make a key."""
    domain = _reached(request, given.domain, Verb.CHANGE)
    arguments = {"domain": domain, "selector": given.selector, "kind": given.kind.value}
    return DkimNamed(**console_jobs.call("dkim-generate", arguments))


@router.post(
    "/import",
    response=worked(DkimNamed),
    auth=needs(_AREA, Verb.CHANGE, body_bytes=FILE_BODY_BYTES),
    operation_id="import_dkim_key",
)
def import_dkim_key(request: HttpRequest, given: DkimFileGiven) -> DkimNamed:
    """Take a key over from another signer. It signs nothing until it is enabled."""
    domain = _reached(request, given.domain, Verb.CHANGE)
    arguments = {"domain": domain, "selector": given.selector, "password": given.password.get_secret_value()}
    return DkimNamed(**console_jobs.call("dkim-import", arguments, blob=given.file))


@router.get("/{domain}/{selector}", response=DkimShown, auth=needs(_AREA), operation_id="get_dkim_key")
def get_dkim_key(request: HttpRequest, domain: str, selector: str) -> DkimShown:
    """One key."""
    return _shown(_find(request, domain, selector, Verb.SEE))


@router.delete("/{domain}/{selector}", response={204: None}, auth=_CHANGE, operation_id="delete_dkim_key")
def delete_dkim_key(request: HttpRequest, domain: str, selector: str) -> Status[None]:
    """Delete a key with its private half, for good. Not one that signs (409)."""

    def write() -> None:
        info = _find(request, domain, selector, Verb.CHANGE)
        if info.active:
            raise conflict("this key signs mail: disable it first", kind="in-use")
        dkim_keys.remove(info.domain, info.selector)

    etag.change(request, lambda: _shown(_find(request, domain, selector, Verb.SEE)), write)
    return Status(204, None)


@router.post("/{domain}/{selector}/check", response=worked(DkimAnswer), auth=_CHANGE, operation_id="check_dkim_key")
def check_dkim_key(request: HttpRequest, domain: str, selector: str) -> DkimAnswer:
    """Look the record of a key up in the DNS and compare."""
    return DkimAnswer(**console_jobs.call("dkim-check", _named(_find(request, domain, selector, Verb.CHANGE))))


@router.post("/{domain}/{selector}/enable", response=worked(DkimNamed), auth=_CHANGE, operation_id="enable_dkim_key")
def enable_dkim_key(request: HttpRequest, domain: str, selector: str, given: EnableGiven) -> DkimNamed:
    """Sign with a key from now on, if the DNS has its record: a signature that nobody can verify does harm."""
    arguments = _named(_find(request, domain, selector, Verb.CHANGE)) | {"unchecked": given.unchecked}
    return DkimNamed(**console_jobs.call("dkim-enable", arguments))


@router.post("/{domain}/{selector}/disable", response=DkimShown, auth=_CHANGE, operation_id="disable_dkim_key")
def disable_dkim_key(request: HttpRequest, domain: str, selector: str) -> DkimShown:
    """Sign no more with a key. Leave its record in the DNS for a week: mail that it signed is still under way."""
    info = _find(request, domain, selector, Verb.CHANGE)
    return _shown(dkim_keys.set_active(info.domain, info.selector, active=False))


def _reached(request: HttpRequest, domain: str, verb: Verb) -> str:
    name = domain_to_ascii(domain.strip())
    reach(request, _AREA, verb, domain=name, what="key")
    return name


def _find(request: HttpRequest, domain: str, selector: str, verb: Verb) -> DkimKeyInfo:
    name = _reached(request, domain, verb)
    try:
        return dkim_keys.find(name, selector)
    except DkimKeyError:
        raise not_found("key") from None


def _named(info: DkimKeyInfo) -> dict[str, object]:
    return {"domain": info.domain, "selector": info.selector}


def _shown(one: DkimKeyInfo) -> DkimShown:
    return DkimShown(
        domain=one.domain,
        selector=one.selector,
        algorithm=one.algorithm,
        active=one.active,
        published=one.published,
        name=one.name,
        record=one.record,
        strings=list(strings_of(one.record)),
        spki_sha256=one.spki_sha256,
        created=one.created,
    )
