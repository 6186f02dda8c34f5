"""A process that reads documents for one command or test, confined as those of the sandbox role are (unix(7)).

It needs no running gateway and no database. Started by root, it is a process of the sandbox's user, if there is one.
"""

import os
import pwd
import socket
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from mailseal.config import Config
from mailseal.extract.budget import Budget
from mailseal.extract.sandbox_lines import Answer
from mailseal.extract.walk import shown
from mailseal.mail.message import Octets
from mailseal.policy.inspection import GapReason, Inspection
from mailseal.transport.parser_child import COMMAND, DONE, MAX_MESSAGE_BYTES, ParserChild, ParserStartError
from mailseal.transport.sandbox import SandboxAwayError
from mailseal.transport.sandbox_answer import Allowance, Lines, no_time_left, sealed, settle

START_SECONDS = 60.0
SPARE_SECONDS = 3.0
"""How long past its time a process may be, which sees to its time itself; then it is killed."""


class OwnSandbox:
    """Port `Documents`, one document at a time. Use as a context; safe to share between threads."""

    def __init__(self, config: Config, command: Sequence[str] = COMMAND) -> None:
        self._allowance = Allowance(config.dlp, config.limits.deadline_seconds)
        self._user = _user(config.users.sandbox)
        self._command = command
        self._child: ParserChild | None = None
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    @property
    def lacking(self) -> Sequence[str]:
        """What the process could not give up; raises SandboxAwayError."""
        return self._started().lacking

    def budget(self, deadline: float) -> Budget:
        """What reading one mail may cost."""
        return self._allowance.budget(deadline)

    def read(self, document: Octets, name: str, media_type: str, budget: Budget, deadline: float) -> Inspection:
        """What was read; raises SandboxAwayError."""
        with self._turn:
            child = self._started()
            request = self._allowance.request(name, media_type, budget)
            if request.seconds <= 0:
                return no_time_left(shown(name))
            answer = Answer(request.characters)
            until = time.monotonic() + request.seconds + SPARE_SECONDS
            try:
                with sealed(document) as descriptor:
                    self._ask(child, request.line(), descriptor, answer, min(until, deadline))
            except TimeoutError:
                if time.monotonic() < until:
                    raise SandboxAwayError("the time for this mail is over") from None
                answer.failed = GapReason.TIMEOUT
            except OSError:
                answer.failed = GapReason.CRASHED
            finally:
                if answer.spent is None or not _is_done(child):
                    self.close()
            settle(answer, budget)
            return answer.inspection(shown(name))

    def _ask(self, child: ParserChild, line: bytes, document: int, answer: Answer, until: float) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours:
            with theirs:
                child.hand_over(line, document, theirs.fileno())
            Lines(ours).take_all(answer, until)

    def _started(self) -> ParserChild:
        if self._child is not None and not self._child.alive:
            self.close()
        if self._child is None:
            try:
                child = self._child = ParserChild(self._allowance.dlp.memory_bytes, self._command, self._user)
                child.control.settimeout(START_SECONDS)
                child.take_ready(child.control.recv(MAX_MESSAGE_BYTES))
            except (ParserStartError, OSError) as error:
                self.close()
                raise SandboxAwayError(str(error)) from None
        return self._child


def _is_done(child: ParserChild) -> bool:
    """Whether it goes on after its answer, and says so in time."""
    child.control.settimeout(SPARE_SECONDS)
    try:
        return child.control.recv(MAX_MESSAGE_BYTES) == DONE
    except OSError:
        return False


def _user(name: str) -> tuple[int, int] | None:
    """Who a process of root's shall be; None to stay who one is."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid
