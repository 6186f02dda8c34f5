"""[tls_reports]"""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from mailseal.config import values
from mailseal.config.key import key
from mailseal.config.values import HOSTNAME, BadValueError

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]"
_LOCAL = re.compile(rf"(?=.{{1,64}}$){_ATEXT}+(?:\.{_ATEXT}+)*")


def _address(raw: object) -> str:
    """An address in ASCII: not every reader of a report takes another. Empty: none."""
    if raw == "":
        return ""
    text = values.text(raw)
    local, at, domain = text.rpartition("@")
    if not at or not _LOCAL.fullmatch(local) or not HOSTNAME.fullmatch(domain):
        raise BadValueError("must be an address such as tls-reports@example.com")
    return f"{local}@{domain.lower()}"


def _organization(raw: object) -> str:
    text = values.text(raw)
    if not text.isprintable() or len(text) > 200:
        raise BadValueError("must be one line of 200 characters at most")
    return text


def _sending(raw: object) -> str:
    if raw == "":
        return ""
    text = values.text(raw)
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise BadValueError("must be an IP address") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsReports:
    """Reports about TLS in sessions of Postfix with other servers (RFC 8460): see tls-reports.md."""

    contact: str = key(
        _address,
        "The address that our reports are from, and that others may write to about them; of an internal domain, best "
        "with a DKIM key. Without it nothing is counted and nothing reported.",
        example='"tls-reports@example.com"',
        default="",
        default_text="none",
    )
    organization: str = key(
        _organization,
        "Who reports, as the reports say it.",
        example='"Example Ltd"',
        default="",
        default_text="none; the domain of contact",
    )
    sending_address: str = key(
        _sending,
        "The IP address that this node sends from, for the details of a report; without it they have none.",
        example='"192.0.2.25"',
        default="",
        default_text="none",
    )
    maillog: Path | None = key(
        values.path,
        "The log of Postfix, which the owner of the data folder must be able to read. Unless set: the private "
        "instance's; of the system's instance nothing is read without it.",
        example='"/var/log/mail.log"',
        default=None,
        default_text="none",
    )
    address: str = key(
        _address,
        "The internal address that others send their reports about our domains to (`rua=mailto:…` in `_smtp._tls`). "
        "They are read and kept; other mail to it goes on as ever.",
        example='"tls-reports@example.com"',
        default="",
        default_text="none",
    )
    deliver: bool = key(
        values.flag,
        "Whether reports that were read are delivered to `address` as well.",
        example="true",
        default=False,
    )
    keep_days: int = key(
        values.whole(7, 3650), "How long counts, and reports sent and received, are kept.", example="90", default=90
    )
