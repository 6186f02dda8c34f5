"""Checks of TLS reporting: whether there is a log to count from, and whether others will believe our reports."""

import os
import stat
from collections.abc import Iterator

from mailseal.cli.checks.finding import Finding, Status
from mailseal.config import Config
from mailseal.mail.address import Address
from mailseal.roles.tls_log import log_of
from mailseal.store import dkim_keys
from mailseal.store.directory import StoreDirectory

WHAT = "TLS reports"


def reporting(config: Config) -> Iterator[Finding]:
    """As the worker finds it: this runs as the owner of the data folder."""
    if not config.tls_reports.contact and not config.tls_reports.address:
        return
    findings = [*_log(config), *_sender(config), *_inbox(config)]
    yield from findings
    if not findings:
        yield Finding(WHAT, Status.OK, f"from {config.tls_reports.contact or 'nobody'}: {log_of(config) or 'no log'}")


def _log(config: Config) -> Iterator[Finding]:
    if not config.tls_reports.contact:
        return
    path = log_of(config)
    if path is None:
        text = "tls_reports.contact is set, but no log of Postfix is known: nothing is counted"
        yield Finding(WHAT, Status.WARN, text, "set tls_reports.maillog")
        return
    try:
        found = path.stat()
        readable = stat.S_ISREG(found.st_mode) and os.access(path, os.R_OK, effective_ids=True)
    except OSError:
        readable = False
    if not readable:
        text = f"{path} cannot be read by the owner of the data folder: no session is counted"
        yield Finding(
            WHAT, Status.WARN, text, "let its group read it, or set tls_reports.maillog (docs/tls-reports.md)"
        )


def _sender(config: Config) -> Iterator[Finding]:
    if not config.tls_reports.contact:
        return
    contact = Address.parse(config.tls_reports.contact)
    if not StoreDirectory().party(contact).internal:
        text = (
            f"the domain of tls_reports.contact, {contact.domain}, is not internal: others may take reports for forged"
        )
        yield Finding(WHAT, Status.WARN, text, f"`mailseal domain add {contact.domain}`, or another address")
    if not any(one.active for one in dkim_keys.list_keys() if _is_or_is_above(one.domain, contact.domain)):
        text = f"{contact.domain} has no DKIM key: others may pass over reports that are not signed"
        yield Finding(WHAT, Status.WARN, text, f"`mailseal dkim generate {contact.domain}`")


def _is_or_is_above(domain: str, other: str) -> bool:
    return other == domain or other.endswith(f".{domain}")


def _inbox(config: Config) -> Iterator[Finding]:
    if not config.tls_reports.address:
        return
    address = Address.parse(config.tls_reports.address)
    if not StoreDirectory().party(address).internal:
        text = f"tls_reports.address, {address}, is not internal: what comes there is not for us"
        yield Finding(WHAT, Status.WARN, text, f"`mailseal domain add {address.domain}`, or another address")
