"""Certificates of our own servers at rest: self-signed, brought along, requested, or asked for by ACME.

One is shown and one may be asked for, per node and purpose. What is shown stays until the next one is complete.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit
from uuid import UUID

from mailseal.errors import PermanentError
from mailseal.keys.sealing import SealError, sealed_by
from mailseal.keys.tls_certificate import (
    Chain,
    ServerKey,
    key_pem,
    new_key,
    read_chain,
    read_key,
    request,
    self_signed,
    server_names,
)
from mailseal.store.audit import facts, record
from mailseal.store.configure import this_node
from mailseal.store.private_keys import Sealing
from mailseal.store.row import storable, utc_now, uuid7
from mailseal.store.tls_identity_models import AcmeAccountRow, AcmeAnswerRow, TlsIdentityRow
from mailseal.store.transaction import reads, run, writes

RENEW_SELF_SIGNED = timedelta(days=30)
ACME_RENEWS_AFTER = 2 / 3
"""Of its life (RFC 8555 has no rule; CAs advise a third before the end)."""
TRY_AGAIN = timedelta(hours=6)
ANSWERS_KEPT = timedelta(days=1)
MAX_PROBLEM_CHARS = 500


class Server(StrEnum):
    """Whose certificate: of the console's HTTPS, or of SMTP with STARTTLS (our listeners and Postfix)."""

    CONSOLE = "console"
    MAIL = "mail"


class Source(StrEnum):
    """Where it came from, and so who renews it."""

    SELF_SIGNED = "self-signed"
    UPLOADED = "uploaded"
    REQUESTED = "requested"
    ACME = "acme"


_SHOWN, _ASKED = "shown", "asked"


class TlsIdentityError(PermanentError):
    """There is no such certificate or request. `what_to_do` is for the administrator."""

    def __init__(self, text: str, what_to_do: str = "`mailseal tls-certificate list` shows what there is") -> None:
        super().__init__(text)
        self.what_to_do = what_to_do


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """A certificate that is shown, or one that is asked for (`asked`; `pem` is then its request)."""

    id: UUID
    node: str
    purpose: Server
    source: Source
    asked: bool
    names: tuple[str, ...]
    pem: str
    issuer: str
    fingerprint: str
    not_before: datetime | None
    not_after: datetime | None
    due: datetime | None
    directory: str
    problem: str
    created: datetime


def identity(row_id: UUID) -> bytes:
    """What a sealed key is bound to."""
    return b"store_tls_identity:sealed:" + row_id.bytes


def account_identity(directory: str) -> bytes:
    """What the sealed key of an ACME account is bound to."""
    return b"store_acme_account:sealed:" + directory.encode()


@reads
def list_identities(*, node: str | None = None) -> tuple[TlsIdentity, ...]:
    """All of this node, or of another; those that are shown first."""
    rows = TlsIdentityRow.objects.filter(node=this_node() if node is None else node).defer("sealed")
    return tuple(_identity(row) for row in rows.order_by("purpose", "-state"))


def shown(purpose: Server) -> TlsIdentity | None:
    """What this node shows."""
    return next((one for one in list_identities() if one.purpose is purpose and not one.asked), None)


def make_self_signed(
    purpose: Server, names: Sequence[str], sealing: Sealing, *, ends_request: bool = True
) -> TlsIdentity:
    """A new key and a certificate that says so itself, shown from now on; raises TlsCertificateError.

    `ends_request`: what is asked meanwhile is asked no more, since somebody wants this one.
    """
    key = new_key()
    chain = self_signed(key, names, utc_now())
    renew_at = chain.not_after - RENEW_SELF_SIGNED
    return _show(purpose, Source.SELF_SIGNED, chain, key, sealing, due=renew_at, ends_request=ends_request)


def bring_along(
    purpose: Server, chain_pem: bytes, key: bytes, sealing: Sealing, *, password: bytes | None = None
) -> TlsIdentity:
    """A certificate with its key, from elsewhere; raises TlsCertificateError."""
    opened = read_key(key, password)
    return _show(purpose, Source.UPLOADED, _current(read_chain(chain_pem, opened)), opened, sealing)


def ask(purpose: Server, names: Sequence[str], sealing: Sealing) -> TlsIdentity:
    """A new key and a request for a CA; what is shown stays until `accept`. Raises TlsCertificateError."""
    key, checked = new_key(), server_names(names)
    return _ask(purpose, Source.REQUESTED, checked, request(key, checked).decode(), key, sealing)


def accept(purpose: Server, chain_pem: bytes, sealing: Sealing) -> TlsIdentity:
    """What the CA has made of the request; raises TlsIdentityError, TlsCertificateError."""
    row = _asked(purpose)
    if row is None:
        raise TlsIdentityError(f"nothing is asked for the {purpose}", "`mailseal tls-certificate request` first")
    key = read_key(sealing.open(bytes(row.sealed), identity=identity(row.pk)))
    return _show(purpose, Source.REQUESTED, _current(read_chain(chain_pem, key)), key, sealing)


def ask_by_acme(purpose: Server, names: Sequence[str], directory: str, contact: str, sealing: Sealing) -> TlsIdentity:
    """Have the worker ask a CA by ACME now, and again in time; raises TlsCertificateError, TlsIdentityError."""
    key, checked = new_key(), server_names(names)
    if any(one.startswith("*.") for one in checked):
        raise TlsIdentityError("a wildcard cannot be had by the HTTP challenge", "name the hosts one by one")
    parts = urlsplit(directory)
    if parts.scheme != "https" or not parts.hostname or len(directory) > 500:
        raise TlsIdentityError("the directory of a CA is an https URL", "for example that of Let's Encrypt")
    _account(directory, contact, sealing)
    return _ask(
        purpose, Source.ACME, checked, request(key, checked).decode(), key, sealing, directory=directory, due=utc_now()
    )


@writes
def drop_request(purpose: Server) -> bool:
    """Ask no more; False: nothing was asked."""
    deleted, _ = TlsIdentityRow.objects.filter(node=this_node(), purpose=purpose, state=_ASKED).delete()
    if deleted:
        record("tls", "drop-request", purpose.value)
    return bool(deleted)


def private_pem(one: TlsIdentity, sealing: Sealing) -> bytes:
    """Its key, PEM without a password; raises TlsIdentityError, SealError."""
    row = run(lambda: TlsIdentityRow.objects.filter(pk=one.id).first())
    if row is None:
        raise TlsIdentityError(f"the certificate of the {one.purpose} has been replaced just now")
    return sealing.open(bytes(row.sealed), identity=identity(row.pk))


def to_renew(known: Sequence[TlsIdentity], now: datetime) -> tuple[TlsIdentity, ...]:
    """Those of a node's that are due; one that came by ACME only if nothing is asked in its place."""
    asked = {one.purpose for one in known if one.asked}
    return tuple(
        one
        for one in known
        if one.due is not None
        and one.due <= now
        and (one.asked or one.source is not Source.ACME or one.purpose not in asked)
    )


def begin_renewal(one: TlsIdentity, sealing: Sealing) -> TlsIdentity:
    """Ask anew for what is shown and came by ACME."""
    account = run(lambda: AcmeAccountRow.objects.filter(directory=one.directory).first())
    contact = account.contact if account else ""
    return ask_by_acme(one.purpose, one.names, one.directory, contact, sealing)


def issued(one: TlsIdentity, chain_pem: bytes, sealing: Sealing) -> TlsIdentity:
    """Show what the CA has issued for `one`; raises TlsCertificateError, TlsIdentityError."""
    key = read_key(private_pem(one, sealing))
    chain = _current(read_chain(chain_pem, key))
    renew_at = chain.not_before + (chain.not_after - chain.not_before) * ACME_RENEWS_AFTER
    return _show(one.purpose, Source.ACME, chain, key, sealing, due=renew_at, directory=one.directory)


@writes
def failed(one: TlsIdentity, problem: str) -> None:
    """It did not work this time; it is tried again."""
    rows = TlsIdentityRow.objects.filter(pk=one.id)
    rows.update(problem=storable(problem)[:MAX_PROBLEM_CHARS], due=utc_now() + TRY_AGAIN)


# ---- ACME's own


@dataclass(frozen=True, slots=True)
class AcmeAccount:
    """`key`: PEM. `uri`: "" before the CA knows us."""

    directory: str
    uri: str
    contact: str
    key: bytes


def account(directory: str, sealing: Sealing) -> AcmeAccount:
    """Our account at a CA; raises TlsIdentityError, SealError."""
    row = run(lambda: AcmeAccountRow.objects.filter(directory=directory).first())
    if row is None:
        raise TlsIdentityError("there is no account at this CA", "`mailseal tls-certificate acme` makes it")
    return AcmeAccount(
        directory, row.uri, row.contact, sealing.open(bytes(row.sealed), identity=account_identity(directory))
    )


@writes
def account_is(directory: str, uri: str) -> None:
    """The CA has given our account this URI."""
    AcmeAccountRow.objects.filter(directory=directory).update(uri=uri[:500])


@writes
def publish(token: str, answer: str) -> None:
    """Have it found by the CA; what is old goes."""
    AcmeAnswerRow.objects.filter(created__lt=utc_now() - ANSWERS_KEPT).delete()
    AcmeAnswerRow.objects.update_or_create(token=token, defaults={"answer": answer, "created": utc_now()})


@reads
def published(token: str) -> str | None:
    """What is to be found under a token."""
    row = AcmeAnswerRow.objects.filter(token=token, created__gte=utc_now() - ANSWERS_KEPT).first()
    return None if row is None else row.answer


@writes
def _account(directory: str, contact: str, sealing: Sealing) -> None:
    """The one that there is, if its key opens; else another."""
    known = AcmeAccountRow.objects.filter(directory=directory)
    with suppress(SealError):
        if any(sealing.open(bytes(row.sealed), identity=account_identity(directory)) for row in known):
            known.update(contact=contact)
            return
    known.delete()
    sealed = sealing.seal(key_pem(new_key()), identity=account_identity(directory))
    AcmeAccountRow.objects.create(directory=directory, contact=contact, kek_id=sealed_by(sealed), sealed=sealed)


# ---- rows


def _current(chain: Chain) -> Chain:
    if chain.not_after <= utc_now():
        raise TlsIdentityError(f"the certificate has expired on {chain.not_after:%Y-%m-%d}", "bring one that is valid")
    return chain


@writes
def _show(
    purpose: Server,
    source: Source,
    chain: Chain,
    key: ServerKey,
    sealing: Sealing,
    *,
    due: datetime | None = None,
    directory: str = "",
    ends_request: bool = True,
) -> TlsIdentity:
    row = _new_row(purpose, _SHOWN, source, chain.names, chain.pem.decode(), key, sealing)
    row.issuer, row.fingerprint = storable(chain.issuer), chain.fingerprint
    row.not_before, row.not_after, row.due, row.directory = chain.not_before, chain.not_after, due, directory
    states = [_SHOWN, _ASKED] if ends_request else [_SHOWN]
    TlsIdentityRow.objects.filter(node=row.node, purpose=purpose, state__in=states).delete()
    row.save(force_insert=True)
    record(
        "tls",
        "show-certificate",
        purpose.value,
        after=facts(row, "node", "source", "names", "fingerprint", "not_after"),
    )
    return _identity(row)


@writes
def _ask(
    purpose: Server,
    source: Source,
    names: Sequence[str],
    csr: str,
    key: ServerKey,
    sealing: Sealing,
    *,
    directory: str = "",
    due: datetime | None = None,
) -> TlsIdentity:
    row = _new_row(purpose, _ASKED, source, names, csr, key, sealing)
    row.directory, row.due = directory, due
    TlsIdentityRow.objects.filter(node=row.node, purpose=purpose, state=_ASKED).delete()
    row.save(force_insert=True)
    record("tls", "ask-for-certificate", purpose.value, after=facts(row, "node", "source", "names", "directory"))
    return _identity(row)


def _new_row(
    purpose: Server, state: str, source: Source, names: Sequence[str], pem: str, key: ServerKey, sealing: Sealing
) -> TlsIdentityRow:
    row_id = uuid7()
    sealed = sealing.seal(key_pem(key), identity=identity(row_id))
    return TlsIdentityRow(
        id=row_id,
        node=this_node(),
        purpose=purpose.value,
        state=state,
        source=source.value,
        names=list(names),
        chain=pem,
        kek_id=sealed_by(sealed),
        sealed=sealed,
    )


@reads
def _asked(purpose: Server) -> TlsIdentityRow | None:
    return TlsIdentityRow.objects.filter(
        node=this_node(), purpose=purpose, state=_ASKED, source=Source.REQUESTED
    ).first()


def _identity(row: TlsIdentityRow) -> TlsIdentity:
    return TlsIdentity(
        row.pk,
        row.node,
        Server(row.purpose),
        Source(row.source),
        row.state == _ASKED,
        tuple(row.names),
        row.chain,
        row.issuer,
        row.fingerprint,
        row.not_before,
        row.not_after,
        row.due,
        row.directory,
        row.problem,
        row.created,
    )
