"""Checks of the next hops, of the configuration and of routes: do they answer, with what TLS, do they let us in."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography import x509

from mailseal.cli.checks.finding import Finding, Status
from mailseal.config import Config, NextHop, Tls
from mailseal.errors import TransientError
from mailseal.store import routes as store_routes
from mailseal.store.credentials import CredentialMissingError, open_password
from mailseal.store.keks import open_ring
from mailseal.transport.connection import Connection, TlsError
from mailseal.transport.opening import Limits, Opener

CONNECT_SECONDS = 10.0
READY_SECONDS = 20.0
EXPIRING = timedelta(days=14)
WANTED = ("8BITMIME", "DSN", "SMTPUTF8")
SUBJECT = "next hop"


def next_hops(config: Config) -> Iterator[Finding]:
    """The next hops of the configuration."""
    opener = Opener(config.hostname)
    for direction, hops in (("inside", config.relay.inside), ("outside", config.relay.outside)):
        for hop in hops:
            yield from next_hop(opener, hop, f"{direction}: {hop.place}", f"start it, or set relay.{direction}")


def routes(config: Config) -> Iterator[Finding]:
    """The next hops of routes."""
    opener = Opener(config.hostname)
    for route in store_routes.list_routes():
        mend = f"start it, or `mailseal route set {route.domain}`"
        for hop in route.hops:
            yield from next_hop(opener, hop, f"{route.domain}: {hop.place}", mend)
        for name in store_routes.internal_below(route.domain):
            text = f"mail to {name}, which is internal, goes where {route.domain} goes"
            yield Finding("route", Status.WARN, text, f"if that is not meant, `mailseal route set {name}`")


def passwords(config: Config) -> Iterator[Finding]:
    """Whether each next hop with a user lets it in."""
    configured = {*config.relay.inside, *config.relay.outside}
    hops = configured.union(*(route.hops for route in store_routes.list_routes()))
    named = sorted({hop.credential: hop for hop in hops if hop.user}.items())
    ring = open_ring(config.keys.kek) if named else None
    for name, hop in named:
        assert ring is not None
        opener = Opener(config.hostname, lambda name, ring=ring: open_password(name, ring))  # type: ignore[misc]  # a default argument
        try:
            opener.open(hop, _limits()).quit()
        except TransientError as error:
            missing = isinstance(error, CredentialMissingError)
            text = f"no password is stored for {name}" if missing else f"{name}: {error}"
            yield Finding("AUTH", Status.FAIL, text, f"`mailseal route password {name}` sets the password")
        else:
            yield Finding("AUTH", Status.OK, f"{name} is let in")


def next_hop(opener: Opener, hop: NextHop, what: str, mend: str) -> Iterator[Finding]:
    """Whether one answers, with what TLS."""
    try:
        connection, refusal = _open(opener, hop)
    except TlsError as error:
        text = f"{what}: {error}; mail waits"
        yield Finding(SUBJECT, Status.FAIL, text, _mend_tls(opener, hop, error))
        return
    except TransientError as error:
        yield Finding(SUBJECT, Status.FAIL, f"{what}: {error}", mend)
        return
    try:
        yield from _offers(connection, what)
        yield from _secured(opener, hop, connection, refusal, what)
    finally:
        connection.quit()


def _open(opener: Opener, hop: NextHop) -> tuple[Connection, str]:
    """A session, and why it is in clear if TLS was tried in vain."""
    if hop.tls is not Tls.OPPORTUNISTIC:
        return opener.open(hop, _limits(), log_in=False), ""
    try:
        return opener.open(replace(hop, given=Tls.REQUIRED), _limits(), log_in=False), ""
    except TlsError as error:
        if error.ours:
            raise
        return opener.open(replace(hop, given=Tls.OFF), _limits(), log_in=False), str(error)


def _offers(connection: Connection, what: str) -> Iterator[Finding]:
    missing = [name for name in WANTED if name not in connection.features]
    if missing:
        text = f"{what} answers, without {', '.join(missing)}"
        yield Finding(SUBJECT, Status.WARN, text, "mail that needs it is refused or loses it; switch it on there")
    else:
        yield Finding(SUBJECT, Status.OK, f"{what} answers")


def _secured(opener: Opener, hop: NextHop, connection: Connection, refusal: str, what: str) -> Iterator[Finding]:
    """What TLS has come to, and what could be asked for."""
    facts = connection.tls
    if facts is None:
        if not hop.local:
            why = f" ({refusal})" if refusal else ""
            text = f"{what}: mail goes there in clear over the network{why}"
            yield Finding("TLS", Status.WARN, text, "switch TLS on there, then ask for it with ?tls=verified")
        return
    text = f"{what}: {facts.version}, {facts.cipher}; certificate of {_described(facts.der)}"
    if hop.tls is Tls.VERIFIED:
        yield Finding("TLS", Status.OK, f"{text}, verified for {hop.tls_name}")
    else:
        problem = _verifies(opener, hop)
        mend = f"mend it: {problem}" if problem else "it verifies: ask for it with ?tls=verified"
        text = f"{text}, which tls={hop.tls} does not verify"
        yield Finding("TLS", Status.OK if hop.local else Status.WARN, text, mend)
    certificate = _read(facts.der)
    if certificate and certificate.not_valid_after_utc < datetime.now(UTC) + EXPIRING:
        yield Finding("TLS", Status.WARN, f"{what}: its certificate ends soon or has ended", "renew it there")


def _verifies(opener: Opener, hop: NextHop) -> str:
    """What keeps the next hop from being verified, "" for nothing."""
    if not hop.tls_name:
        return "name=… says what its certificate has to name"
    try:
        opener.open(replace(hop, given=Tls.VERIFIED), _limits(), log_in=False).quit()
    except TransientError as error:
        return str(error)
    return ""


def _mend_tls(opener: Opener, hop: NextHop, error: TlsError) -> str:
    """What to do; a certificate that does not verify is looked at again, unverified."""
    if error.ours:
        return "put there a PEM file that the user of the mail role can read"
    if not error.certificate:
        return "switch STARTTLS on there, or see what it logs; smtps:// is for ports with TLS from the first octet"
    try:
        connection = opener.open(replace(hop, given=Tls.REQUIRED, ca=None), _limits(), log_in=False)
    except TransientError:
        return "renew its certificate there"
    facts = connection.tls
    connection.quit()
    described = _described(facts.der) if facts else "nobody"
    return f"its certificate is of {described}; name=… says another name, ca=… another CA, else renew it there"


def _read(der: bytes) -> x509.Certificate | None:
    """None for what OpenSSL takes unverified though it is not well-formed."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        _ = certificate.not_valid_after_utc, certificate.extensions  # both are read only when they are asked for
    except (ValueError, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None
    return certificate


def _described(der: bytes) -> str:
    certificate = _read(der)
    if certificate is None:
        return "nobody: it is malformed"
    return f"{', '.join(names(certificate)) or 'no name'}, until {certificate.not_valid_after_utc:%Y-%m-%d}"


def names(certificate: x509.Certificate) -> Iterable[str]:
    """The hosts that a certificate names (subjectAltName)."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]


def _limits() -> Limits:
    now = time.monotonic()
    return Limits(now + CONNECT_SECONDS, now + READY_SECONDS)
