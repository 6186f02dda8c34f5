"""What a process was given by who started it; standard library only.

By the supervisor, three environment variables, each about inherited descriptors:
MAILSEAL_SOCKETS     `name=fd,…`: listening sockets by their name in `config.SOCKETS`
MAILSEAL_SUPERVISOR  `fd`: the read end of a pipe that is at its end when the supervisor is gone; then drain
MAILSEAL_STATUS      `fd`: the write end of a pipe; "ready" is said there once, and "." every BEAT_SECONDS

By a service manager: LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID (sd_listen_fds(3)), and where to say "ready" (notify).
"""

import contextlib
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailseal.config import SOCKETS
from mailseal.errors import PermanentError
from mailseal.roles.notify import READY as MANAGER_READY
from mailseal.roles.notify import notify

SOCKETS_VARIABLE = "MAILSEAL_SOCKETS"
SUPERVISOR_VARIABLE = "MAILSEAL_SUPERVISOR"
STATUS_VARIABLE = "MAILSEAL_STATUS"
READY = b"ready\n"
BEAT = b"."
BEAT_SECONDS = 5.0

ACTIVATION_VARIABLES = frozenset({"LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"})
_FIRST_ACTIVATED_FD = 3
"""SD_LISTEN_FDS_START."""


class ActivationError(PermanentError):
    """The service manager handed in what is not a listener of ours."""


@dataclass(slots=True)
class Inheritance:
    """What this process was given. Started by hand: no sockets, and nobody to tell."""

    sockets: dict[str, socket.socket]
    supervisor_fd: int | None = None
    status_fd: int | None = None

    @property
    def supervised(self) -> bool:
        """Whether the supervisor started this process."""
        return self.supervisor_fd is not None

    def ready(self) -> None:
        """Say, once, that work can begin: to the supervisor, else to the service manager."""
        if not self.supervised:
            notify(MANAGER_READY)
        if self.status_fd is None:
            return
        with contextlib.suppress(BrokenPipeError):  # the supervisor is gone; the other pipe says so
            os.write(self.status_fd, READY)

    def beat(self) -> None:
        """Tell the supervisor that this process lives."""
        if self.status_fd is not None:
            with contextlib.suppress(OSError):  # it is gone, or has not read for hours
                os.write(self.status_fd, BEAT)


def inherit(environ: Mapping[str, str] | None = None) -> Inheritance:
    """Take over what is in the environment; none of it is passed on to further programs. Raises ActivationError."""
    found = os.environ if environ is None else environ
    if SUPERVISOR_VARIABLE not in found:
        return Inheritance(_activated(found))
    sockets = {}
    for entry in filter(None, found.get(SOCKETS_VARIABLE, "").split(",")):
        name, _, number = entry.partition("=")
        sockets[name] = socket.socket(fileno=_own(int(number)))
    status_fd = _number(found, STATUS_VARIABLE)
    if status_fd is not None:
        os.set_blocking(status_fd, False)
    return Inheritance(sockets, _number(found, SUPERVISOR_VARIABLE), status_fd)


def bequeath(sockets: Mapping[str, socket.socket], supervisor_fd: int, status_fd: int) -> dict[str, str]:
    """The environment that `inherit` reads."""
    return {
        SOCKETS_VARIABLE: ",".join(f"{name}={held.fileno()}" for name, held in sockets.items()),
        SUPERVISOR_VARIABLE: str(supervisor_fd),
        STATUS_VARIABLE: str(status_fd),
    }


def descriptors(sockets: Mapping[str, socket.socket], *others: int) -> Sequence[int]:
    """The descriptors that go along with `bequeath`."""
    return (*(held.fileno() for held in sockets.values()), *others)


def _activated(environ: Mapping[str, str]) -> dict[str, socket.socket]:
    """Sockets of a service manager. Their names decide a mail's origin class, so that an unknown one is an error."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    known = {info.name for info in SOCKETS}
    count = environ.get("LISTEN_FDS", "0")
    names = [name for name in environ.get("LISTEN_FDNAMES", "").split(":") if name]
    wrong = next((name for name in names if name not in known), None)
    if wrong is not None or str(len(set(names))) != count:
        raise ActivationError(
            f"the service manager hands in {count} sockets named {', '.join(names) or 'nothing'}; "
            f"FileDescriptorName= of each must be another one of {', '.join(sorted(known))}"
        )
    handed = {name: socket.socket(fileno=_own(_FIRST_ACTIVATED_FD + at)) for at, name in enumerate(names)}
    for name, one in handed.items():
        if not one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise ActivationError(f"the socket {name} of the service manager does not listen; it needs Accept=no")
    return handed


def _number(environ: Mapping[str, str], name: str) -> int | None:
    return _own(int(environ[name])) if name in environ else None


def _own(descriptor: int) -> int:
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - the os module takes no keyword here
    return descriptor
