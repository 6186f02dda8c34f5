"""The sandbox as who asks it sees it: blocking, each document with its bounds and the mail's deadline (unix(7)).

What happens to one document is a gap of that document. A sandbox that is away, that has no turn for it, or that falls
silent defers the mail.
"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mailseal.errors import TransientError
from mailseal.extract.budget import Budget
from mailseal.extract.sandbox_lines import STATUS, Answer, LinesError, Status, parse_status
from mailseal.extract.walk import shown
from mailseal.mail.message import Octets
from mailseal.policy.inspection import GapReason, Inspection
from mailseal.transport.sandbox_answer import Allowance, Lines, no_time_left, sealed, settle

CONNECT_SECONDS = 5.0
SPARE_SECONDS = 15.0
"""How much longer than its time an answer is waited for: who watches over the processes says what became of one."""
STATUS_SECONDS = 30.0


class SandboxAwayError(TransientError):
    """Nobody reads documents, or not in time."""

    what_to_do = "`mailseal serve` starts the sandbox role, systemd mailseal-sandbox.service"


@dataclass(frozen=True, slots=True)
class Reading:
    """What was done for one document, for who counts: `reasons` are those of its gaps."""

    seconds: float
    reasons: frozenset[GapReason]


class SandboxDocuments:
    """Port `Documents`: asks the sandbox role, a connection for each document. Safe to share between threads.

    `told` hears of each document that was read.
    """

    def __init__(self, place: Path, allowance: Allowance) -> None:
        self._place = place
        self._allowance = allowance
        self.told: Callable[[Reading], None] = lambda _: None

    def budget(self, deadline: float) -> Budget:
        """What reading one mail may cost."""
        return self._allowance.budget(deadline)

    def read(self, document: Octets, name: str, media_type: str, budget: Budget, deadline: float) -> Inspection:
        """What was read; raises SandboxAwayError."""
        request = self._allowance.request(name, media_type, budget)
        if request.seconds <= 0:
            return no_time_left(shown(name))
        answer = Answer(request.characters)
        asked = time.monotonic()
        try:
            with sealed(document) as descriptor, self._connected(deadline) as connection:
                socket.send_fds(connection, [request.line()], [descriptor])
                lines = Lines(connection)
                answer.take(lines.next(min(deadline, asked + self._allowance.dlp.wait_seconds + SPARE_SECONDS)))
                begun = time.monotonic()
                lines.take_all(answer, min(deadline, begun + request.seconds + SPARE_SECONDS))
        except OSError as error:
            raise SandboxAwayError(f"the sandbox does not answer ({_why(error)})") from None
        if answer.busy:
            raise SandboxAwayError("the sandbox has no process free for a document")
        budget.until += begun - asked  # waiting for its turn is nothing that the document did
        settle(answer, budget)
        found = answer.inspection(shown(name))
        self.told(Reading(time.monotonic() - begun, frozenset(gap.reason for gap in found.gaps)))
        return found

    def status(self) -> Status:
        """How it stands with the sandbox; raises SandboxAwayError."""
        until = time.monotonic() + STATUS_SECONDS
        try:
            with self._connected(until) as connection:
                connection.sendall(STATUS)
                return parse_status(Lines(connection).next(until))
        except (OSError, LinesError) as error:
            raise SandboxAwayError(f"the sandbox does not answer ({_why(error)})") from None

    def _connected(self, deadline: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(max(0.001, min(CONNECT_SECONDS, deadline - time.monotonic())))
            connection.connect(str(self._place))
        except OSError:
            connection.close()
            raise
        return connection


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
