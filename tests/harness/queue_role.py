"""The queue role served in a thread, on commands that do nothing and are remembered: for who asks it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from pathlib import Path

from harness.waiting import PATIENCE_SECONDS
from mailseal.postfix.queue_request import MAX_LINE_BYTES
from mailseal.roles.queue_client import QueueClient
from mailseal.roles.queue_commands import Changed, CommandFailedError, Commands
from mailseal.roles.queue_role import QueueRole

IDS = ("4dJmVf1Bqmz9sTz", "4dJmVg2lRwz9sV0")
LINE = json.dumps(
    {"queue_name": "deferred", "queue_id": IDS[0], "arrival_time": 1, "message_size": 2, "sender": "", "recipients": []}
).encode()


class Scripted(Commands):
    """Commands that do nothing and are remembered."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"))
        self.asked: list[object] = []
        self.pieces: list[bytes] = [LINE + b"\n"]
        self.hold_up = threading.Event()
        self.hold_up.set()

    async def listing(self, take):
        self.asked.append("list")
        for piece in self.pieces:
            await take(piece)
        await asyncio.get_running_loop().run_in_executor(None, self.hold_up.wait)
        return ""

    async def change(self, option, ids, *queues):
        self.asked.append((option, ids, *queues))
        return Changed(7 if ids is None else len(ids), ids or ())

    async def wake_pickup(self):
        self.asked.append("wake")

    async def flush(self):
        raise CommandFailedError("mail system is down")


class Served:
    """A role in a thread, at a socket of its own."""

    def __init__(self, path: Path, commands: Commands, owner: int) -> None:
        self.path, self.commands = path, commands
        self.client = QueueClient(path)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(owner)))
        self._thread.start()
        assert self._ready.wait(PATIENCE_SECONDS)

    async def _serve(self, owner: int) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        role = QueueRole(self.commands, owner)
        server = await asyncio.start_unix_server(role._connected, path=self.path, limit=MAX_LINE_BYTES)
        self._ready.set()
        await self._over.wait()
        server.close()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE_SECONDS)

    def raw(self, octets: bytes) -> dict:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_SECONDS)
            connection.connect(str(self.path))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(octets)
                connection.shutdown(socket.SHUT_WR)
            return json.loads(connection.makefile("rb").readlines()[-1])["end"]
