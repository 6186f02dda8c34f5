"""The trace of a mail: our Received field, and how many it has (RFC 5321 §4.4, RFC 3848, RFC 6531 §4.3)."""

import re
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

from mailseal.mail.envelope import Client, Envelope, Protocol, Tls
from mailseal.mail.mime import Entity

_NOT_HOST = re.compile(r"[^A-Za-z0-9.:_\-\[\]]+")
_NOT_CIPHER = re.compile(r"[^A-Za-z0-9_\-]+")
_WITH = {
    (Protocol.LMTP, False): "LMTP",
    (Protocol.ESMTP, False): "ESMTP",
    (Protocol.LMTP, True): "UTF8LMTP",
    (Protocol.ESMTP, True): "UTF8SMTP",
}


def received_field(envelope: Envelope, hostname: str, message_id: str, at: datetime) -> bytes:
    """Our Received field, CRLF at the end. `message_id` is our ID of the mail; `at` is aware.

    It never names a recipient: that would tell one about a Bcc to another.
    """
    peer = _peer(envelope.client)
    keyword = _WITH[envelope.protocol, envelope.smtputf8] + ("S" if envelope.tls else "")
    return (
        f"Received: from {peer}\r\n{_tls(envelope.tls)}"
        f"\tby {host_text(hostname)} (Mailseal) with {keyword} id {host_text(message_id)};\r\n"
        f"\t{_date(at.replace(microsecond=0))}\r\n"
    ).encode("ascii")


def _tls(tls: Tls | None) -> str:
    if tls is None:
        return ""
    return f"\t(using {host_text(tls.version)} with cipher {_NOT_CIPHER.sub('?', tls.cipher)} ({tls.bits} bits))\r\n"


@lru_cache(maxsize=4)
def _date(second: datetime) -> str:
    return format_datetime(second)


def _peer(client: Client) -> str:
    address = host_text(client.address)
    literal = address if address == "unknown" else f"[IPv6:{address}]" if ":" in address else f"[{address}]"
    return f"{host_text(client.helo or 'unknown')} ({host_text(client.name or 'unknown')} {literal})"


def host_text(text: str) -> str:
    """A host name, address or ID as it may stand in a header; what a peer made up beyond that becomes "?"."""
    return _NOT_HOST.sub("?", text[:255]) or "unknown"


def hop_count(root: Entity) -> int:
    """How many hosts the mail has passed: its Received fields (RFC 5321 §6.3)."""
    return sum(field.name == "received" for field in root.fields)
