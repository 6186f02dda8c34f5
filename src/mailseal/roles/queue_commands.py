"""Postfix's own commands, run for the queue role: no shell, an environment of our own, output and time bounded.

postqueue(1) lists and asks for delivery, postsuper(1) holds, releases, requeues and deletes, postcat(1) shows,
postkick(1) wakes who takes up what is requeued.
"""

import asyncio
import itertools
import os
import re
import shutil
import signal
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mailseal.errors import TransientError
from mailseal.postfix.queue_file import QueueFile, read_queue_files

PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin"
ENVIRONMENT = {"PATH": PATH, "LC_ALL": "C"}
MAX_OUTPUT_BYTES = 16 * 1024 * 1024
MAX_SAID_BYTES = 256 * 1024
MAX_TEXT_CHARS = 500
PIECE_BYTES = 64 * 1024
PICKUP_SECONDS = 10.0

_DONE = re.compile(r"postsuper: ([0-9A-Za-z]+): (?:placed on hold|released from hold|requeued|removed)")
_COUNT = re.compile(r"postsuper: (?:Placed on hold|Released from hold|Requeued|Deleted): (\d+) messages?")
_TROUBLE = re.compile(r"\w+: (?:fatal|error|panic|warning): (?!\S+\.cf, line )(.*)")
"""What a command complains of, without what it always says of a configuration."""


class CommandFailedError(TransientError):
    """A command of Postfix did not do what it was to do; the text is what it said."""


class UntrustedError(CommandFailedError):
    """Somebody else than root could change what root would run by."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a command came to. `stdout` is cut at MAX_OUTPUT_BYTES, `said` (standard error) at MAX_SAID_BYTES."""

    status: int
    stdout: bytes
    said: str

    @property
    def complaint(self) -> str:
        """The last thing that it complained of, or all it said."""
        return (self.warning or self.said.strip() or f"status {self.status}")[:MAX_TEXT_CHARS]

    @property
    def warning(self) -> str:
        """The last thing that it complained of, "" for none."""
        found = _TROUBLE.findall(self.said)
        return str(found[-1])[:MAX_TEXT_CHARS] if found else ""


@dataclass(frozen=True, slots=True)
class Changed:
    """The mails that a change was made to: their number, and their IDs if they were named."""

    count: int
    ids: Sequence[str] = ()
    note: str = ""


class Commands:
    """The commands for the instance whose main.cf is in a folder."""

    def __init__(self, config_dir: Path) -> None:
        self._config_dir = config_dir

    async def listing(self, take: Callable[[bytes], Awaitable[None]]) -> str:
        """Read the queue (postqueue -j), by pieces as they come; what it said of trouble. Raises CommandFailedError.

        It is ended if `take` raises.
        """
        async with _running(self._command("postqueue", "-j")) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            saying = asyncio.ensure_future(_read(process.stderr, MAX_SAID_BYTES))
            try:
                while piece := await process.stdout.read(PIECE_BYTES):
                    await take(piece)
                done = Done(await process.wait(), b"", (await saying).decode("utf-8", "replace"))
            finally:
                saying.cancel()
                await asyncio.wait([saying])
        if done.status != 0:
            raise CommandFailedError(done.complaint)
        return done.warning

    async def change(self, option: str, ids: Sequence[str] | None, *queues: str) -> Changed:
        """Have postsuper do -h, -H, -r or -d to these mails, or to all with None; only in these queues, or in all in
        which it is done by default. Raises CommandFailedError.
        """
        if ids is None:
            done = await run(self._command("postsuper", option, "ALL", *queues))
        else:
            given = "".join(f"{one}\n" for one in ids).encode()
            done = await run(self._command("postsuper", option, "-", *queues), given)
        found = _DONE.findall(done.said)
        counts = _COUNT.findall(done.said)
        # It does its work first; without a master that takes log lines it then fails for having no log.
        if done.status != 0 and not counts:
            raise CommandFailedError(done.complaint)
        note = done.complaint if done.status != 0 else ""
        return Changed(int(counts[-1]) if counts else 0, tuple(dict.fromkeys(found)), note)

    async def flush(self) -> None:
        """Have all deferred mail tried now; raises CommandFailedError."""
        await self._postqueue("-f")

    async def try_now(self, ids: Iterable[str]) -> None:
        """Have some mails tried now; those that are not deferred are left alone. Raises CommandFailedError."""
        for one in ids:
            await self._postqueue("-i", one)

    async def files(self, ids: Sequence[str], *options: str) -> list[QueueFile]:
        """What postcat tells of the mails that are there; raises CommandFailedError."""
        found: list[QueueFile] = []
        left = list(ids)
        while left:
            done = await run(self._command("postcat", "-q", *options, *left))
            told = list(read_queue_files(done.stdout.decode("utf-8", "replace").split("\n")))
            found += told
            if done.status != 0 and "No such file" not in done.said:
                raise CommandFailedError(done.complaint)
            # It ends at the first that is gone, in whose place the next call goes on behind it.
            left = left[len(told) + 1 :] if done.status != 0 else []
        return found

    async def wake_pickup(self) -> None:
        """Have pickup(8) look now, which else looks once a minute. Whatever postkick says: who is awake may hang up on
        it before it has spoken.
        """
        await run(self._command("postkick", "public", "pickup", "W"))

    async def filter_of_requeued(self) -> str:
        """Where the pickup(8) that is running hands on what postsuper -r gives it (postconf(5), content_filter); "" is
        no filter. The process is asked, not a file: Postfix may not have read that yet. Raises CommandFailedError.
        """
        master = Path(await self._parameter("queue_directory")) / "pid" / "master.pid"
        try:
            parent = int(master.read_text(encoding="ascii"))
        except (OSError, ValueError):
            raise CommandFailedError("mail system is down") from None
        await self.wake_pickup()
        until = time.monotonic() + PICKUP_SECONDS
        while not (told := {_option(one, "content_filter") for one in children(parent, "pickup")}):
            if time.monotonic() >= until:
                raise CommandFailedError("pickup(8) does not start")
            await asyncio.sleep(0.05)
        if len(told) > 1:
            raise CommandFailedError("Postfix is reading its configuration anew; try again")
        found = told.pop()
        return await self._parameter("content_filter") if found is None else found

    async def _parameter(self, name: str) -> str:
        done = await run(self._command("postconf", "-x", "-h", name))
        if done.status != 0:
            raise CommandFailedError(done.complaint)
        return done.stdout.decode("utf-8", "replace").strip()

    async def _postqueue(self, *arguments: str) -> None:
        done = await run(self._command("postqueue", *arguments))
        if done.status != 0:
            raise CommandFailedError(done.complaint)

    def _command(self, name: str, *arguments: str) -> list[str]:
        require_trusted(self._config_dir)
        program = shutil.which(name, path=PATH)
        if program is None:
            raise CommandFailedError(f"there is no {name} here; is Postfix installed?")
        return [program, "-c", str(self._config_dir), *arguments]


def require_trusted(config_dir: Path) -> None:
    """Root runs commands by this folder: raises UntrustedError if anybody else could change what is in it."""
    if os.geteuid() != 0:
        return
    try:
        folder = config_dir.resolve(strict=True)
        files = [folder, *((folder / name).resolve(strict=True) for name in ("main.cf", "master.cf"))]
        for path in {one for file in files for one in (file, *file.parents)}:
            found = path.stat()
            may_write = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            in_common = found.st_mode & stat.S_ISVTX and path not in files  # as /tmp: each there has his own
            if found.st_uid != 0 or (may_write and not in_common):
                raise UntrustedError(f"not only root can change {path}")
    except OSError as error:
        raise CommandFailedError(f"{error.filename}: {error.strerror}") from None


def children(parent: int, name: str) -> Iterator[Sequence[str]]:
    """The command lines of a process's children of a name (proc(5))."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with suppress(OSError):  # it has ended meanwhile
            comm, _, rest = (
                (entry / "stat").read_text(encoding="utf-8", errors="replace").partition("(")[2].rpartition(")")
            )
            if comm == name and int(rest.split()[1]) == parent:
                yield (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")


def _option(command: Sequence[str], name: str) -> str | None:
    """The value of -o name=value; the last one counts (master(5))."""
    values = [one.partition("=") for before, one in itertools.pairwise(command) if before == "-o"]
    return next((value.strip() for key, _, value in reversed(values) if key.strip() == name), None)


async def run(command: Sequence[str], given: bytes = b"") -> Done:
    """Run a command to its end, with something on its standard input; raises CommandFailedError."""
    async with _running(command, with_input=bool(given)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        stdout, said, _ = await asyncio.gather(
            _read(process.stdout, MAX_OUTPUT_BYTES), _read(process.stderr, MAX_SAID_BYTES), _give(process, given)
        )
        return Done(await process.wait(), stdout, said.decode("utf-8", "replace"))


@asynccontextmanager
async def _running(command: Sequence[str], *, with_input: bool = False) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command that has ended, with all that it has started, when this has; however it comes to that."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE if with_input else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd="/",
            env=ENVIRONMENT,
            start_new_session=True,  # so that what it starts itself can be ended with it
        )
    )
    try:
        process = await asyncio.shield(starting)
    except OSError as error:
        raise CommandFailedError(f"{command[0]} cannot be run: {error.strerror}") from None
    except asyncio.CancelledError:
        # Given up in the middle of its start, asyncio would wait for as long as anybody holds its pipes.
        with suppress(OSError):
            await _end(await starting)
        raise
    try:
        yield process
    finally:
        await asyncio.shield(_end(process))


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill what still runs. What it has written is read: asyncio sees its end only behind that."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.gather(*(_read(stream, 0) for stream in (process.stdout, process.stderr) if stream is not None))
        await process.wait()


async def _give(process: asyncio.subprocess.Process, given: bytes) -> None:
    if process.stdin is None:
        return
    with suppress(OSError):  # it has ended already, and says why
        process.stdin.write(given)
        await process.stdin.drain()
    process.stdin.close()


async def _read(stream: asyncio.StreamReader, limit: int) -> bytes:
    """All of a stream, of which so much is kept: who writes more is not held up."""
    kept = bytearray()
    while piece := await stream.read(PIECE_BYTES):
        kept += piece[: limit - len(kept)]
    return bytes(kept)
