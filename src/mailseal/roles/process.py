"""One supervised process: started by exec, its readiness, its back-off; standard library only."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mailseal.roles.child import READY

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 30.0
HURRY_SECONDS = 20.0
"""How long the keeper of another program may take to end that at once."""
CANNOT_WORK = 78
"""The exit status of a role that cannot work before an administrator has done something (EX_CONFIG)."""
STEADY_SECONDS = 10.0
"""A process that lived this long starts again at once, and its back-off begins anew."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The user that a process runs as."""

    name: str
    uid: int
    gid: int
    groups: Sequence[int]


@dataclass(frozen=True, slots=True)
class Shared:
    """A folder of the owner's whose files a role's group may read, or write too. Nobody else makes files there."""

    folder: Path
    written: bool = False


@dataclass(frozen=True, slots=True)
class Role:
    """A process that a node runs; `listens` are the names of the listening sockets that it gets.

    `user` is its own user, if that is not the owner of the data folder; below that folder it can read `reads` alone.
    `shares`: folders of the owner's whose files it uses besides: the database, the web key.
    `keyless`: it opens no key and no database and reads nothing there at all.
    `privileged`: it keeps the rights of who starts it (root), for what no other user may do. `in_place`: a reload keeps
    its process, which is sent SIGHUP and reads the configuration itself, since there cannot be two at once.
    """

    name: str
    command: Sequence[str]
    listens: Sequence[str] = ()
    user: str | None = None
    reads: Path | None = None
    shares: Sequence[Shared] = ()
    privileged: bool = False
    in_place: bool = False
    keyless: bool = False

    @property
    def apart(self) -> bool:
        """Whether its user may be another than the owner of the data folder."""
        return self.keyless or bool(self.folders)

    @property
    def folders(self) -> tuple[Path, ...]:
        """What it uses below the data folder."""
        return (*([] if self.reads is None else [self.reads]), *(one.folder for one in self.shares))


@dataclass(slots=True, eq=False)
class Process:
    """A role that shall run, or that shall end (`kill_at` set) by that time."""

    role: Role
    user: Credentials | None = None
    running: subprocess.Popen[bytes] | None = None
    status_fd: int | None = None
    is_ready: bool = False
    failures: int = 0
    start_at: float = 0.0
    started_at: float = 0.0
    kill_at: float | None = None
    heard_at: float | None = None
    said: bytearray = field(default_factory=bytearray)

    @property
    def name(self) -> str:
        """As it is called in what the supervisor says."""
        return self.role.name

    def start(self, descriptors: Sequence[int], environ: Mapping[str, str], status_write_fd: int) -> None:
        """Exec the command with these descriptors. Its own group keeps the terminal's Ctrl-C for the supervisor."""
        self.started_at = time.monotonic()
        self.is_ready = False
        self.heard_at = None
        self.said.clear()
        user = self.user
        self.running = subprocess.Popen(  # noqa: S603 - our own command line, no shell
            list(self.role.command),
            pass_fds=(*descriptors, status_write_fd),
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            process_group=0,
            umask=0o077,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=user.groups if user else None,
        )

    def read_status(self) -> bool:
        """Take in what stands on the status pipe; False at its end."""
        if self.status_fd is None:
            return False
        got = os.read(self.status_fd, 256)
        self.said += got[: 256 - len(self.said)]
        self.is_ready = self.is_ready or READY in self.said
        if got:
            self.heard_at = time.monotonic()
        return bool(got)

    def ended(self) -> int | None:
        """The return code if the process has ended since the last call; when it may start again is then set."""
        code = self.running.poll() if self.running else None
        if code is None:
            return None
        self.running = None
        self.is_ready = False
        if time.monotonic() - self.started_at >= STEADY_SECONDS:
            self.failures = 0
            self.start_at = time.monotonic()
        else:
            self.postpone()
        return code

    def postpone(self) -> None:
        """It failed once more: the next start waits."""
        self.failures += 1
        self.start_at = time.monotonic() + pause_seconds(self.failures)

    @property
    def pause(self) -> str:
        """When it starts again, in words; how often it failed shows that it does not come up at all."""
        often = f" ({self.failures} times in a row)" if self.failures > 1 else ""
        return f"{often}; it starts again in {max(0.0, self.start_at - time.monotonic()):.2f} s"

    def reload(self) -> None:
        """Have it read the configuration again; one that does not run does so when it starts."""
        if self.running is not None:
            self.running.send_signal(signal.SIGHUP)

    def drain(self, kill_at: float) -> None:
        """Ask it to end; who has not by `kill_at` is killed."""
        self.kill_at = kill_at
        if self.running is not None:
            self.running.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it now."""
        self.kill_at = None
        if self.running is not None:
            self.running.kill()

    def hurry(self) -> None:
        """End it now; the keeper of another program, killed, would leave that running, so it is told to end at once."""
        if self.role.in_place and self.running is not None:
            self.kill_at = time.monotonic() + HURRY_SECONDS
            self.running.send_signal(signal.SIGTERM)
        else:
            self.kill()


def pause_seconds(failures: int) -> float:
    """How long to wait before the next start: 0, then doubling from a quarter of a second to half a minute."""
    if failures == 0:
        return 0.0
    return float(min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 16)))


def describe(code: int) -> str:
    """A return code in words."""
    if code >= 0:
        return f"ended with status {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
