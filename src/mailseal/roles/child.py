"""What the supervisor and the processes that it starts say to each other; standard library only.

Three environment variables, each about inherited descriptors:
MAILSEAL_SOCKETS     `name=fd,…`: listening sockets by their name in `config.SOCKETS`
MAILSEAL_SUPERVISOR  `fd`: the read end of a pipe that is at its end when the supervisor is gone; then drain
MAILSEAL_STATUS      `fd`: the write end of a pipe; "ready" is said there once
"""

import contextlib
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SOCKETS_VARIABLE = "MAILSEAL_SOCKETS"
SUPERVISOR_VARIABLE = "MAILSEAL_SUPERVISOR"
STATUS_VARIABLE = "MAILSEAL_STATUS"
READY = b"ready\n"


@dataclass(slots=True)
class Inheritance:
    """What this process was given. Without a supervisor: no sockets, and nobody to tell."""

    sockets: dict[str, socket.socket]
    supervisor_fd: int | None = None
    status_fd: int | None = None

    def ready(self) -> None:
        """Tell the supervisor, once, that work can begin."""
        if self.status_fd is None:
            return
        with contextlib.suppress(BrokenPipeError):  # the supervisor is gone; the other pipe says so
            os.write(self.status_fd, READY)
        os.close(self.status_fd)
        self.status_fd = None


def inherit(environ: Mapping[str, str] | None = None) -> Inheritance:
    """Take over what the supervisor left in the environment. None of it is passed on to further programs."""
    found = os.environ if environ is None else environ
    sockets = {}
    for entry in filter(None, found.get(SOCKETS_VARIABLE, "").split(",")):
        name, _, number = entry.partition("=")
        sockets[name] = socket.socket(fileno=_own(int(number)))
    return Inheritance(sockets, _number(found, SUPERVISOR_VARIABLE), _number(found, STATUS_VARIABLE))


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


def _number(environ: Mapping[str, str], name: str) -> int | None:
    return _own(int(environ[name])) if name in environ else None


def _own(descriptor: int) -> int:
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - the os module takes no keyword here
    return descriptor
