"""Binds the listening sockets and keeps a second supervisor away; standard library only.

A UNIX socket that a crash left behind is replaced, one that somebody answers on is not (unix(7)).
"""

import contextlib
import errno
import fcntl
import grp
import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from mailseal.config import Endpoint
from mailseal.errors import PermanentError, TransientError

BACKLOG = 1024
SOCKET_MODE, FOLDER_MODE, OWNERS_MODE = 0o660, 0o750, 0o600
LOCK_PATIENCE_SECONDS = 0.5
"""`is_held` may hold the lock for a moment."""


class ListenError(PermanentError):
    """A listener cannot be bound where the configuration wants it."""


class InUseError(TransientError):
    """Somebody else listens there; after a crash this may be a worker that still drains."""


class AlreadyRunningError(PermanentError):
    """Another supervisor works on the same data folder."""


def hold(lock: Path) -> int:
    """Take the lock of a data folder, for as long as this process lives; raises AlreadyRunningError, ListenError.

    Called with the rights of the folder's owner.
    """
    descriptor = _lock(lock, fcntl.LOCK_EX)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def share(lock: Path) -> int:
    """The same for a role that runs without a supervisor, beside others of its kind; raises AlreadyRunningError."""
    descriptor = _lock(lock, fcntl.LOCK_SH)
    os.ftruncate(descriptor, 0)
    return descriptor


def _lock(lock: Path, kind: int) -> int:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ListenError(f"the lock {lock} cannot be opened: {error.strerror}") from None
    until = time.monotonic() + LOCK_PATIENCE_SECONDS
    while not _try_lock(descriptor, kind):
        if time.monotonic() >= until:
            pid = os.read(descriptor, 32).decode("ascii", "replace").strip()
            os.close(descriptor)
            who = f"another `mailseal serve` (process {pid})" if pid else "a role started without `mailseal serve`"
            raise AlreadyRunningError(
                f"{who} works on {lock.parent.parent}; stop it first, or give this one a data_dir of its own"
            )
        time.sleep(0.05)
    return descriptor


def is_held(lock: Path) -> bool:
    """Whether a supervisor, or a role without one, works on the data folder of this lock."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # nor for the writer of a FIFO
    except FileNotFoundError:
        return False
    except PermissionError:
        return True  # it is not ours, so somebody else's supervisor made it
    try:
        return not _try_lock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def bind(place: Endpoint, group: str, *, for_owner: bool = False, patience_seconds: float = 0.0) -> socket.socket:
    """A listening socket; raises ListenError, or InUseError when it was in use for all of `patience_seconds`.

    A UNIX socket is for the group, or `for_owner`: for who it is bound as alone.
    """
    until = time.monotonic() + patience_seconds
    while True:
        try:
            return _bind_unix(place.path, group, for_owner=for_owner) if place.path is not None else _bind_tcp(place)
        except InUseError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.1)


def answers(path: Path) -> bool:
    """Whether somebody listens on a UNIX socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True  # a full backlog or no permission: there is somebody, or we must not say otherwise
        return True


def release(place: Endpoint, held: socket.socket) -> None:
    """Close a listener, and take its name away if it is still ours."""
    if place.path is not None:
        with contextlib.suppress(OSError):
            if held.getsockname() == str(place.path) and not place.path.is_symlink():
                place.path.unlink()
    held.close()


def group_id(name: str) -> int | None:
    """The number of a group, None where it does not exist."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _bind_unix(path: Path, group: str, *, for_owner: bool) -> socket.socket:
    _clear(path, group)
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _modes(OWNERS_MODE if for_owner else SOCKET_MODE):
            held.bind(str(path))
        if not for_owner:
            _give(path, group)
        held.listen(BACKLOG)
    except OSError as error:
        held.close()
        raise ListenError(f"cannot listen on {path}: {error.strerror}") from None
    return held


@contextlib.contextmanager
def _modes(mode: int) -> Iterator[None]:
    """What is made has this mode at once: a name may be somebody else's a moment later."""
    before = os.umask(0o777 & ~mode)
    try:
        yield
    finally:
        os.umask(before)


def _clear(path: Path, group: str) -> None:
    """Make the place free: a folder, no socket that nobody answers on. Else than a socket is left alone."""
    try:
        if not path.parent.is_dir():
            with _modes(FOLDER_MODE):
                path.parent.mkdir(parents=True)
            _give(path.parent, group)
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ListenError(f"cannot listen on {path}: {error.strerror}") from None
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"cannot listen on {path}: there is something else than a socket; remove it")
    if answers(path):
        raise InUseError(f"cannot listen on {path}: another program listens there")
    path.unlink(missing_ok=True)


def _give(path: Path, group: str) -> None:
    number = group_id(group)
    if number is None or number == path.stat().st_gid:
        return
    with contextlib.suppress(PermissionError):  # unprivileged and not a member: `mailseal check` says so
        os.chown(path, -1, number, follow_symlinks=False)


def _bind_tcp(place: Endpoint) -> socket.socket:
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    held = socket.socket(family, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        held.bind((place.host, place.port))
        held.listen(BACKLOG)
    except OSError as error:
        held.close()
        if error.errno == errno.EADDRINUSE:
            raise InUseError(f"cannot listen on {place}: another program listens there") from None
        raise ListenError(f"cannot listen on {place}: {error.strerror}") from None
    return held
