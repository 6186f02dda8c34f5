"""A folder of its own with a short path (a UNIX socket's is limited to 107 bytes) that Postfix's user may enter, in
memory where there is room: databases and queues wait for their disk all the time. And ports of its own.
"""

import contextlib
import functools
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

FIRST_PORT = 10_240
PORTS_AT_ONCE = 512
_MEMORY = Path("/dev/shm")
_MEMORY_BYTES = 4 << 30
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


@contextlib.contextmanager
def short_folder(name: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"ms-{name}-", dir=_root()))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def _root() -> Path:
    try:
        is_roomy = shutil.disk_usage(_MEMORY).free >= _MEMORY_BYTES and os.access(_MEMORY, os.W_OK | os.X_OK)
    except OSError:
        is_roomy = False
    return _MEMORY if is_roomy else Path("/tmp")


def free_port() -> int:
    """A port that nobody listens on, and nobody will who does not get it from here: for a server that is to be started,
    one that goes down and comes back, or one that is not there.
    """
    for port in _own_ports():
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("the ports of this process are used up")


@functools.cache
def _own_ports() -> Iterator[int]:
    """Ports of this process alone: the tests of several may run at once.

    None of those that the system gives to whoever asks for any port, be it to call somebody: it would give one away
    before its server has started. (Unless it gives away nearly all.) Each is given once, since somebody may count on it
    that nobody is there.
    """
    end = max(int(_RANGE.read_text().split()[0]), FIRST_PORT + 16 * PORTS_AT_ONCE)
    for first in range(FIRST_PORT, end - PORTS_AT_ONCE + 1, PORTS_AT_ONCE):
        with contextlib.suppress(OSError):
            _hold(f"mailseal-tests-ports-{first}")
            return iter(range(first, first + PORTS_AT_ONCE))
    raise AssertionError(f"all ports from {FIRST_PORT} to {end} are those of other processes")


def _hold(name: str) -> None:
    """Have a name as long as this process lives (an abstract UNIX socket); raises OSError if another one has it."""
    held = socket.socket(socket.AF_UNIX)
    try:
        held.bind(f"\0{name}")
    except OSError:
        held.close()
        raise
    _held.append(held)


_held: list[socket.socket] = []
