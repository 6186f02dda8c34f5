"""A process that reads documents, as who starts it sees it: exec, hand over, kill; standard library only (unix(7))."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence

from mailseal.errors import TransientError

COMMAND = (sys.executable, "-P", "-m", "mailseal.extract.child")
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "MALLOC_ARENA_MAX": "1"}
_KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")
"""Where programs and libraries are; nothing else of this process's environment is passed on."""
MAX_MESSAGE_BYTES = 16 * 1024
DONE, LAST = b"done", b"last"
"""`extract.child.DONE` and `LAST`, without what that module loads."""
BURY_SECONDS = 5.0


class ParserStartError(TransientError):
    """It did not come up."""


class ParserChild:
    """One process. `control` is a socket that keeps messages apart; an empty message is its end.

    `handed_over`: how many documents it has had.
    """

    def __init__(
        self, memory_bytes: int, command: Sequence[str] = COMMAND, user: tuple[int, int] | None = None
    ) -> None:
        """Start it, for root as another user (uid, gid); raises ParserStartError."""
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.lacking: tuple[str, ...] = ()
        self.handed_over = 0
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - our own command line, no shell
                    [*command, str(theirs.fileno()), str(memory_bytes)],
                    pass_fds=[theirs.fileno()],
                    env=_ENVIRONMENT | {name: os.environ[name] for name in _KEPT if name in os.environ},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    cwd="/",
                    user=None if user is None else user[0],
                    group=None if user is None else user[1],
                    extra_groups=None if user is None else (),
                )
            except (OSError, ValueError) as error:
                self.control.close()
                raise ParserStartError(f"a process that reads documents cannot be started: {error}") from None

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def take_ready(self, message: bytes) -> None:
        """Its first message; raises ParserStartError."""
        try:
            self.lacking = tuple(json.loads(message)["lacking"])
        except (ValueError, KeyError, TypeError):
            self.kill()
            raise ParserStartError("a process that reads documents ended before it was ready") from None

    def hand_over(self, request: bytes, document: int, answer: int) -> None:
        """Have it read a document, and answer there; raises OSError when it is gone."""
        self.handed_over += 1
        socket.send_fds(self.control, [request], [document, answer])

    def kill(self) -> None:
        """End it, whatever it does."""
        with contextlib.suppress(OSError):
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(BURY_SECONDS)
        self.control.close()
