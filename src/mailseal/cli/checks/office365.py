"""Checks of Exchange Online as a neighbour: whom its mail is believed of, and whether it can take the mail back."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from cryptography import x509

from mailseal.cli.checks.finding import Finding, Status
from mailseal.cli.checks.next_hops import names, next_hop
from mailseal.config import Config, Instance
from mailseal.config.sections.office365 import EXCHANGE_ONLINE, EXCHANGE_ONLINE_AS_OF
from mailseal.store import domains as store_domains
from mailseal.transport.opening import Opener

SUBJECT = "Office 365"
OLD = timedelta(days=365)
EXPIRING = timedelta(days=30)
_LIST = "https://endpoints.office.com/endpoints/worldwide (Exchange, ID 10)"


def office365(config: Config) -> Iterator[Finding]:
    """Nothing where there is no such neighbour."""
    if not config.office365.on:
        return
    tenants = ", ".join(config.office365.tenants)
    others = f"mail of others: {config.office365.other_tenants}"
    yield Finding(SUBJECT, Status.OK, f"mail of tenant {tenants} is taken and given back; {others}")
    yield from _entry(config)
    yield from _networks(config)
    yield from _way_back(config)


def domains(config: Config) -> Iterator[Finding]:
    """Whether mail to the domains there is opened."""
    if not config.office365.on:
        return
    internal = {one.name for one in store_domains.list_domains() if one.internal}
    there = config.office365.domains
    foreign = [name for name in there if not _is_internal(name, internal)]
    for name in foreign:
        text = f"{name} is not internal: its mail is not opened, and nobody's there is signed"
        yield Finding(SUBJECT, Status.FAIL, text, f"mailseal domain add {name}")
    if there and not foreign:
        yield Finding(SUBJECT, Status.OK, f"internal, with mailboxes there: {', '.join(there)}")
    if not there:
        text = "office365.domains names none: mail to mailboxes there that comes from elsewhere goes by postfix.inside"
        yield Finding(SUBJECT, Status.WARN, text, "name the domains whose mailboxes are there")


def _is_internal(name: str, internal: set[str]) -> bool:
    labels = name.split(".")
    return name in internal or any(f"*.{'.'.join(labels[at:])}" in internal for at in range(1, len(labels)))


def _entry(config: Config) -> Iterator[Finding]:
    if config.postfix.instance is Instance.OFF:
        text = "postfix.instance is off: nothing here leads mail of Exchange Online to its socket"
        yield Finding(SUBJECT, Status.WARN, text, "set postfix.instance")
    if config.listen.tls_certificate is None:
        text = "there is no certificate at the entry: the connector there wants TLS, and sends nothing without"
        yield Finding(SUBJECT, Status.FAIL, text, "set listen.tls_certificate and listen.tls_key")


def _networks(config: Config) -> Iterator[Finding]:
    if config.office365.networks != EXCHANGE_ONLINE:
        yield Finding(SUBJECT, Status.OK, f"{len(config.office365.networks)} networks of Exchange Online, set by hand")
        return
    text = f"the networks of Exchange Online are Microsoft's list as of {EXCHANGE_ONLINE_AS_OF}"
    if datetime.now(UTC).date() - date.fromisoformat(EXCHANGE_ONLINE_AS_OF) > OLD:
        yield Finding(SUBJECT, Status.WARN, text, f"compare it with {_LIST}, and set office365.networks")
    else:
        yield Finding(SUBJECT, Status.OK, text)


def _way_back(config: Config) -> Iterator[Finding]:
    hop = config.office365.return_to
    if hop is None:
        return
    what = f"back to Exchange Online: {hop.place}"
    yield from next_hop(Opener(config.hostname), hop, what, "see whether port 25 is open; set office365.return_to")
    if hop.certificate is None:
        text = "no client certificate: the connector there knows us by our address, and relays no reports"
        mend = "office365.return_to with ?certificate=…&key=…, named in a domain of the tenant"
        yield Finding(SUBJECT, Status.WARN, text, mend)
        return
    yield from _client_certificate(config, hop.certificate)


def _client_certificate(config: Config, path: Path) -> Iterator[Finding]:
    try:
        certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
        named, until = [*names(certificate)], certificate.not_valid_after_utc
    except (OSError, ValueError, IndexError):
        yield Finding(SUBJECT, Status.FAIL, f"{path} cannot be read", "give a PEM file with the certificate first")
        return
    if until < datetime.now(UTC) + EXPIRING:
        status = Status.FAIL if until < datetime.now(UTC) else Status.WARN
        yield Finding(SUBJECT, status, f"the client certificate {path} is valid until {until:%Y-%m-%d}", "renew it")
    below = [one for one in named for domain in config.office365.domains if one == domain or one.endswith(f".{domain}")]
    if below:
        yield Finding(SUBJECT, Status.OK, f"the client certificate names {below[0]}, in a domain of the tenant")
    else:
        text = f"the client certificate names {', '.join(named) or 'nobody'}, not a host in office365.domains"
        mend = "the tenant relays to the internet only for a name in one of its accepted domains (550 5.7.64)"
        yield Finding(SUBJECT, Status.WARN, text, mend)
