"""One connection of the receiver on the event loop: reads for a `Dialogue`, writes its replies, runs the handler."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, cast

from mailseal.mail import reply
from mailseal.mail.envelope import Envelope
from mailseal.mail.message import Message
from mailseal.mail.reply import Reply
from mailseal.transport.dialogue import Dialogue
from mailseal.transport.transaction import Delivery, House, Peer

READ_BYTES = 256 * 1024
MAX_WAITING_BYTES = 64 * 1024
"""How much a peer may send ahead while its mail is being handled; beyond it nothing more is read."""

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
        "_ended",
        "_home",
        "_last",
        "_lost",
        "_paused",
        "_task",
        "_transport",
        "_writable",
    )

    def __init__(self, home: Home, peer: Peer) -> None:
        self._home = home
        self._dialogue = Dialogue(home.house, peer)
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._ended = False
        self._paused = False
        self._writable = True
        self._lost = False
        self._began = self._last = asyncio.get_running_loop().time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, or say 421 when there are too many connections."""
        self._transport = cast(asyncio.Transport, transport)  # a loop may have a class of its own for it
        load = self._home.house.load
        load.connections += 1
        self._home.joined(self)
        if load.connections > self._home.house.caps.max_connections:
            self._dialogue.bye(reply.TOO_MANY_CONNECTIONS)
        else:
            self._dialogue.greet()
        self._advance(b"")

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 -- the size is ours
        """Where asyncio puts what it reads."""
        return self._home.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Octets have come."""
        self._last = asyncio.get_running_loop().time()
        self._advance(bytes(self._home.buffer[:nbytes]))

    def eof_received(self) -> bool:
        """The peer sends no more; it may still read the reply to a mail that is being handled."""
        self._ended = True
        return self._dialogue.handling

    def pause_writing(self) -> None:
        """The peer does not read its replies."""
        self._writable = False

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._writable = True
        self._advance(b"")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- a lost connection needs no reason
        """Forget an unfinished mail; a mail that is being handled goes on to its end."""
        self._lost = True
        self._home.house.load.connections -= 1
        self._dialogue.abandon()
        if self._task is None:
            self._home.left(self)

    def check(self, now: float) -> None:
        """Close when the peer is silent or takes too long; abort when it does not even read the 421."""
        transport, caps = self._transport, self._home.house.caps
        if transport is None or self._dialogue.handling:
            return
        if transport.is_closing():
            if now - self._last > caps.idle_seconds:
                transport.abort()
        elif now - self._last > caps.idle_seconds:
            self._leave(now, reply.IDLE_TOO_LONG)
        elif now - self._began > caps.total_seconds:
            self._leave(now, reply.SESSION_TOO_LONG)

    def _leave(self, now: float, last: Reply) -> None:
        self._last = now
        self._dialogue.bye(last)
        self._advance(b"")

    def drain(self) -> None:
        """Close now, or as soon as the mail under way is answered."""
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
        if dialogue.closed or (self._ended and not dialogue.handling):
            transport.close()
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
        except Exception:
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
