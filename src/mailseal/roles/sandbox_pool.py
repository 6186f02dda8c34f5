"""The processes that read documents, one document each at a time, and who waits for one of them; standard library only.

A process that takes too long is killed, one that dies has that told to who asked; another follows at once. Those go
first whose mail has had least of it, so that a mail of many hard documents makes room for others.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import pwd
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from mailseal.config import Dlp
from mailseal.extract.sandbox_lines import BEGUN, BUSY, MAX_DOCUMENTS, Request, Status, failed_line
from mailseal.policy.inspection import GapReason
from mailseal.transport.parser_child import COMMAND, DONE, LAST, MAX_MESSAGE_BYTES, ParserChild, ParserStartError

PATIENCE_SECONDS = 5.0
"""For a line to be taken, and for who has all of an answer to go."""
START_SECONDS = 60.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 10.0
"""Before the next start of a process that does not come up; one that a document ended is followed at once."""
KILL_SECONDS = 3.0
"""How long past its time a process may be, which sees to its time itself."""
FAREWELL_SECONDS = 1.0
"""How long a process may take to say that it is done, when who asked has what it wanted."""
IDLE_SECONDS = 600.0

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Job:
    """A document that waits for a process, or has one: the question as it came, and where the answer goes."""

    line: bytes
    request: Request
    document: int
    answer: socket.socket
    given_up: bool = False
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


class Pool:
    """Processes, started when there is something to read, and gone when there has been nothing for long."""

    def __init__(self, dlp: Dlp, command: Sequence[str] = COMMAND) -> None:
        self._dlp = dlp
        self._command = command
        self._jobs: asyncio.PriorityQueue[tuple[float, int, Job]] = asyncio.PriorityQueue()
        self._numbers = itertools.count()
        self._running = 0
        self._known = asyncio.Event()
        self._lacking: tuple[str, ...] = ()
        self._trouble = ""

    def begin(self) -> list[asyncio.Task[None]]:
        """Have documents read until the tasks are cancelled."""
        return [asyncio.create_task(self._slot(first=not at)) for at in range(self._dlp.extractors)]

    async def read(self, job: Job) -> None:
        """Have a document read, or say that it had no turn in time."""
        self._jobs.put_nowait((job.request.used, next(self._numbers), job))
        try:
            async with asyncio.timeout(self._dlp.wait_seconds):
                await job.begun.wait()
        except TimeoutError:
            job.given_up = not job.begun.is_set()
        if job.given_up:
            await say(job.answer, BUSY)
        else:
            await job.ended.wait()

    async def status(self) -> Status:
        """How it stands, once the first process has come up, or has not."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._known.wait()
        user, waiting = _name(os.geteuid()), self._jobs.qsize()
        return Status(user, self._dlp.extractors, self._running, waiting, self._lacking, self._trouble)

    async def _slot(self, *, first: bool) -> None:
        """One process at a time. The first is there before it is needed: that it cannot start is to be known."""
        child = await self._start() if first else None
        try:
            while True:
                # Not wait_for: in Python 3.11 it may keep it to itself that this task is to end.
                try:
                    async with asyncio.timeout(IDLE_SECONDS):
                        _, _, job = await self._jobs.get()
                except TimeoutError:
                    end(child)
                    child = None
                    continue
                if child is None or not child.alive:
                    end(child)
                    child = None
                    child = await self._start()
                if not job.given_up and not await self._do(job, child):
                    end(child)
                    child = None
                    child = await self._start()  # at once: the next document may be there already
        finally:
            end(child)

    async def _start(self) -> ParserChild:
        failures = 0
        while True:
            try:
                return await self._started()
            except (ParserStartError, OSError, TimeoutError) as error:
                why = str(error) or f"one is not ready after {START_SECONDS:g} s"
            self._trouble = f"no process that reads documents comes up: {why}"
            self._known.set()
            failures += 1
            logger.error(self._trouble)
            await asyncio.sleep(min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10)))

    async def _started(self) -> ParserChild:
        child = ParserChild(self._dlp.memory_bytes, command=self._command)
        try:
            child.control.settimeout(0)
            async with asyncio.timeout(START_SECONDS):
                said = await asyncio.get_running_loop().sock_recv(child.control, MAX_MESSAGE_BYTES)
            child.take_ready(said)
        except BaseException:
            child.kill()
            raise
        if child.lacking and not (self._known.is_set() and self._lacking == child.lacking):
            logger.warning("processes that read documents are without: %s", "; ".join(child.lacking))
        self._lacking, self._trouble = child.lacking, ""
        self._known.set()
        return child

    async def _do(self, job: Job, child: ParserChild) -> bool:
        """Have a document read; whether the process can go on. All but that is told to who asked, if it is there."""
        job.begun.set()
        try:
            await say(job.answer, BEGUN)
        except (OSError, TimeoutError):
            job.ended.set()
            return True  # nobody waits for it any more, and the process knows nothing of it
        self._running += 1
        said: bytes | None = b""
        try:
            child.hand_over(job.line, job.document, job.answer.fileno())
            said = await self._watch(job, child)
        except (ClientGoneError, TimeoutError):
            said = LAST
        except OSError:
            pass  # it is gone
        finally:
            self._running -= 1
            if said not in {DONE, LAST}:
                end(child)
                await _tell(job, GapReason.TIMEOUT if said is None else GapReason.CRASHED)
            job.ended.set()
        # It should end by itself then; one that a document has taken over would not.
        return said == DONE and child.handed_over < MAX_DOCUMENTS

    async def _watch(self, job: Job, child: ParserChild) -> bytes | None:
        """What a process says at the end, b"" if it died, None if it said nothing in time; raises ClientGoneError."""
        loop = asyncio.get_running_loop()
        said = asyncio.ensure_future(loop.sock_recv(child.control, MAX_MESSAGE_BYTES))
        # A client has nothing more to say: to be readable is to be at its end.
        gone = asyncio.ensure_future(readable(job.answer))
        try:
            seconds = min(job.request.seconds, self._dlp.document_seconds) + KILL_SECONDS
            await asyncio.wait({said, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not said.done() and gone.done():
                await asyncio.wait({said}, timeout=FAREWELL_SECONDS)
                if not said.done():
                    raise ClientGoneError
            if not said.done():
                return None
            if said.result() in {DONE, LAST}:
                # Who has all of an answer goes: a process that is done, and has not answered, is not what it was.
                await asyncio.wait({gone}, timeout=PATIENCE_SECONDS)
            return said.result() if gone.done() else b""
        finally:
            said.cancel()
            gone.cancel()
            # Before either socket is closed: the next one may have its number, and would not be heard.
            await asyncio.wait({said, gone})


def end(child: ParserChild | None) -> None:
    """Kill a process, if there is one."""
    if child is not None:
        child.kill()


async def _tell(job: Job, reason: GapReason) -> None:
    logger.warning("a process that read a document was lost: %s", reason.value)
    with contextlib.suppress(OSError, TimeoutError):
        job.answer.settimeout(0)  # the process may have changed it: they shared it
        await say(job.answer, failed_line(reason))


async def say(connection: socket.socket, line: bytes) -> None:
    """Write a line; raises OSError, TimeoutError."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.get_running_loop().sock_sendall(connection, line)


async def readable(connection: socket.socket) -> None:
    """Until there is something to read, or nothing any more for ever."""
    loop = asyncio.get_running_loop()
    there = asyncio.Event()
    loop.add_reader(connection, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(connection)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
