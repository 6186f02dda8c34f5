"""The files in which the processes keep their metrics: a few per role and number, however often it is restarted.

A process takes the first free slot of its name (`mail-1-0`, `mail-1-1`, …) by a lock that ends with the process. So a
worker that was killed is followed by one that counts on where it ended, and during a reload the new one takes the next
slot while the old one drains. The files are mapped into memory: they get all their room at once, since a page that the
disk has no room for would end the process (SIGBUS).
"""

import fcntl
import os
import time
from collections.abc import Sequence
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from mailseal.roles.metric_table import Kind, Merge

MAX_SLOTS = 16
LOCK = ".lock"
DATA = ".db"
_FILE_BYTES = {Kind.COUNTER: 256 * 1024, Kind.HISTOGRAM: 64 * 1024, Kind.GAUGE: 64 * 1024}
_ASK_AGAIN_SECONDS = 0.02
_FILE_MODE = 0o640
"""Whatever the umask: their reader is another user, of the folder's group."""


class NoSlotError(OSError):
    """All slots of a name are taken."""


def take_slot(folder: Path, name: str) -> str:
    """Lock the first free slot of a name until this process ends, and make its files; raises OSError."""
    folder.mkdir(mode=0o750, exist_ok=True)
    for number in range(MAX_SLOTS):
        slot = f"{name}-{number}"
        descriptor = os.open(
            folder / f"{slot}{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _FILE_MODE
        )
        # Who reads the metrics holds it for a moment to see whether anybody does.
        if _lock(descriptor) or _lock(descriptor, after_seconds=_ASK_AGAIN_SECONDS):
            os.fchmod(descriptor, _FILE_MODE)
            _prepare(folder, slot)
            return slot
        os.close(descriptor)
    raise NoSlotError(f"more than {MAX_SLOTS} processes are called {name}")


def readable_files(folder: Path) -> list[str]:
    """The files to be merged: gauges that only count while their process lives are left out after it."""
    found = []
    for path in sorted(folder.glob(f"*{DATA}")):
        kind, _, rest = path.stem.partition("_")
        merge, _, slot = rest.partition("_")
        if kind != Kind.GAUGE or merge == Merge.LATEST or _is_taken(folder / f"{slot}{LOCK}"):
            found.append(str(path))
    return found


def merged(files: Sequence[str]) -> dict[str, Metric]:
    """What stands in files, by the name of a metric without `_total`; raises whatever the library does."""
    return {one.name: one for one in MultiProcessCollector.merge(files)}  # type: ignore[no-untyped-call]


def is_sound(file: str) -> bool:
    """Whether a file can be read; one that a power cut tore cannot."""
    try:
        merged([file])
    except Exception:  # noqa: BLE001 -- the library has no error of its own for it
        return False
    return True


def _lock(descriptor: int, after_seconds: float = 0.0) -> bool:
    time.sleep(after_seconds)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_taken(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _paths(folder: Path, slot: str) -> dict[Path, Kind]:
    gauges = {folder / f"{Kind.GAUGE}_{merge}_{slot}{DATA}": Kind.GAUGE for merge in Merge}
    others = {folder / f"{kind}_{slot}{DATA}": kind for kind in (Kind.COUNTER, Kind.HISTOGRAM)}
    return others | gauges


def _prepare(folder: Path, slot: str) -> None:
    for path, kind in _paths(folder, slot).items():
        forgotten = kind is Kind.GAUGE and Merge.LATEST not in path.name
        if forgotten or (path.exists() and not is_sound(str(path))):
            path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _FILE_MODE)
        try:
            os.fchmod(descriptor, _FILE_MODE)
            missing = _FILE_BYTES[kind] - os.fstat(descriptor).st_size
            if missing > 0:
                _fill(descriptor, missing)
        finally:
            os.close(descriptor)


def _fill(descriptor: int, missing: int) -> None:
    """Append zeros, written so that they have their place; a file that gets less than all is left empty."""
    os.lseek(descriptor, 0, os.SEEK_END)
    try:
        while missing > 0:
            missing -= os.write(descriptor, bytes(missing))
    except OSError:
        os.ftruncate(descriptor, 0)
        raise
