"""One connection of the receiver on the event loop: reads for a `Dialogue`, writes its replies, runs the handler."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, cast

from mailseal.mail import reply
from mailseal.mail.envelope import Envelope, Origin, Tls
from mailseal.mail.message import Message
from mailseal.mail.reply import Reply
from mailseal.transport.caps import Peer
from mailseal.transport.dialogue import CLOSED, COMMAND, CONTENT, HANDLING, SECURING, Dialogue
from mailseal.transport.transaction import Delivery, House

READ_BYTES = 256 * 1024
MAX_WAITING_BYTES = 64 * 1024
"""How much a peer may send ahead while its mail is being handled; beyond it nothing more is read."""
GOODBYE_SECONDS = 2.0
"""How long a peer may take to answer our end of TLS."""

Handler = Callable[[Envelope, Message], Awaitable[Sequence[Reply]]]
"""Takes a mail; gives one reply per recipient in order (LMTP) or exactly one (SMTP)."""

logger = logging.getLogger(__name__)


class Home(Protocol):
    """What a session needs of its receiver."""

    house: House
    handler: Handler
    buffer: memoryview
    """For all sessions of the loop: it is filled and emptied within one call."""

    def joined(self, session: "Session") -> None:
        """The connection is up."""

    def left(self, session: "Session") -> None:
        """The connection is down and no mail of it is being handled any more."""


class Session(asyncio.BufferedProtocol):
    """One connection."""

    __slots__ = (
        "_began",
        "_dialogue",
        "_draining",
        "_early",
        "_ended",
        "_home",
        "_last",
        "_lost",
        "_paused",
        "_peer",
        "_task",
        "_transport",
        "_window_began",
        "_window_bytes",
        "_writable",
    )

    def __init__(self, home: Home, peer: Peer) -> None:
        self._home = home
        self._peer = peer
        self._dialogue = Dialogue(home.house, peer)
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._early: bytearray | None = None
        self._ended = False
        self._paused = False
        self._writable = True
        self._lost = False
        self._draining = False
        self._window_began: float | None = None
        self._window_bytes = 0
        self._began = self._last = asyncio.get_running_loop().time()

    @property
    def origin(self) -> Origin:
        """As of Guest."""
        return self._peer.origin

    @property
    def client(self) -> str | None:
        """As of Guest."""
        return self._peer.client

    @property
    def silent_since(self) -> float | None:
        """As of Guest."""
        if self._dialogue.phase not in {COMMAND, SECURING, CLOSED}:
            return None
        return min(self._last, self._began + self._home.house.caps.talk_seconds)

    def make_room(self) -> None:
        """As of Guest."""
        if self._dialogue.phase in {SECURING, CLOSED}:
            self.abort()  # nothing can be said within a handshake, nor to one who does not read its last reply
            return
        self._dialogue.bye(reply.MAKES_ROOM)
        self._advance(b"")
        self._last = float("-inf")  # it is no longer counted: if it does not read this, the next look cuts it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, or say 421 when there are too many connections."""
        self._transport = cast(asyncio.Transport, transport)  # a loop may have a class of its own for it
        house = self._home.house
        house.load.connections += 1
        self._home.joined(self)
        if refusal := house.guests.admit(self, house.caps, self._began):
            self._dialogue.bye(refusal)
        else:
            self._dialogue.greet()
        self._advance(b"")

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 -- the size is ours
        """Where asyncio puts what it reads."""
        return self._home.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Octets have come."""
        self._last = asyncio.get_running_loop().time()
        self._window_bytes += nbytes
        octets = bytes(self._home.buffer[:nbytes])
        if self._early is None:
            self._advance(octets)
        else:
            self._early += octets

    def eof_received(self) -> bool:
        """The peer sends no more; without TLS it may still read the reply to a mail that is being handled."""
        self._ended = True
        return self._dialogue.phase is HANDLING and not self._dialogue.secure

    def pause_writing(self) -> None:
        """The peer does not read its replies."""
        self._writable = False

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._writable = True
        self._advance(b"")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- a lost connection needs no reason
        """Forget an unfinished mail; a mail that is being handled goes on to its end."""
        if self._lost:
            return
        self._lost = True
        house = self._home.house
        house.load.connections -= 1
        house.guests.leave(self)
        self._dialogue.abandon()
        if self._task is None:
            self._home.left(self)

    def check(self, now: float) -> None:
        """Close when the peer is silent, slow or takes too long; abort when it does not even read the 421."""
        transport, caps, phase = self._transport, self._home.house.caps, self._dialogue.phase
        if transport is None or phase is HANDLING or phase is SECURING:
            return
        if transport.is_closing():
            if now - self._last > caps.idle_seconds:
                transport.abort()
        elif now - self._last > caps.idle_seconds:
            self._leave(now, reply.IDLE_TOO_LONG)
        elif now - self._began > caps.total_seconds:
            self._leave(now, reply.SESSION_TOO_LONG)
        elif phase is not CONTENT:
            self._window_began = None
        elif self._is_slow(now):
            self._leave(now, reply.TOO_SLOW)

    def _is_slow(self, now: float) -> bool:
        """Whether less came in a whole window of time than must; called about once a second while content comes."""
        caps = self._home.house.caps
        if self._window_began is not None:
            seconds = now - self._window_began
            if seconds < caps.rate_window_seconds:
                return False
            if self._window_bytes < caps.min_bytes_per_second * seconds:
                return True
        self._window_began = now
        self._window_bytes = 0
        return False

    def _leave(self, now: float, last: Reply) -> None:
        self._last = now
        self._dialogue.bye(last)
        self._advance(b"")

    def drain(self) -> None:
        """Close now, or as soon as the mail under way is answered."""
        self._draining = True
        self._dialogue.drain()
        self._advance(b"")

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _advance(self, octets: bytes) -> None:
        dialogue, transport = self._dialogue, self._transport
        if transport is None or self._lost:
            return
        if octets or self._writable:
            dialogue.receive(octets)
        while True:
            stalled = dialogue.stalled
            if dialogue.output:
                transport.write(b"".join(dialogue.output))
                dialogue.output.clear()
            if not (stalled and self._writable):
                break
            dialogue.receive(b"")
        if dialogue.phase is CLOSED or (self._ended and dialogue.phase is not HANDLING):
            transport.close()
            return
        if dialogue.phase is SECURING:
            if self._task is None:
                transport.pause_reading()  # what comes now is for the handshake
                self._task = asyncio.get_running_loop().create_task(self._secure(transport))
            return
        if dialogue.delivery is not None and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._handle(dialogue.delivery))
        self._pace(transport)

    def _pace(self, transport: asyncio.Transport) -> None:
        """Stop reading only when more than a little waits: a pair of system calls per mail saved."""
        full = not self._writable or self._dialogue.waiting_bytes > MAX_WAITING_BYTES
        if full is not self._paused and not transport.is_closing():
            self._paused = full
            if full:
                transport.pause_reading()
            else:
                transport.resume_reading()

    async def _handle(self, delivery: Delivery) -> None:
        envelope, message = delivery.envelope, delivery.message
        try:
            replies = await self._home.handler(envelope, message)
        except asyncio.CancelledError:
            raise
        except BaseException:  # also a panic of Rust code, which is no Exception: no mail is left without an answer
            logger.exception("the handler failed; the mail is deferred")
            per_mail = len(envelope.recipients) if envelope.protocol == "LMTP" else 1
            replies = [reply.DEFERRED] * per_mail
        self._task = None
        self._dialogue.answer(replies)
        self._began = self._last = asyncio.get_running_loop().time()
        if self._lost:
            self._home.left(self)
        else:
            self._advance(b"")

    async def _secure(self, transport: asyncio.Transport) -> None:
        """Let TLS begin; then everything starts anew (RFC 3207 §4.2). A handshake that fails ends the connection."""
        house, loop = self._home.house, asyncio.get_running_loop()
        assert house.tls is not None
        if transport.is_closing():  # the peer went meanwhile: TLS would hear of nobody until its time is over
            self._task = None
            self._fail(transport)
            return
        self._early = bytearray()  # from here on only what came through TLS gets to this object
        try:
            secured = await loop.start_tls(
                transport,
                self,
                house.tls.context(),
                server_side=True,
                ssl_handshake_timeout=house.caps.handshake_seconds,
                ssl_shutdown_timeout=GOODBYE_SECONDS,
            )
        except Exception as error:  # noqa: BLE001 -- whatever went wrong, the connection has to be counted out
            why = (error.reason if isinstance(error, ssl.SSLError) else None) or type(error).__name__
            logger.info("a TLS handshake with %s failed: %s", self._peer.address, why)
            secured = None
        self._task = None
        tls = _tls_of(secured)
        if secured is None or tls is None or self._lost:
            self._fail(transport)
            return
        early, self._early = bytes(self._early), None
        self._transport, self._paused, self._writable = secured, False, True
        self._dialogue = Dialogue(house, self._peer, tls)
        self._last = loop.time()
        if self._draining:
            self._dialogue.drain()
        self._advance(early)

    def _fail(self, transport: asyncio.Transport) -> None:
        """The handshake has failed; whatever the loop makes of it, the connection is counted out once."""
        transport.abort()
        if self._lost:
            self._home.left(self)
        else:
            self.connection_lost(None)


def _tls_of(transport: asyncio.Transport | None) -> Tls | None:
    """What was agreed on; None if the connection went before."""
    made = transport.get_extra_info("ssl_object") if transport is not None else None
    if not isinstance(made, ssl.SSLObject) or (suite := made.cipher()) is None:
        return None
    return Tls(made.version() or "unknown", suite[0], suite[2])
