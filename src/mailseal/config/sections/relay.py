"""[relay]"""

from dataclasses import dataclass

from mailseal.config.key import key
from mailseal.config.next_hop import NextHop, next_hops

_POSTFIX = NextHop(host="127.0.0.1", port=10026)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """Where mail goes on. How a next hop is written: docs/next-hops.md."""

    inside: tuple[NextHop, ...] = key(
        next_hops,
        "The next hops (one, or up to eight in order of preference) of mail to internal domains: smtp://host:port, "
        "smtps://host:port, lmtp://host:port or lmtp:///path/of/socket, with ?tls=off, opportunistic, required or "
        "verified and what else TLS and AUTH need.",
        example='["smtp://127.0.0.1:10026"]',
        default=(_POSTFIX,),
    )
    outside: tuple[NextHop, ...] = key(
        next_hops,
        "The next hops of mail to everyone else. A route (`mailseal route`) goes before it for its domain.",
        example='["smtp://mx1.example.com:587?tls=verified&user=gateway", "smtp://mx2.example.com:25?tls=verified"]',
        default=(_POSTFIX,),
    )
