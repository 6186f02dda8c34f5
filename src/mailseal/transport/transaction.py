"""One mail coming in, from MAIL to the reply after its final dot (RFC 5321 §3.3)."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mailseal.mail import reply
from mailseal.mail.envelope import Envelope, Protocol, Recipient
from mailseal.mail.message import Message
from mailseal.mail.reply import Reply
from mailseal.transport.caps import Caps, Load, Peer
from mailseal.transport.command import Sender
from mailseal.transport.content import ContentDecoder
from mailseal.transport.guests import Guests
from mailseal.transport.server_tls import ServerTls
from mailseal.transport.spool import Body

logger = logging.getLogger(__name__)


def no_features() -> frozenset[str]:
    """A next hop that offers nothing."""
    return frozenset()


@dataclass(frozen=True, slots=True)
class House:
    """What all sessions of a receiver share.

    `features` gives the extensions that the next hop has; it is called on the event loop and may not block or raise.
    `load` and `guests` are those of the whole process. With `tls` STARTTLS is offered, and demanded if `tls_required`.
    `submission`: as of Envelope.
    """

    hostname: str
    protocol: Protocol
    caps: Caps
    load: Load
    guests: Guests = field(default_factory=Guests)
    features: Callable[[], frozenset[str]] = no_features
    normalise_bare_lf: bool = False
    spool_directory: Path | None = None
    tls: ServerTls | None = None
    tls_required: bool = False
    submission: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """A mail whose final dot has come, to be answered."""

    envelope: Envelope
    message: Message


class Transaction:
    """Sender, recipients, and the octets so far. Whoever makes it calls `close` at its end, whatever the end is."""

    __slots__ = ("_body", "_decoder", "_fault", "_house", "_peer", "_reserved_bytes", "recipients", "sender")

    def __init__(self, house: House, peer: Peer, sender: Sender) -> None:
        self._house = house
        self._peer = peer
        self._reserved_bytes = 0
        self._decoder: ContentDecoder | None = None
        self._body: Body | None = None
        self._fault: Reply | None = None
        self.sender = sender
        self.recipients: list[Recipient] = []

    @property
    def replies(self) -> int:
        """How many replies the final dot gets: one per recipient in LMTP (RFC 2033 §4.2), else one."""
        return len(self.recipients) if self._house.protocol is Protocol.LMTP else 1

    def begin_content(self) -> None:
        """DATA has been accepted."""
        self._decoder = ContentDecoder(normalise=self._house.normalise_bare_lf)
        self._body = Body(self._house.caps.spool_threshold_bytes, self._house.spool_directory)

    def feed(self, octets: bytes) -> bytes | None:
        """Take content; what follows the final dot, or None if it has not come."""
        assert self._decoder is not None
        content, rest = self._decoder.feed(octets)
        if content and self._fault is None:
            self._fault = self._keep(content)
            if self._fault is not None:
                self._let_go()
        return rest

    def finish(self) -> Message | Reply:
        """The whole message after the final dot, or why it is not taken."""
        assert self._decoder is not None
        if self._decoder.bare_line_feed and not self._house.normalise_bare_lf:
            return reply.BARE_LF
        if self._fault is not None:
            return self._fault
        assert self._body is not None
        try:
            return self._body.message()
        except OSError as error:
            logger.warning("cannot spool a mail: %s", error)
            return reply.TOO_BUSY

    def close(self) -> None:
        """Let go of the octets, and of their place among the bytes in flight."""
        self._let_go()

    def _keep(self, content: bytes) -> Reply | None:
        assert self._body is not None
        size = self._body.size + len(content)
        if size > self._house.caps.max_message_bytes:
            return reply.TOO_LARGE
        if not self._reserve(size):
            return reply.TOO_BUSY
        try:
            self._body.append(content)
        except OSError as error:
            logger.warning("cannot spool a mail: %s", error)
            return reply.TOO_BUSY
        return None

    def _reserve(self, size: int) -> bool:
        more = size - self._reserved_bytes
        if more > 0:
            if not self._house.load.reserve(more, self._house.caps, self._peer):
                return False
            self._reserved_bytes = size
        return True

    def _let_go(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
        self._house.load.release(self._reserved_bytes, self._peer)
        self._reserved_bytes = 0
