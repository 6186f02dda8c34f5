"""Connections of Postfix's daemons that ask questions: many, long, one question at a time on each, none that drips.

What is asked is the matter of a `Dialogue`, which does no I/O; what is answered that of a function.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast

from mailseal.errors import PermanentError

PATIENCE_SECONDS = 10.0
"""For the rest of a question, and for its answer to be read."""
IDLE_SECONDS = 600.0
"""Between two questions: Postfix's daemons end long before."""
MAX_CALLERS = 450
"""Two such servers fit into the descriptors that a process has unless told otherwise (1,024). Who has to make room
connects anew with the next question: Postfix does so unasked.
"""
_SWEEP_SECONDS = 1.0
_ACCEPT_AGAIN_SECONDS = 0.5

Q = TypeVar("Q")
Q_co = TypeVar("Q_co", covariant=True)

logger = logging.getLogger(__name__)


class BadCallError(PermanentError):
    """Somebody does not speak the protocol: the connection is closed. The text repeats nothing of what was said."""


class Dialogue(Protocol[Q_co]):
    """The server's side of a protocol on one connection."""

    greeting: bytes
    """What is said first."""

    def feed(self, octets: bytes) -> None:
        """Octets have come."""

    def turn(self) -> Q_co | bytes | None:
        """A question to be answered, octets to be sent, or None when more has to come; raises BadCallError."""

    @property
    def unfinished(self) -> bool:
        """Whether a question has begun to come and is not whole."""


Answer = Callable[[Q], bytes | Awaitable[bytes | None]]
"""The octets that answer a question; None: nothing can be said now, which the end of the connection says. It may not
block.
"""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a caller is borne, and how many there may be."""

    patience_seconds: float = PATIENCE_SECONDS
    idle_seconds: float = IDLE_SECONDS
    max_callers: int = MAX_CALLERS


class Callers(Generic[Q]):
    """All connections of one listening socket, which belongs to it. Used on one event loop."""

    def __init__(
        self, dialogue: Callable[[], Dialogue[Q]], answer: Answer[Q], patience: Patience | None = None
    ) -> None:
        self.dialogue = dialogue
        self.answer = answer
        self.patience = patience or Patience()
        self._calls: dict[_Call[Q], None] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._listening: socket.socket | None = None
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._over = asyncio.Event()
        self._draining = False

    def __len__(self) -> int:
        return len(self._calls)

    def listen(self, listening: socket.socket) -> None:
        """Accept connections from now on."""
        listening.setblocking(False)  # noqa: FBT003 -- the socket module's own signature
        self._listening = listening
        asyncio.get_running_loop().add_reader(listening, self._accept)
        self._sweep()

    async def drain(self, seconds: float) -> None:
        """Accept no more, let questions be answered that have been asked, then close all."""
        self._draining = True
        if self._listening is not None:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()
            self._listening = None
        for call in tuple(self._calls):
            call.drain()
        if self._calls:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), seconds)
        if unanswered := sum(call.busy for call in self._calls):
            logger.warning("%d questions were not answered at the end of the drain time", unanswered)
        for call in tuple(self._calls):
            call.abort()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()

    def joined(self, call: "_Call[Q]") -> None:
        """A connection is up; where there are too many, the one goes that has asked nothing for longest."""
        if len(self._calls) >= self.patience.max_callers:
            silent = next((one for one in self._calls if not one.busy), None)
            (silent or call).abort()
        self._calls[call] = None
        if self._draining:
            call.drain()

    def spoke(self, call: "_Call[Q]") -> None:
        """A connection is the last that will have to go."""
        if call in self._calls:
            del self._calls[call]
            self._calls[call] = None

    def left(self, call: "_Call[Q]") -> None:
        """A connection is down."""
        self._calls.pop(call, None)
        if self._draining and not self._calls:
            self._over.set()

    def _accept(self) -> None:
        assert self._listening is not None
        loop = asyncio.get_running_loop()
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            logger.warning("cannot accept connections for a moment: %s", error)
            loop.remove_reader(self._listening)
            loop.call_later(_ACCEPT_AGAIN_SECONDS, self._accept_again)
            return
        connection.setblocking(False)  # noqa: FBT003 -- same
        task = loop.create_task(self._open(connection))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def _accept_again(self) -> None:
        if self._listening is not None:
            asyncio.get_running_loop().add_reader(self._listening, self._accept)

    async def _open(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: _Call(self), connection)
        except OSError as error:
            logger.info("a connection went before it began: %s", error)
            connection.close()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for call in tuple(self._calls):
            call.check(now)
        often = min(_SWEEP_SECONDS, self.patience.patience_seconds / 4, self.patience.idle_seconds / 4)
        self._sweep_timer = loop.call_later(often, self._sweep)


class _Call(asyncio.Protocol, Generic[Q]):
    """One connection. While a question is being answered nothing is read."""

    __slots__ = ("_dialogue", "_draining", "_last", "_of", "_task", "_transport", "_writable")

    def __init__(self, of: Callers[Q]) -> None:
        self._of = of
        self._dialogue = of.dialogue()
        self._transport: asyncio.Transport
        self._task: asyncio.Task[None] | None = None
        self._writable = True
        self._draining = False
        self._last = asyncio.get_running_loop().time()

    @property
    def busy(self) -> bool:
        """Whether a question is being answered."""
        return self._task is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast(asyncio.Transport, transport)
        self._of.joined(self)
        self._write(self._dialogue.greeting)

    def data_received(self, data: bytes) -> None:
        """Octets have come."""
        if not self._dialogue.unfinished:  # else the time for the question has begun, and a drip does not lengthen it
            self._last = asyncio.get_running_loop().time()
            self._of.spoke(self)
        self._dialogue.feed(data)
        self._advance()

    def pause_writing(self) -> None:
        """The caller does not read its answers: it may ask on when it has."""
        self._writable = False
        self._last = asyncio.get_running_loop().time()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The caller reads again."""
        self._writable = True
        self._advance()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- a lost connection needs no reason
        """Nobody waits for the answer any more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._of.left(self)

    def check(self, now: float) -> None:
        """End what is silent or drips."""
        if self.busy:
            return
        waits = self._dialogue.unfinished or not self._writable or self._transport.get_write_buffer_size() > 0
        patience = self._of.patience
        if now - self._last > (patience.patience_seconds if waits else patience.idle_seconds):
            self._transport.abort()

    def drain(self) -> None:
        """End, after the question that is being answered."""
        self._draining = True
        if not self.busy:
            self._transport.close()

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

    def _advance(self) -> None:
        transport = self._transport
        while self._task is None and self._writable and not transport.is_closing():
            try:
                turn = self._dialogue.turn()
            except BadCallError as error:
                logger.warning("a connection is closed: %s", error)
                transport.abort()
                return
            if turn is None:
                transport.resume_reading()
                return
            answer = turn if isinstance(turn, bytes) else self._of.answer(turn)
            if isinstance(answer, bytes):
                self._write(answer)
            else:
                transport.pause_reading()
                self._task = asyncio.get_running_loop().create_task(self._wait_for(answer))

    async def _wait_for(self, answer: Awaitable[bytes | None]) -> None:
        try:
            octets = await answer
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 -- no answer defers the mail; other connections go on
            logger.error("a question could not be answered: %s", type(error).__name__)
            octets = None
        self._task = None
        self._last = asyncio.get_running_loop().time()
        self._write(octets or b"")
        if octets is None or self._draining:
            self._transport.close()
        else:
            self._advance()

    def _write(self, octets: bytes) -> None:
        if octets and not self._transport.is_closing():
            self._transport.write(octets)
