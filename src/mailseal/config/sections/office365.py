"""[office365]"""

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum

from mailseal.config import values
from mailseal.config.key import key
from mailseal.config.next_hop import NextHop, Protocol, Tls, next_hop
from mailseal.config.values import BadValueError, Network

EXCHANGE_ONLINE: tuple[Network, ...] = tuple(
    ipaddress.ip_network(one)
    for one in (
        "40.92.0.0/15",
        "40.107.0.0/16",
        "52.100.0.0/14",
        "104.47.0.0/17",
        "2a01:111:f400::/48",
        "2a01:111:f403::/48",
    )
)
"""Where Exchange Online sends from: the worldwide endpoints of Microsoft 365, set "Exchange Online", ID 10 (TCP 25)."""
EXCHANGE_ONLINE_AS_OF = "2026-08-14"
"""The version of that list; the same networks stood in it in 2022."""

MAX_TENANTS = 20
MAX_FINGERPRINTS = 50
_GUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_SHA256 = re.compile(r"[0-9A-F]{64}")


class OtherTenants(StrEnum):
    """What becomes of mail that Exchange Online sends for somebody else."""

    REFUSE = "refuse"
    OUTSIDE = "outside"


def tenant(raw: object) -> str:
    """The ID of a tenant: a GUID, in lower case."""
    value = values.text(raw)
    if not _GUID.fullmatch(value):
        raise BadValueError(f"{value!r} is not the ID of a tenant, which is written 8-4-4-4-12 hexadecimal digits")
    return value.lower()


def _tenants(raw: object) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(tenant(one) for one in values.items(raw)))
    if len(found) > MAX_TENANTS:
        raise BadValueError(f"may name {MAX_TENANTS} tenants at most")
    return found


def _domains(raw: object) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values.hostname(one) for one in values.items(raw)))


def _networks(raw: object) -> tuple[Network, ...]:
    found = values.networks(raw)
    if not found:
        raise BadValueError("must name the networks that Exchange Online sends from")
    return found


def fingerprint(raw: object) -> str:
    """SHA-256 of a certificate or of its public key, as Postfix writes it: capitals, with colons."""
    digits = values.text(raw).replace(":", "").upper()
    if not _SHA256.fullmatch(digits):
        raise BadValueError("must be SHA-256 fingerprints: 64 hexadecimal digits, with colons or without")
    return ":".join(digits[at : at + 2] for at in range(0, 64, 2))


def _fingerprints(raw: object) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(fingerprint(one) for one in values.items(raw)))
    if len(found) > MAX_FINGERPRINTS:
        raise BadValueError(f"may name {MAX_FINGERPRINTS} certificates at most")
    return found


def return_hop(raw: object) -> NextHop | None:
    """The tenant's own host; opened mail goes there over the internet, so it has to prove its name."""
    if raw is False or (isinstance(raw, str) and raw.lower() == "off"):
        return None
    value = values.text(raw)
    place, mark, parameters = value.partition("?")
    if not any(one.startswith("tls=") for one in parameters.split("&")) and not next_hop(place).local:
        value += ("&" if mark else "?") + f"tls={Tls.VERIFIED}"
    hop = next_hop(value)
    if hop.protocol is not Protocol.SMTP or hop.path is not None or hop.user:
        raise BadValueError("must be smtp://host:port, without a user: the tenant knows us by certificate or address")
    if hop.tls not in {Tls.REQUIRED, Tls.VERIFIED} and not hop.local:
        raise BadValueError("needs tls=verified or tls=required: what was opened here goes there")
    return hop


@dataclass(frozen=True, slots=True, kw_only=True)
class Office365:
    """Exchange Online as a neighbour: it hands in its mail, and takes every copy back. See office365.md."""

    tenants: tuple[str, ...] = key(
        _tenants,
        "The IDs of our tenants (Get-OrganizationConfig or the Entra admin center say them). Without one, all of this "
        "is off.",
        example='["11111111-2222-3333-4444-555555555555"]',
        default=(),
        default_text="[]",
    )
    domains: tuple[str, ...] = key(
        _domains,
        "The internal domains whose mailboxes are there: mail to them goes to `return_to`, whoever it comes from.",
        example='["example.com"]',
        default=(),
        default_text="[]",
    )
    networks: tuple[Network, ...] = key(
        _networks,
        f"Where Exchange Online sends from. The default is Microsoft's published list as of {EXCHANGE_ONLINE_AS_OF}; "
        "who else is in these networks is told by the tenant in the header.",
        example='["40.92.0.0/15", "40.107.0.0/16"]',
        default=EXCHANGE_ONLINE,
    )
    client_fingerprints: tuple[str, ...] = key(
        _fingerprints,
        "SHA-256 fingerprints of client certificates, or of their public keys. With some, Exchange Online is who shows "
        "one of these, and who shows none from its networks is told to try again (450): Microsoft changes its "
        "certificates without notice. Empty: the networks alone count.",
        example='["3A:1F:07:9C:D4:52:E8:6B:90:2D:77:C1:4F:A5:18:E3:BB:64:09:F2:8D:30:5A:C7:16:9E:D1:48:73:0B:EF:25"]',
        default=(),
        default_text="[]",
    )
    return_to: NextHop | None = key(
        return_hop,
        "Where copies go back: the tenant's host. TLS is verified for its name unless it says tls=required; "
        "certificate and key are what the inbound connector there knows us by.",
        example='"smtp://example-com.mail.protection.outlook.com:25?certificate=/etc/mailseal/tls/fullchain.pem'
        '&key=/etc/mailseal/tls/privkey.pem"',
        default=None,
        default_text='"off"',
    )
    other_tenants: OtherTenants = key(
        values.one_of(OtherTenants),
        "Mail that Exchange Online sends for other tenants: refuse (the MX of the domains points there, so none comes "
        "here), or outside: like any mail from the world (the MX points here).",
        example='"outside"',
        default=OtherTenants.REFUSE,
    )

    @property
    def on(self) -> bool:
        """Whether there is this neighbour."""
        return bool(self.tenants)
