"""Which KEKs the processes of this node can open: each mail worker says it in a file, the job worker tells the cluster.

A file counts while its writer lives, who holds a lock on it: a process that was killed says nothing any more.
"""

import fcntl
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from mailseal.keys.kek_ring import KekRing

LOOK_SECONDS: Final = 2.0
FOLDER: Final = "keks"
_MAX_OCTETS: Final = 4096

logger = logging.getLogger(__name__)


class KekWatch:
    """Reads a process's KEKs again now and then, and complains of those that cannot be used, once each."""

    def __init__(self, ring: KekRing) -> None:
        self._ring = ring
        self._told: frozenset[str] = frozenset()

    def look(self) -> frozenset[str]:
        """The ids of what is at hand now."""
        held = self._ring.refresh()
        problems = {f"{one}; {one.what_to_do}" if one.what_to_do else str(one) for one in self._ring.found.problems}
        for problem in sorted(problems - self._told):
            logger.error("a KEK cannot be used: %s", problem)
        self._told = frozenset(problems)
        return held


class HeldKeks:
    """What one mail worker says. Raises OSError."""

    def __init__(self, ring: KekRing, run_dir: Path) -> None:
        self._watch = KekWatch(ring)
        self._looked_at = float("-inf")
        self._said: frozenset[str] | None = None
        folder = run_dir / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        # Named once it is locked: `held_by_all` takes away what has no lock.
        aside = folder / f".{os.getpid()}"
        self._descriptor = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        aside.rename(folder / str(os.getpid()))

    def say(self, now: float) -> None:
        """Look every few seconds (`now` is monotonic), and say what is at hand if that is news."""
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        held = self._watch.look()
        if held != self._said:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, " ".join(sorted(held)).encode(), 0)
            self._said = held


def held_by_all(run_dir: Path, own: frozenset[str]) -> frozenset[str]:
    """What every process of this node can open: `own` are those of this one."""
    for path in sorted((run_dir / FOLDER).glob("[0-9]*")):
        with suppress(OSError):
            own &= _said_in(path, own)
    return own


def _said_in(path: Path, otherwise: frozenset[str]) -> frozenset[str]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return frozenset(os.pread(descriptor, _MAX_OCTETS, 0).decode("ascii", "replace").split())
    else:
        path.unlink()
        return otherwise
    finally:
        os.close(descriptor)
