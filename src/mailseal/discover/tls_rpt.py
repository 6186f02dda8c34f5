"""Where a domain wants TLS reports: the TXT record of _smtp._tls (RFC 8460 §3), and its TLSA records for a report."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from mailseal.discover.dane import MAX_HOSTS
from mailseal.discover.dns import Dns, DnsUnavailableError, NoAnswerError, Tlsa
from mailseal.errors import PermanentError
from mailseal.mail.address import Address

MAX_PLACES = 5
"""Of one domain: the others get nothing."""
MAX_URI_CHARS = 500
MAX_TLSA = 50
VERSION = "v=TLSRPTv1"

_FIELD = re.compile(r"[ \t]*([A-Za-z0-9][A-Za-z0-9_.\-]{0,31})[ \t]*=[ \t]*([^;]*?)[ \t]*")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a report goes: an address, or a URL to post it to."""

    uri: str
    address: Address | None = None

    @property
    def by_mail(self) -> bool:
        """Else by HTTPS."""
        return self.address is not None


def places_of(dns: Dns, domain: str, deadline: float | None = None) -> tuple[Place, ...]:
    """Where a domain wants reports, () for nowhere; raises DnsUnavailableError."""
    try:
        records = dns.txt(f"_smtp._tls.{domain}", deadline).records
    except NoAnswerError:
        return ()
    return read_records(records)


def read_records(records: Sequence[str]) -> tuple[Place, ...]:
    """As of the records of the name; none counts unless exactly one is a TLSRPT record."""
    found = [one for one in records if one.partition(";")[0].strip() == VERSION]
    if len(found) != 1:
        return ()
    for field in found[0].split(";")[1:]:
        named = _FIELD.fullmatch(field)
        if named is not None and named[1] == "rua":
            places = (read_place(one.strip()) for one in named[2].split(","))
            return tuple(dict.fromkeys(one for one in places if one is not None))[:MAX_PLACES]
    return ()


def read_place(uri: str) -> Place | None:
    """A URI of `rua`; None for one that is none, or of a kind that is not sent to."""
    if not uri or len(uri) > MAX_URI_CHARS or not uri.isascii() or not uri.isprintable():
        return None
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    if parts.scheme == "mailto":
        with suppress(PermanentError):
            address = Address.parse(unquote(parts.path))
            return Place(uri, address) if str(address).isascii() else None
        return None
    return Place(uri) if parts.scheme == "https" and parts.hostname and " " not in uri else None


def tlsa_strings(dns: Dns, domain: str, deadline: float | None = None) -> tuple[str, ...]:
    """The TLSA records of a domain's MX hosts as a report has them (§4.4); what cannot be asked now is left out."""
    found: list[str] = []
    with suppress(NoAnswerError, DnsUnavailableError):
        for one in dns.mx(domain, deadline).records[:MAX_HOSTS]:
            with suppress(NoAnswerError, DnsUnavailableError):
                found += map(_shown, dns.tlsa(one.host, deadline=deadline).records)
    return tuple(dict.fromkeys(found))[:MAX_TLSA]


def _shown(record: Tlsa) -> str:
    return f"{record.usage} {record.selector} {record.matching} {record.data.hex().upper()}"
