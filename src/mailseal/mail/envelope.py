"""The SMTP envelope of one transaction, with its ESMTP parameters as received (RFC 5321, 1891/3461, 6152, 6531)."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from mailseal.mail.address import Address
from mailseal.mail.message import Message


class Origin(StrEnum):
    """Who handed the mail in. Given by the listener it came through, never by a header.

    NEIGHBOUR: a system that hands in the mail of its own users and that of the world. Which of the two one is, that
    system says in its header, and `pipeline.neighbour` reads it once.
    """

    AUTHORISED = "authorised"
    OUTSIDE = "outside"
    NEIGHBOUR = "neighbour"


class Protocol(StrEnum):
    """How the mail came in; the value is the `with` keyword of Received (RFC 5321 §4.4, RFC 3848)."""

    LMTP = "LMTP"
    ESMTP = "ESMTP"


@dataclass(frozen=True, slots=True)
class Client:
    """The host the mail came from: the connecting peer, or what a trusted peer said by XFORWARD."""

    address: str = "unknown"
    name: str | None = None
    helo: str | None = None


@dataclass(frozen=True, slots=True)
class Tls:
    """The TLS of the connection that the mail came over: protocol version, cipher suite and key bits."""

    version: str
    cipher: str
    bits: int


@dataclass(frozen=True, slots=True)
class Recipient:
    """One RCPT command. `notify` and `orcpt` are the DSN parameters as received, syntax checked (RFC 3461 §4)."""

    address: Address
    notify: str | None = None
    orcpt: str | None = None

    @property
    def wants_failure(self) -> bool:
        """Whether a report of failure may be sent: yes unless NOTIFY is given without FAILURE (RFC 3461 §4.1)."""
        return self.notify is None or "FAILURE" in self.notify.upper()

    @property
    def wants_success(self) -> bool:
        """Whether a report of success is asked for: only by NOTIFY with SUCCESS (RFC 3461 §4.1)."""
        return self.notify is not None and "SUCCESS" in self.notify.upper()


@dataclass(frozen=True, slots=True)
class Envelope:
    """One transaction. `sender` is None for the null sender. `recipients` keeps order and duplicates.

    `submission`: handed in by a user who has logged in and may use the envelope sender. Nobody has seen to From.
    """

    sender: Address | None
    recipients: tuple[Recipient, ...]
    origin: Origin
    protocol: Protocol = Protocol.LMTP
    client: Client = field(default_factory=Client)
    queue_id: str | None = None
    eight_bit: bool = False
    smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None
    tls: Tls | None = None
    submission: bool = False


def attempt_id(envelope: Envelope, message: Message) -> bytes:
    """SHA-256 (32 octets) that names this mail at this client, equal when the same mail is tried again.

    The recipients are not part of it: a client may retry a mail with fewer of them.
    """
    digest = hashlib.sha256()
    for part in _attempt_parts(envelope):
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    digest.update(message.raw)
    return digest.digest()


def mail_id(attempt: bytes) -> str:
    """The ID under which the log and the Received field know a mail; the same when the mail is tried again."""
    return attempt[:8].hex()


def _attempt_parts(envelope: Envelope) -> Iterable[bytes]:
    yield (envelope.queue_id or "").encode()
    yield envelope.client.address.encode()
    yield str(envelope.sender or "").encode()
