"""Operations on certificates of our own servers (`store.tls_identities`), those of the node that answers."""

from datetime import datetime
from typing import Annotated

from django.http import HttpRequest
from ninja import Router
from ninja.responses import Status
from pydantic import Field, SecretStr

from mailseal.store import console_jobs, tls_identities
from mailseal.store.tls_identities import Server, Source, TlsIdentity
from mailseal.web.access import Area, Verb
from mailseal.web.api.authentication import needs
from mailseal.web.api.body import FILE_BODY_BYTES, File
from mailseal.web.api.problem import not_found
from mailseal.web.api.shapes import Given, Shown
from mailseal.web.api.work import worked

router = Router()
_AREA = Area.TRUST
_CHANGE = needs(_AREA, Verb.CHANGE)
_FILE = needs(_AREA, Verb.CHANGE, body_bytes=FILE_BODY_BYTES)
NAME_CHARS = 255
URL_CHARS = 500
KEY_CHARS = 128 * 1024

Names = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=NAME_CHARS)]],
    Field(default_factory=list, max_length=50, description="Host names and IP addresses; the node's own name if none."),
]


class ServerCertificateShown(Shown):
    """A certificate that is shown, or one that is asked for."""

    purpose: Server
    source: Source
    asked: bool = Field(description="A CA has still to issue it; what is shown stays until then.")
    node: str
    names: list[str]
    pem: str = Field(description="The chain; of one that is asked for, the request (CSR).")
    issuer: str
    fingerprint: str = Field(description="SHA-256, in hexadecimal.")
    not_before: datetime | None
    not_after: datetime | None
    renewed: datetime | None = Field(description="When the worker renews it, or asks again.")
    directory: str = Field(description="Where ACME asks.")
    problem: str = Field(description="What the CA said last.")


class ServerCertificates(Shown):
    """At most one that is shown and one that is asked for, of each purpose."""

    items: list[ServerCertificateShown]


class ServerCertificateMade(Shown):
    """Which it is."""

    purpose: Server
    asked: bool


class NamesGiven(Given):
    """For which hosts."""

    names: Names


class AcmeGiven(Given):
    """Where to ask, and whom the CA may write to."""

    names: Names
    directory: str = Field(min_length=1, max_length=URL_CHARS, description="The CA's, an https URL.")
    contact: str = Field("", max_length=254)
    agreed: bool = Field(description="To the terms of the CA, which issues to nobody else.")


class ChainGiven(Given):
    """What a CA has issued, with its issuers: PEM."""

    chain: File


class PairGiven(Given):
    """A certificate with its key, from elsewhere: PEM."""

    chain: File
    key: SecretStr = Field(max_length=KEY_CHARS)
    password: SecretStr = SecretStr("")


@router.get("", response=ServerCertificates, auth=needs(_AREA), operation_id="list_server_certificates")
def list_server_certificates(request: HttpRequest) -> ServerCertificates:
    """All of this node."""
    return ServerCertificates(items=[_shown(one) for one in tls_identities.list_identities()])


@router.post(
    "/{purpose}/self-signed",
    response=worked(ServerCertificateMade),
    auth=_CHANGE,
    operation_id="make_server_certificate",
)
def make_server_certificate(
    request: HttpRequest,
    purpose: Server,
    given: NamesGiven,
) -> ServerCertificateMade:
    """Make one that nobody vouches for, and show it. The worker renews it."""
    return _made("self-signed", {"purpose": purpose.value, "names": given.names})


@router.post(
    "/{purpose}/import",
    response=worked(ServerCertificateMade),
    auth=_FILE,
    operation_id="import_server_certificate",
)
def import_server_certificate(
    request: HttpRequest,
    purpose: Server,
    given: PairGiven,
) -> ServerCertificateMade:
    """Show one from elsewhere."""
    secrets = {"key": given.key.get_secret_value(), "password": given.password.get_secret_value()}
    return _made("import", {"purpose": purpose.value, **secrets}, given.chain)


@router.post(
    "/{purpose}/request",
    response=worked(ServerCertificateMade),
    auth=_CHANGE,
    operation_id="request_server_certificate",
)
def request_server_certificate(
    request: HttpRequest,
    purpose: Server,
    given: NamesGiven,
) -> ServerCertificateMade:
    """Make a key and a request for a CA, which the list then has. What is shown stays."""
    return _made("request", {"purpose": purpose.value, "names": given.names})


@router.post(
    "/{purpose}/accept",
    response=worked(ServerCertificateMade),
    auth=_FILE,
    operation_id="accept_server_certificate",
)
def accept_server_certificate(
    request: HttpRequest,
    purpose: Server,
    given: ChainGiven,
) -> ServerCertificateMade:
    """Show what a CA has made of the request."""
    return _made("accept", {"purpose": purpose.value}, given.chain)


@router.post(
    "/{purpose}/acme", response=worked(ServerCertificateMade), auth=_CHANGE, operation_id="acme_server_certificate"
)
def acme_server_certificate(
    request: HttpRequest,
    purpose: Server,
    given: AcmeGiven,
) -> ServerCertificateMade:
    """Have the worker get one from a CA by ACME, now and again in time. The list tells what came of it."""
    if not given.agreed:
        raise console_jobs.ActionFailed("a CA issues only to who agrees to its terms", transient=False)
    asked = {"names": given.names, "directory": given.directory, "contact": given.contact}
    return _made("acme", {"purpose": purpose.value, **asked})


@router.delete("/{purpose}/request", response={204: None}, auth=_CHANGE, operation_id="cancel_server_certificate")
def cancel_server_certificate(
    request: HttpRequest,
    purpose: Server,
) -> Status[None]:
    """Give up what is asked for; what is shown stays."""
    if not tls_identities.drop_request(purpose):
        raise not_found("request")
    return Status(204, None)


def _made(action: str, arguments: dict[str, object], blob: bytes = b"") -> ServerCertificateMade:
    return ServerCertificateMade(**console_jobs.call(f"server-certificate-{action}", arguments, blob=blob))


def _shown(one: TlsIdentity) -> ServerCertificateShown:
    return ServerCertificateShown(
        purpose=one.purpose,
        source=one.source,
        asked=one.asked,
        node=one.node,
        names=list(one.names),
        pem=one.pem,
        issuer=one.issuer,
        fingerprint=one.fingerprint,
        not_before=one.not_before,
        not_after=one.not_after,
        renewed=one.due,
        directory=one.directory,
        problem=one.problem,
    )
