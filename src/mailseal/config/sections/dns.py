"""[dns]"""

import ipaddress
from dataclasses import dataclass

from mailseal.config import values
from mailseal.config.key import key
from mailseal.config.values import BadValueError

PORT = 53
MAX_SERVERS = 8


@dataclass(frozen=True, slots=True)
class NameServer:
    """A recursive name server: numeric address and port."""

    host: str
    port: int = PORT

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _name_server(raw: object) -> NameServer:
    text = values.text(raw)
    try:
        return NameServer(str(ipaddress.ip_address(text)))
    except ValueError:
        pass
    host, port = values.host_port(text)
    try:
        return NameServer(str(ipaddress.ip_address(host)), port)
    except ValueError:
        raise BadValueError(f"{host!r} is not an IP address; a name server cannot be named") from None


def _name_servers(raw: object) -> tuple[NameServer, ...]:
    found = tuple(_name_server(one) for one in values.items(raw))
    if len(found) > MAX_SERVERS:
        raise BadValueError(f"may name {MAX_SERVERS} servers at most")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Dns:
    """Who is asked for records: DKIM keys, MTA-STS, MX and TLSA. Hosts are looked up by the system, as ever."""

    servers: tuple[NameServer, ...] = key(
        _name_servers,
        "Recursive name servers, in order: an IP address, or address:port. What they say of DNSSEC is believed, so one "
        "that validates, on this machine, is best. An empty list: those of /etc/resolv.conf.",
        example='["127.0.0.1", "[::1]:5353"]',
        default=(),
        default_text="[]",
    )
    timeout_seconds: int = key(values.whole(1, 60), "How long one look-up may take in all.", example="5", default=5)
