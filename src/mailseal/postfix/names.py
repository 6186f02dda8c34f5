"""Names that Postfix's configuration and those who answer its questions have in common: transports and look-up tables.

`mailseal-inside` and `mailseal-smarthost` are services of master.cf for the next hops of postfix.inside and
postfix.outside; for mail that goes by MX records the transport is Postfix's own `smtp`.
"""

from collections.abc import Sequence
from enum import StrEnum

from mailseal.config.next_hop import NextHop, Protocol

TO_AUTHORISED = "mailseal-authorised"
TO_OUTSIDE = "mailseal-outside"
TO_OFFICE365 = "mailseal-office365"
"""Services that hand mail to Mailseal, by the origin class it gets there."""
INSIDE = "mailseal-inside"
SMARTHOST = "mailseal-smarthost"
EXCHANGE_ONLINE = "mailseal-exchange-online"
"""Services that take mail on to next hops of the configuration."""
BY_MX = "smtp:"
"""What the table `transport` answers for mail that goes where the MX records of its domain say."""
CLEANUP = "mailseal-cleanup"
"""The cleanup service that leaves a mail's octets alone."""


class Table(StrEnum):
    """What Postfix asks for at the socketmap (socketmap_table(5))."""

    RELAY_DOMAINS = "relay-domains"
    TRANSPORT = "transport"
    SENDER_LOGINS = "sender-logins"
    TLS = "tls"
    ENDS_HERE = "ends-here"
    """An access(5) table: OK for an address whose mail Mailseal itself takes, so that no inner server is asked."""


def route(transport: str, hops: Sequence[NextHop]) -> str:
    """What the table `transport` answers for next hops, the preferred one first (transport(5), Postfix 3.5)."""
    return f"{transport}:{', '.join(map(_destination, hops))}"


def _destination(hop: NextHop) -> str:
    if hop.path is not None:
        return f"unix:{hop.path}"
    if hop.protocol is Protocol.LMTP:
        return f"inet:[{hop.host}]:{hop.port}"
    return f"[{hop.host}]:{hop.port}"
