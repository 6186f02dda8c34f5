"""What a TLS policy is for, and how Postfix asks for it (smtp_tls_policy_maps, postconf(5)).

A rule is for a domain (`example.com`), for all below one (`*.example.com`, which does not match `example.com`), or for
a next hop (`[host]:port`). Postfix asks for the next hop of the mail as it stands in its routes, never for a recipient:

    example.com           by the MX records of the recipient's domain; `.example.com` next, if that has no answer
    [host]:port  [host]   that host, without MX records
    host:port             the MX records of a domain at another port; an LMTP server
    /path                 an LMTP server at a UNIX socket
"""

import ipaddress
from dataclasses import dataclass

from mailseal.config.next_hop import NextHop
from mailseal.config.values import HOSTNAME
from mailseal.errors import PermanentError, TransientError
from mailseal.mail.address import AddressError, domain_to_ascii

SMTP_PORT = 25
MAX_KEY_CHARS = 300
_SERVICES = {"smtp": 25, "submission": 587, "submissions": 465, "smtps": 465, "lmtp": 24}
"""Ports by name, as Postfix takes them from services(5)."""


class DestinationError(PermanentError):
    """The text names nothing that a TLS policy could be for."""


class UnknownKeyError(TransientError):
    """Postfix asked for something that is no destination: its mail waits."""


@dataclass(frozen=True, slots=True)
class Place:
    """A host (name, or numeric address) and its port, reached without MX records."""

    host: str
    port: int

    @property
    def key(self) -> str:
        """`[host]:port`."""
        return f"[{self.host}]:{self.port}"

    @property
    def is_address(self) -> bool:
        """Whether the host is numeric: it has no TLSA records, and no name that a certificate could have."""
        return _address(self.host) is not None


@dataclass(frozen=True, slots=True)
class Destination:
    """What a rule is for: a `domain` or wildcard, or else a `place`."""

    domain: str = ""
    place: Place | None = None

    @property
    def key(self) -> str:
        """As it is stored and shown."""
        return self.domain if self.place is None else self.place.key

    @property
    def wildcard(self) -> bool:
        """Whether it is all below a domain."""
        return self.domain.startswith("*.")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of Postfix. `destinations`: the keys of the rules that may answer it, the one that counts first.

    `domain`: the mail goes to the MX hosts of this domain, at port 25. `place`: it goes there.
    `parent`: Postfix asks for what is above a domain; `local`: for a socket of this machine.
    """

    destinations: tuple[str, ...] = ()
    domain: str = ""
    place: Place | None = None
    parent: bool = False
    local: bool = False


def read_destination(text: str) -> Destination:
    """A destination as a person writes it: a domain, `*.domain`, `[host]:port`, `host:port`. DestinationError."""
    text = text.strip()
    if text.startswith("["):
        return Destination(place=_bracketed(text))
    if ":" in text:
        return Destination(place=_place(*_split(text)))
    below = text.startswith("*.")
    try:
        domain = domain_to_ascii(text[2:] if below else text)
    except AddressError as error:
        raise DestinationError(f"{text!r} is no domain: {error}") from None
    return Destination(domain=f"*.{domain}" if below else domain)


def place_of(hop: NextHop) -> Place | None:
    """Where Postfix finds a next hop; None for a UNIX socket."""
    return None if hop.path is not None else Place(_host(hop.host), hop.port)


def read_key(key: str) -> Asked:
    """A question as Postfix puts it; raises UnknownKeyError."""
    if len(key) > MAX_KEY_CHARS:
        raise UnknownKeyError("the destination asked for is too long")
    try:
        return _asked(key)
    except (AddressError, DestinationError):
        raise UnknownKeyError(f"the destination {key[:100]!r} is none that can be secured") from None


def wildcards_above(domain: str) -> tuple[str, ...]:
    """The wildcards that match a domain, the most specific first."""
    labels = domain.split(".")
    return tuple("*." + ".".join(labels[start:]) for start in range(1, len(labels)))


def _asked(key: str) -> Asked:
    if key.startswith("/"):
        return Asked(local=True)
    if key.startswith("["):
        place = _bracketed(key)
        return Asked((place.key,), place=place)
    if ":" in key:
        place = _place(*_split(key))
        domains = () if place.is_address else (place.host, *wildcards_above(place.host))
        return Asked((place.key, *domains), place=place)
    if key.startswith("."):
        domain = domain_to_ascii(key[1:])
        return Asked((f"*.{domain}", *wildcards_above(domain)), parent=True)
    # With a dot at its end it is the same domain, and no way past its rules.
    domain = domain_to_ascii(key.removesuffix("."))
    return Asked((domain, *wildcards_above(domain)), domain=domain)


def _bracketed(text: str) -> Place:
    host, bracket, rest = text[1:].partition("]")
    if not bracket or (rest and not rest.startswith(":")):
        raise DestinationError(f"{text!r} is not [host]:port")
    return _place(host, rest[1:] if rest else str(SMTP_PORT))


def _split(text: str) -> tuple[str, str]:
    host, _, port = text.rpartition(":")
    if ":" in host:
        raise DestinationError(f"{text!r}: an IPv6 address is written in brackets, [{host}]:{port}")
    return host, port


def _place(host: str, port: str) -> Place:
    number = _SERVICES.get(port.lower(), 0)
    if port.isascii() and port.isdecimal() and len(port) <= 5:
        number = int(port)
    if not 0 < number < 65536:
        raise DestinationError(f"{port!r} is no port")
    return Place(_host(host), number)


def _host(text: str) -> str:
    text = text.lower().removeprefix("ipv6:")
    address = _address(text)
    if address is not None:
        return address
    if not text.isascii():
        text = domain_to_ascii(text)
    if not HOSTNAME.fullmatch(text):
        raise DestinationError(f"{text!r} is no host name or address")
    return text


def _address(host: str) -> str | None:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None
