"""[relay]"""

from dataclasses import dataclass

from mailseal.config import values
from mailseal.config.key import key
from mailseal.config.values import NextHop


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """Where mail goes on."""

    inside: NextHop = key(
        values.next_hop,
        "The next hop of mail to internal domains: smtp://host:port, lmtp://host:port or lmtp:///path/of/socket.",
        example='"smtp://127.0.0.1:10026"',
        default=NextHop(host="127.0.0.1", port=10026),
    )
    outside: NextHop = key(
        values.next_hop,
        "The next hop of mail to everyone else.",
        example='"smtp://127.0.0.1:10026"',
        default=NextHop(host="127.0.0.1", port=10026),
    )
