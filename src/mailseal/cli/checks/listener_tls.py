"""Checks of the certificate that the listeners show (RFC 3207): usable, and valid for some time yet."""

import ipaddress
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from mailseal.cli.checks.finding import Finding, Status
from mailseal.config import MAIL_SOCKETS, Config, Endpoint, StartTls, listeners
from mailseal.transport.server_tls import ServerTlsError, server_context

SUBJECT = "listener TLS"
WARN_BEFORE = timedelta(days=30)
_RENEW = "renew it; a running gateway shows the new file within a second"


def listener_tls(config: Config) -> Iterator[Finding]:
    """One line: off, or how the certificate stands."""
    listen = config.listen
    certificate = listen.tls_certificate
    if certificate is None or listen.tls is StartTls.OFF:
        if any(_on_a_network(place) for name, place in listeners(config).items() if name in MAIL_SOCKETS):
            yield Finding(
                SUBJECT,
                Status.WARN,
                "mail comes in over the network without TLS",
                "set listen.tls_certificate",
            )
        return
    try:
        with _as_mail_role(config):
            server_context(certificate, listen.tls_key)
            chain = x509.load_pem_x509_certificates(certificate.read_bytes())
    except ServerTlsError as error:
        yield Finding(SUBJECT, Status.FAIL, error.text, error.what_to_do)
        return
    except (OSError, ValueError):
        yield Finding(SUBJECT, Status.FAIL, f"{certificate} cannot be read", "give a PEM file with certificates only")
        return
    yield _validity(certificate, chain, datetime.now(UTC))


def _on_a_network(place: Endpoint) -> bool:
    return place.path is None and not ipaddress.ip_address(place.host).is_loopback


@contextmanager
def _as_mail_role(config: Config) -> Iterator[None]:
    """With the rights of who has to read the files: root sees more than the mail role that it starts."""
    if os.geteuid() != 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    try:
        wanted = config.users.mail
        entry = pwd.getpwnam(wanted) if wanted else pwd.getpwuid(config.data_dir.stat().st_uid)
        os.setgroups(os.getgrouplist(entry.pw_name, entry.pw_gid))
        os.setegid(entry.pw_gid)
        os.seteuid(entry.pw_uid)
    except (KeyError, OSError):
        pass  # `check` says so elsewhere
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _validity(path: Path, chain: list[x509.Certificate], now: datetime) -> Finding:
    """Of the certificate in the chain that ends first."""
    end = min(one.not_valid_after_utc for one in chain)
    begin = max(one.not_valid_before_utc for one in chain)
    if now < begin:
        return Finding(SUBJECT, Status.FAIL, f"{path} is not valid before {begin:%Y-%m-%d}", "set another certificate")
    if now > end:
        return Finding(SUBJECT, Status.FAIL, f"{path} was valid until {end:%Y-%m-%d}", _RENEW)
    if now > end - WARN_BEFORE:
        return Finding(SUBJECT, Status.WARN, f"{path} is valid only until {end:%Y-%m-%d}", _RENEW)
    return Finding(SUBJECT, Status.OK, f"{path} is valid until {end:%Y-%m-%d}")
