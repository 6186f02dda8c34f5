"""The master of a private instance (master(8)): started as a child, ended with what it started, never by a name.

`postfix start-fg` would leave a shell between us and it. It does not end when we do (it switches users, which takes the
death signal of prctl(2) away), so one that a killed keeper left behind is found by its lock and stopped first.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from mailseal.postfix.program import PostfixError, Program

_DELIVERING = frozenset({"lmtp", "smtp", "bounce", "error"})
"""Programs that a reply may still come to; who else is ended loses nothing that was promised."""
_DEAD = frozenset({"Z", "X"})
_PAUSE_SECONDS = 0.05
_GRACE_SECONDS = 5.0


def start(program: Program) -> subprocess.Popen[bytes]:
    """A master, in a session and process group of its own; raises PostfixError."""
    daemons = program.value("daemon_directory")
    # Its standard streams go nowhere: the daemons hold them for as long as they live.
    return subprocess.Popen(  # noqa: S603 - our own command line, no shell
        [f"{daemons}/master", "-c", str(program.config_dir), "-s"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"},
    )


def left_over(queue_dir: Path) -> int | None:
    """The process ID of a master that works on this queue, None if there is none; raises PostfixError.

    It holds a lock on the file where its ID stands, whatever its main.cf says now.
    """
    path = queue_dir / "pid" / "master.pid"
    try:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read(32).split()[0])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, IndexError):
        raise PostfixError(f"whether a Postfix works on {queue_dir} cannot be said: see {path}") from None
    return None


def end(
    pid: int,
    queue_dir: Path,
    seconds: float,
    reap: Callable[[], object] = lambda: None,
    pressed: Callable[[], bool] = lambda: False,
) -> None:
    """End a master and its whole group: at once, or, while mail is being delivered, when that is done.

    Without its master (Postfix's own way to drain) each daemon ends what it has at hand and leaves: a reply that nobody
    waits for any more would make a duplicate. `seconds`: how long that may take, unless it is `pressed`. `reap` takes
    the end of a child.
    """
    delivers = _has_files(queue_dir / "active")
    _signal(os.kill, pid, signal.SIGKILL if delivers else signal.SIGTERM)
    if delivers:
        _wait(lambda: not pressed() and bool(_programs(pid) & _DELIVERING), seconds, reap)
        _signal(os.killpg, pid, signal.SIGTERM)
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not _wait(lambda: _lives(pid), _GRACE_SECONDS, reap):
            return
        _signal(os.killpg, pid, number)
    _wait(lambda: _lives(pid), _GRACE_SECONDS, reap)


def _wait(condition: Callable[[], bool], seconds: float, reap: Callable[[], object]) -> bool:
    """Whether the condition still holds after that time."""
    until = time.monotonic() + seconds
    while True:
        holds = condition()
        reap()  # what has just died may be our child, which is there until it is buried
        if not holds:
            return False
        if time.monotonic() >= until:
            return True
        time.sleep(_PAUSE_SECONDS)


def _signal(send: Callable[[int, int], None], pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        send(pid, number)


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return bool(_programs(group))


def _programs(group: int) -> frozenset[str]:
    """The names of the programs in a process group (proc(5)); not of those that only wait for init to bury them."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, IndexError):
                head, _, rest = (entry / "stat").read_text().rpartition(")")
                state, _, its_group = rest.split()[:3]
                if its_group == str(group) and state not in _DEAD:
                    found.add(head.partition("(")[2])
    return frozenset(found)


def _has_files(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:
        return False
