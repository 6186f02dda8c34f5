"""The queue role: the narrow privilege by which the owner of the data folder looks after Postfix's queue.

It runs as root, since postsuper(1) and postcat(1) want that, and is small for that: standard library, no secret, no
database, no key, no network; one UNIX socket that the owner of the data folder alone can open, on which it asks the
kernel who is there (SO_PEERCRED, unix(7)); a closed set of verbs (`postfix.queue_request`), each done for one at a
time and within its time.
"""

import asyncio
import logging
import os
import socket
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mailseal.config import QUEUE, Config, Log, LogDestination, LogSink, listeners
from mailseal.errors import PermanentError, TransientError
from mailseal.postfix.queue_request import MAX_LINE_BYTES, Request, RequestError, Trouble, Verb, end_line, parse_request
from mailseal.roles import listening
from mailseal.roles.child import Inheritance, inherit
from mailseal.roles.confinement import keep_capabilities
from mailseal.roles.lifetime import Lifetime
from mailseal.roles.logs import configure
from mailseal.roles.process import CANNOT_WORK
from mailseal.roles.program import run_program
from mailseal.roles.queue_commands import Changed, CommandFailedError, Commands
from mailseal.roles.users import as_owner, make_folders

MAX_CONNECTIONS = 20
PATIENCE_SECONDS = 10.0
"""For a request to come, once somebody is there."""
TURN_SECONDS = 30.0
"""How long to wait for another's request of the same verb to be done."""
WORK_SECONDS: Mapping[Verb, float] = {Verb.LIST: 240.0, Verb.TRY: 60.0, Verb.FLUSH: 60.0, Verb.SHOW: 60.0}
CHANGE_SECONDS = 300.0
MAX_LISTED_MAILS = 1_000_000
MAX_LISTED_BYTES = 1 << 30
"""What is told of; the mails beyond are counted."""

CAP_DAC_OVERRIDE, CAP_SETGID, CAP_SETUID = 1, 6, 7
CAPABILITIES = (CAP_DAC_OVERRIDE, CAP_SETGID, CAP_SETUID)
"""To read queue files and call Postfix's daemons; postsuper becomes the owner of the queue."""

_OPTIONS = {Verb.HOLD: "-h", Verb.RELEASE: "-H", Verb.REQUEUE: "-r", Verb.DELETE: "-d"}
_UCRED = struct.Struct("3i")

logger = logging.getLogger("mailseal.roles.queue_role")  # it runs as __main__

Facts = Mapping[str, object]


class NotRootError(PermanentError):
    """The role can do nothing as it was started."""

    exit_status = CANNOT_WORK


class QueueRole:
    """Answers, one connection for each request."""

    def __init__(self, commands: Commands, owner_uid: int) -> None:
        self._commands = commands
        self._allowed = frozenset({0, owner_uid})
        self._turns = {verb: asyncio.Lock() for verb in Verb}
        self._connections = 0

    async def serve(self, inheritance: Inheritance) -> None:
        """Listen, say so, and end; a change that is under way is done to its end."""
        lifetime = Lifetime(inheritance, drain_seconds=CHANGE_SECONDS)
        server = await asyncio.start_unix_server(
            self._connected, sock=inheritance.sockets[QUEUE], limit=MAX_LINE_BYTES, backlog=MAX_CONNECTIONS
        )
        inheritance.ready()
        await lifetime.wait()
        server.close()
        for verb in _OPTIONS:
            async with self._turns[verb]:
                pass

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            writer.write(await self._answer(reader, writer))
            writer.close()
            await asyncio.wait_for(writer.wait_closed(), PATIENCE_SECONDS)
        except (OSError, TimeoutError):
            pass  # who asked is gone
        except Exception as error:  # noqa: BLE001 -- the next one may be answered
            logger.error("a request could not be answered: %s", type(error).__name__)
        finally:
            self._connections -= 1
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """The last line of the answer; what comes before it is written."""
        try:
            # Read in any case: who is hung up on while he speaks may hear no answer.
            line = await asyncio.wait_for(reader.readuntil(b"\n"), PATIENCE_SECONDS)
            uid = peer_uid(writer.get_extra_info("socket"))
            if uid not in self._allowed:
                logger.warning("a request of user %d was refused: the queue is not theirs", uid)
                return _trouble(Trouble.REFUSED, "only the owner of the data folder and root may ask")
            if self._connections > MAX_CONNECTIONS:
                return _trouble(Trouble.BUSY, "too many ask at once")
            return end_line(**await self._in_turn(parse_request(line), uid, writer))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            return _trouble(Trouble.REFUSED, "a request is one line")
        except RequestError as error:
            return _trouble(Trouble.REFUSED, str(error))
        except NotDoneError as error:
            return _trouble(error.trouble, str(error))
        except CommandFailedError as error:
            logger.warning("Postfix's queue: %s", error)
            return _trouble(Trouble.FAILED, str(error))

    async def _in_turn(self, request: Request, uid: int, writer: asyncio.StreamWriter) -> Facts:
        turn = self._turns[request.verb]
        try:
            await asyncio.wait_for(turn.acquire(), TURN_SECONDS)
        except TimeoutError:
            raise NotDoneError(Trouble.BUSY, f"somebody else's {request.verb} is not done yet") from None
        try:
            async with asyncio.timeout(WORK_SECONDS.get(request.verb, CHANGE_SECONDS)):
                facts = await self._do(request, writer)
        except TimeoutError:
            raise NotDoneError(Trouble.LATE, f"{request.verb} took too long and was ended") from None
        finally:
            turn.release()
        if request.verb in _OPTIONS:
            logger.info("queue: %s of %s mails for user %d", request.verb, facts.get("count"), uid)
        return facts

    async def _do(self, request: Request, writer: asyncio.StreamWriter) -> Facts:
        commands = self._commands
        match request.verb:
            case Verb.LIST:
                return await self._list(writer)
            case Verb.SHOW:
                return {"files": [one.facts() for one in await commands.files(request.ids, "-e", "-h")]}
            case Verb.REQUEUE:
                return await self._requeue(request)
            case Verb.HOLD | Verb.RELEASE | Verb.DELETE:
                named = None if request.everything else request.ids
                return _changed(await commands.change(_OPTIONS[request.verb], named))
            case Verb.FLUSH:
                await commands.flush()
            case Verb.TRY:
                await commands.try_now(request.ids)
            case Verb.PING:
                pass
        return {}

    async def _list(self, writer: asyncio.StreamWriter) -> Facts:
        forwarding = Forwarding(writer)
        try:
            note = await self._commands.listing(forwarding.take)
        finally:
            forwarding.end_line()
        return {"mails": forwarding.mails, "cut": forwarding.cut, "note": note}

    async def _requeue(self, request: Request) -> Facts:
        """Only what comes back to where it was. pickup(8), which gets it, has a content filter of its own: by another
        one mail of strangers would become mail of authorised senders, and without one all would leave in clear.
        """
        commands = self._commands
        expected = await commands.filter_of_requeued()
        files = await commands.files(request.ids, "-e")
        same = [one.id for one in files if one.content_filter == expected]
        other = [one.id for one in files if one.content_filter != expected]
        # Not what is being delivered: it would be delivered a second time.
        if not same:
            return {**_changed(Changed(0)), "kept": other}
        changed = await commands.change(_OPTIONS[Verb.REQUEUE], same, "deferred", "hold")
        await commands.wake_pickup()
        return {**_changed(changed), "kept": other}


class Forwarding:
    """Lines for who asked, up to a limit and whole; those beyond are counted."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._bytes = 0
        self._torn = False
        self.mails = 0
        self.cut = 0

    async def take(self, piece: bytes) -> None:
        """One more piece of the lines."""
        if self.mails < MAX_LISTED_MAILS and self._bytes < MAX_LISTED_BYTES:
            await self._forward(piece)
            return
        if self._torn:
            line, end, piece = piece.partition(b"\n")
            await self._forward(line + end)
        self.cut += piece.count(b"\n")

    async def _forward(self, piece: bytes) -> None:
        self._writer.write(piece)
        await self._writer.drain()
        self.mails += piece.count(b"\n")
        self._bytes += len(piece)
        self._torn = not piece.endswith(b"\n")

    def end_line(self) -> None:
        """What was cut off in the middle of a line is a line."""
        if self._torn:
            self._writer.write(b"\n")


class NotDoneError(TransientError):
    """It was not done, for a reason that may pass."""

    def __init__(self, trouble: Trouble, text: str) -> None:
        super().__init__(text)
        self.trouble = trouble


def peer_uid(connection: socket.socket) -> int:
    """Who is at the other end of a UNIX socket, by the kernel's word (unix(7), SO_PEERCRED)."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    uid: int = _UCRED.unpack(found)[1]
    return uid


def _changed(changed: Changed) -> dict[str, object]:
    return {"count": changed.count, "ids": list(changed.ids), "note": changed.note}


def _trouble(trouble: Trouble, text: str) -> bytes:
    return end_line(error=trouble, text=text)


def run(config: Config) -> None:
    """Answer until told to end; raises MailsealError when the role cannot start."""
    configure(_log_of_root(config.log), "queue")
    if os.geteuid() != 0:
        raise NotRootError("the queue role needs root: nobody else may hold, show or delete what is in Postfix's queue")
    inheritance = inherit()
    place = listeners(config).get(QUEUE)
    if place is None:
        raise NotRootError("postfix.instance is off: there is no queue to look after")
    if not inheritance.supervised:
        make_folders(config, ())
        with as_owner(config.data_dir):
            listening.share(config.run_dir / "supervisor.lock")
            inheritance.sockets[QUEUE] = listening.bind(place, "", for_owner=True)
    owner_uid = config.data_dir.stat().st_uid
    keep_capabilities(CAPABILITIES)
    asyncio.run(QueueRole(Commands(config.postfix.active_dir), owner_uid).serve(inheritance))


def _log_of_root(log: Log) -> Log:
    """No file: its folder may be another's, who could have root write elsewhere by a link."""
    in_file = log.destination.sink is LogSink.FILE
    return replace(log, destination=LogDestination()) if in_file else log


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m mailseal.roles.queue_role [--config FILE]`; the supervisor starts it like that."""
    return run_program("queue-role", "Look after Postfix's queue.", run, arguments)


if __name__ == "__main__":
    sys.exit(main())
