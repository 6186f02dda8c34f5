"""A next hop, written as one URL everywhere: in the file, the database and on the command line.

    smtp://host:port?tls=verified&name=mx.example.net&ca=/path/ca.pem&certificate=/path/pem&key=/path/key&user=NAME
    smtps://host:465     TLS from the first octet (RFC 8314 §3.3)
    lmtp://host:port, lmtp:///path/of/socket

A value with one of `&?%,` in it is percent-encoded (RFC 3986 §2.1); a `+` is a plus. A password is never part of it.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote, unquote

from mailseal.config import values
from mailseal.config.values import BadValueError, Endpoint

MAX_NEXT_HOPS = 8
PARAMETERS = ("tls", "name", "ca", "certificate", "key", "user")
_SMTPS = "smtps"


class Protocol(StrEnum):
    """What is spoken to a next hop."""

    SMTP = "smtp"
    LMTP = "lmtp"


class Tls(StrEnum):
    """How much TLS a next hop needs, the weakest first."""

    OFF = "off"
    OPPORTUNISTIC = "opportunistic"
    REQUIRED = "required"
    VERIFIED = "verified"


@dataclass(frozen=True, slots=True)
class NextHop:
    """Where mail goes on: TCP (`host`, `port`) or a UNIX socket (`path`). `given` is None where the default holds.

    `implicit`: TLS from the first octet. `name`: what the certificate has to name instead of the host. `ca`: PEM of
    the CAs that count instead of the system's. `user`: log in as (the password is a sealed row of the database).
    """

    host: str = ""
    port: int = 0
    path: Path | None = None
    protocol: Protocol = Protocol.SMTP
    given: Tls | None = None
    implicit: bool = False
    name: str = ""
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    user: str = ""

    @property
    def tls(self) -> Tls:
        """What is asked for, else: off on this machine, required for smtps, opportunistic elsewhere."""
        if self.given is not None:
            return self.given
        if self.implicit:
            return Tls.REQUIRED
        return Tls.OFF if self.local else Tls.OPPORTUNISTIC

    @property
    def local(self) -> bool:
        """On this machine: a UNIX socket or a loopback address. Nobody on a network hears what is said."""
        if self.path is not None or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def tls_name(self) -> str:
        """What its certificate has to name (RFC 9525 §6); "" for a UNIX socket without `name`."""
        return self.name or self.host

    @property
    def place(self) -> str:
        """The URL without its parameters, for logs and people."""
        scheme = _SMTPS if self.implicit else self.protocol
        return f"{scheme}://{Endpoint(self.path, self.host, self.port)}"

    @property
    def credential(self) -> str:
        """Under which name the password of `user` is stored."""
        return f"{self.user}@{Endpoint(self.path, self.host, self.port)}"

    def __str__(self) -> str:
        given = {"tls": self.given, **{name: getattr(self, name) for name in PARAMETERS[1:]}}
        words = [f"{name}={quote(str(value), safe='/:@+*')}" for name, value in given.items() if value]
        return self.place + (f"?{'&'.join(words)}" if words else "")


def next_hop(raw: object) -> NextHop:
    """Reads one next hop; without a scheme SMTP is meant. Raises BadValueError, without what may be a password."""
    place, _, query = values.text(raw).partition("?")
    scheme, separator, rest = place.partition("://")
    if not separator:
        scheme, rest = Protocol.SMTP, place
    if ("@" in rest and not rest.startswith("/")) or "@" in query.partition("=")[0]:  # first: no text repeats it
        raise BadValueError("has no user before the host: write ?user=NAME; the password is set by `mailseal route`")
    if scheme not in (*Protocol, _SMTPS):
        raise BadValueError(f"{scheme!r} is not smtp, smtps or lmtp")
    path, host, port = None, "", 0
    if rest.startswith("/"):
        path = values.unix_path(rest)
    else:
        host, port = _host_port(rest)
    given = _parameters(query)
    hop = NextHop(
        host=host,
        port=port,
        path=path,
        protocol=Protocol.LMTP if scheme == Protocol.LMTP else Protocol.SMTP,
        given=values.one_of(Tls)(given["tls"]) if "tls" in given else None,
        implicit=scheme == _SMTPS,
        name=values.hostname(given["name"]) if "name" in given else "",
        ca=_path(given, "ca"),
        certificate=_path(given, "certificate"),
        key=_path(given, "key"),
        user=given.get("user", ""),
    )
    if problem := _contradiction(hop):
        raise BadValueError(problem)
    return hop


def next_hops(raw: object) -> tuple[NextHop, ...]:
    """Reads one next hop, or a list of up to eight in order of preference."""
    found = tuple(next_hop(item) for item in values.items(raw))
    if not 1 <= len(found) <= MAX_NEXT_HOPS:
        raise BadValueError(f"must name between 1 and {MAX_NEXT_HOPS} next hops")
    if len(set(found)) < len(found):
        raise BadValueError("names a next hop twice")
    return found


def credential_name(text: str) -> str:
    """`user@host:port` (or `user@/path/of/socket`) as `NextHop.credential` writes it; raises BadValueError."""
    user, _, place = values.text(text).rpartition("@")
    if not user:
        raise BadValueError("is written USER@HOST:PORT, as the next hop's URL has them")
    if place.startswith("/"):
        return NextHop(path=values.unix_path(place), user=user).credential
    host, port = _host_port(place)
    return NextHop(host=host, port=port, user=user).credential


def _host_port(text: str) -> tuple[str, int]:
    host, port = values.host_port(text)
    if not (values.HOSTNAME.fullmatch(host) or _is_address(host)):
        raise BadValueError(f"{host!r} is not a host name or an IP address")
    return host.lower(), port


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _parameters(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in query.split("&") if query else ():
        name, equals, value = word.partition("=")
        if name == "password":
            raise BadValueError("has no password in it: `mailseal route password USER@HOST:PORT` seals one")
        if name not in PARAMETERS:
            raise BadValueError(f"has an unknown parameter {name!r}; known are {', '.join(PARAMETERS)}")
        if not equals or not value or name in found:
            raise BadValueError(f"wants {name}=… once, with a value")
        found[name] = values.text(unquote(value))
    return found


def _path(given: Mapping[str, str], name: str) -> Path | None:
    return values.path(given[name]) if name in given else None


def _contradiction(hop: NextHop) -> str:
    """What is wrong with the parameters taken together, "" for nothing."""
    problem = ""
    if hop.implicit and hop.tls in {Tls.OFF, Tls.OPPORTUNISTIC}:
        problem = f"contradicts itself: smtps is TLS from the first octet, tls={hop.tls} is not"
    elif (hop.ca or hop.name) and hop.tls is not Tls.VERIFIED:
        problem = f"contradicts itself: ca and name count only with tls=verified, this is tls={hop.tls}"
    elif hop.tls is Tls.VERIFIED and not hop.tls_name:
        problem = "needs name=…: a UNIX socket has no host name that a certificate could be verified for"
    elif hop.key and not hop.certificate:
        problem = "has a key without a certificate"
    elif hop.certificate and hop.tls is Tls.OFF:
        problem = "contradicts itself: a certificate needs TLS, this is tls=off"
    elif hop.user and not (hop.tls is Tls.VERIFIED or hop.local):
        problem = (
            f"contradicts itself: user needs tls=verified, this is tls={hop.tls}; "
            "a password is not sent to somebody who has not proven who they are"
        )
    return problem
