"""The sandbox role: it has hostile documents read, by processes that have given up all but reading them.

It looks into no document and no answer itself: it hands both ends to a process (`extract.child`), and watches. It has a
user of its own, no key, no database; standard library only. Who asks is the owner of the data folder, by the kernel's
word (SO_PEERCRED, unix(7)).
"""

import asyncio
import logging
import os
import socket
import struct
import sys
from collections.abc import Sequence

from mailseal.config import SANDBOX, Config, listeners
from mailseal.extract.sandbox_lines import BUSY, MAX_REQUEST_BYTES, STATUS, LinesError, parse_request
from mailseal.roles import listening
from mailseal.roles.child import Inheritance, inherit
from mailseal.roles.lifetime import Lifetime
from mailseal.roles.logs import configure
from mailseal.roles.program import run_program
from mailseal.roles.sandbox_pool import KILL_SECONDS, PATIENCE_SECONDS, Job, Pool, readable, say

MAX_CONNECTIONS = 400
_UCRED = struct.Struct("3i")

logger = logging.getLogger("mailseal.roles.sandbox_role")  # it runs as __main__


class SandboxRole:
    """The socket, a connection for each document."""

    def __init__(self, pool: Pool, allowed: frozenset[int], drain_seconds: float) -> None:
        self._pool = pool
        self._allowed = allowed
        self._drain_seconds = drain_seconds
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self, inheritance: Inheritance) -> None:
        """Listen, say so, and end when what is being read has been read, or the time for that is over."""
        lifetime = Lifetime(inheritance, self._drain_seconds)
        listener = inheritance.sockets[SANDBOX]
        listener.settimeout(0)
        slots = self._pool.begin()
        accepting = asyncio.create_task(self._accept(listener))
        inheritance.ready()
        await lifetime.wait()
        accepting.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=self._drain_seconds)
        rest = [*self._connections, *slots]
        for task in rest:
            task.cancel()
        await asyncio.gather(accepting, *rest, return_exceptions=True)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listener)
            task = asyncio.create_task(self._connected(connection))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _connected(self, connection: socket.socket) -> None:
        try:
            with connection:
                connection.settimeout(0)
                await self._answer(connection)
        except (OSError, TimeoutError, LinesError):
            pass  # who asked is gone, or does not speak as we do
        except Exception as error:  # noqa: BLE001 -- the next one may be answered
            logger.error("a question could not be answered: %s", type(error).__name__)

    async def _answer(self, connection: socket.socket) -> None:
        if (uid := peer_uid(connection)) not in self._allowed:
            logger.warning("a question of user %d was refused: documents come from the owner of the data folder", uid)
            return
        documents: list[int] = []
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                line = await _question(connection, documents)
            if line == STATUS:
                await say(connection, (await self._pool.status()).line())
            elif documents and len(self._connections) <= MAX_CONNECTIONS:
                await self._pool.read(Job(line, parse_request(line), documents[0], connection))
            else:
                await say(connection, BUSY)
        finally:
            for document in documents:
                os.close(document)


async def _question(connection: socket.socket, documents: list[int]) -> bytes:
    """A line; the descriptor that came along goes to the list. Raises OSError, LinesError."""
    line = b""
    while not line.endswith(b"\n"):
        await readable(connection)
        flags = socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
        got, found, _, _ = socket.recv_fds(connection, MAX_REQUEST_BYTES - len(line), 1, flags)
        documents += found
        line += got
        if not got or len(documents) > 1:
            raise LinesError("a question is one line and one document")
    return line


def peer_uid(connection: socket.socket) -> int:
    """Who is at the other end of a UNIX socket, by the kernel's word."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    uid: int = _UCRED.unpack(found)[1]
    return uid


def run(config: Config) -> None:
    """Have documents read until told to end; raises MailsealError when the role cannot start."""
    configure(config.log, "sandbox")
    inheritance = inherit()
    if SANDBOX not in inheritance.sockets:
        inheritance.sockets[SANDBOX] = listening.bind(listeners(config)[SANDBOX], "", for_owner=True)
    allowed = frozenset({0, os.geteuid(), config.data_dir.stat().st_uid})
    asyncio.run(_serve(config, allowed, inheritance))


async def _serve(config: Config, allowed: frozenset[int], inheritance: Inheritance) -> None:
    await SandboxRole(Pool(config.dlp), allowed, config.dlp.document_seconds + KILL_SECONDS).serve(inheritance)


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m mailseal.roles.sandbox_role [--config FILE]`; the supervisor starts it like that."""
    return run_program("sandbox", "Have documents read for DLP.", run, arguments)


if __name__ == "__main__":
    sys.exit(main())
