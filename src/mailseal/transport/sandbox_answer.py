"""One document at a socket of the sandbox: what it may cost, how its octets go there, what comes back (unix(7))."""

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

from mailseal.config import Dlp
from mailseal.extract.budget import Budget
from mailseal.extract.sandbox_lines import MAX_LINE_BYTES, Answer, LinesError, Request
from mailseal.mail.message import Octets
from mailseal.policy.inspection import Gap, GapReason, GapStatus, Inspection

_PIECE_BYTES = 256 * 1024
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one mail may use of the sandbox, and for how long a document of it may be read."""

    dlp: Dlp
    deadline_seconds: float

    @property
    def mail_seconds(self) -> float:
        """For all documents of a mail; the other half of its time is for the mail itself."""
        return min(float(self.dlp.mail_seconds), self.deadline_seconds / 2)

    def budget(self, deadline: float) -> Budget:
        """Of a mail that is looked at from now on."""
        dlp = self.dlp
        until = min(deadline, time.monotonic() + self.mail_seconds)
        return Budget(dlp.text_characters, dlp.unpacked_bytes, dlp.files, dlp.depth, until)

    def request(self, name: str, media_type: str, budget: Budget) -> Request:
        """The question about a document of this mail; it has no seconds when the mail has none left."""
        left = budget.until - time.monotonic()
        return Request(
            name,
            media_type,
            characters=max(0, budget.characters),
            octets=max(0, budget.octets),
            files=max(0, budget.files),
            depth=max(0, budget.depth),
            seconds=max(0.0, min(float(self.dlp.document_seconds), left)),
            used=max(0.0, self.mail_seconds - left),
        )


@contextlib.contextmanager
def sealed(document: Octets) -> Iterator[int]:
    """A descriptor of these octets in memory, that nobody can change any more (memfd_create(2)); raises OSError."""
    descriptor = os.memfd_create("document", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with memoryview(document) as view:
            written = 0
            while written < len(view):
                written += os.write(descriptor, view[written:])
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
        yield descriptor
    finally:
        os.close(descriptor)


class Lines:
    """The lines that come at a socket, each within its length and all within a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._held = bytearray()

    def next(self, until: float) -> bytes:
        """The next line with its end; raises OSError when it does not come by then (monotonic), LinesError."""
        looked = 0
        while (end := self._held.find(b"\n", looked)) < 0:
            looked = len(self._held)
            if looked > MAX_LINE_BYTES:
                raise LinesError("a line is too long")
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError("it takes too long")
            self._connection.settimeout(left)
            got = self._connection.recv(_PIECE_BYTES)
            if not got:
                raise ConnectionResetError("it has gone")
            self._held += got
        line = bytes(self._held[: end + 1])
        del self._held[: end + 1]
        return line

    def take_all(self, answer: Answer, until: float) -> None:
        """The rest of an answer; raises OSError. What is none comes from a process that something went wrong in."""
        try:
            while not answer.ended:
                answer.take(self.next(until))
        except LinesError:
            answer.failed = GapReason.CRASHED


def no_time_left(place: str) -> Inspection:
    """What is told of a document for which its mail had no time any more."""
    gap = Gap(place, GapStatus.UNINSPECTABLE, GapReason.TIMEOUT, "the time for the documents of a mail was over")
    return Inspection(gaps=(gap,))


def settle(answer: Answer, budget: Budget) -> None:
    """Take what was spent off a mail's budget; the text is taken off by who reads the answer."""
    if answer.spent is not None:
        budget.octets = max(0, budget.octets - answer.spent.octets)
        budget.files = max(0, budget.files - answer.spent.files)
