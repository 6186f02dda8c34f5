"""Where lines go: standard error, a file, or journald. None of them may ever stop a mail.

A line that cannot be written goes to standard error instead; one that is lost even there is counted.
"""

import contextlib
import errno
import logging
import os
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

from mailseal.roles import stderr
from mailseal.roles.log_lines import Event, sentence

FILE_MODE = 0o640
LOOK_SECONDS = 0.5
"""How often to look whether the file has been moved away; until then lines go into the one that was moved."""
MAX_DATAGRAM_BYTES = 48 * 1024
"""What is sent to journald at once; its socket takes at least this much on every Linux."""
_CUT_FIELDS, _CUT_BYTES = 8, 300
"""What is left of one that is refused as too long: it fits into the smallest buffer that a socket can have."""
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}


class Trouble:
    """What went wrong in writing lines: how often, and said once per time that it begins."""

    def __init__(self) -> None:
        self.errors = 0
        self._failing = False

    def note(self, what: str, error: BaseException | None) -> None:
        """One more line could not be written where it belongs."""
        self.errors += 1
        if not self._failing:
            self._failing = True
            why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            with contextlib.suppress(OSError):
                stderr.put(
                    f"mailseal: log lines cannot be written to {what}: {why}\n".encode("utf-8", "backslashreplace")
                )

    def over(self) -> None:
        """A line could be written."""
        self._failing = False


TROUBLE = Trouble()
"""Of this process."""


class Lines:
    """Whole lines into a file or pipe: one that was torn off ends before the next begins."""

    def __init__(self, put: Callable[[bytes], int]) -> None:
        self._put = put
        self._is_torn = False

    def write(self, line: bytes) -> None:
        """Write one line; raises OSError."""
        line = (b"\n" if self._is_torn else b"") + line + b"\n"
        written = self._put(line)
        if written:
            self._is_torn = written != len(line)
        if written != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class StderrHandler(logging.Handler):
    """Standard error, whatever becomes of it."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = Lines(stderr.put)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, or count it: there is nowhere left to say it. Never raises."""
        try:
            self._lines.write(self.format(record).encode("utf-8", "backslashreplace"))
        except Exception:  # noqa: BLE001 -- whatever it is, the mail goes on
            TROUBLE.errors += 1


class OtherHandler(logging.Handler):
    """A place that may fail; then `instead` gets the line."""

    def __init__(self, place: Path, instead: logging.Handler) -> None:
        super().__init__()
        self.place = place
        self._instead = instead

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line; never raises."""
        try:
            self.write(self.format(record).encode("utf-8", "backslashreplace"))
        except BlockingIOError as error:  # standard error may well be read by the one who does not read here
            TROUBLE.note(str(self.place), error)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the mail goes on
            TROUBLE.note(str(self.place), error)
            self._instead.handle(record)
        else:
            TROUBLE.over()

    def write(self, line: bytes) -> None:
        """Write one line; raises OSError."""
        raise NotImplementedError


class FileHandler(OtherHandler):
    """Appends to a file, each line in one write, so that processes can share it; follows when it is moved away."""

    def __init__(self, place: Path, instead: logging.Handler) -> None:
        super().__init__(place, instead)
        self._descriptor: int | None = None
        self._lines: Lines
        self._look_at = 0.0

    def write(self, line: bytes) -> None:
        """Append one line; raises OSError."""
        self._follow().write(line)

    def close(self) -> None:
        """No more lines."""
        self._let_go()
        super().close()

    def _follow(self) -> Lines:
        """Into what is there now: the file that was open may have been moved away or deleted."""
        if self._descriptor is not None:
            if time.monotonic() < self._look_at:
                return self._lines
            self._look_at = time.monotonic() + LOOK_SECONDS
            mine = os.fstat(self._descriptor)
            with contextlib.suppress(FileNotFoundError):
                found = self.place.stat()
                if (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino):
                    return self._lines
            self._let_go()
        descriptor = _open_to_append(self.place)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "not a regular file")
        self._descriptor, self._lines = descriptor, Lines(lambda line: os.write(descriptor, line))
        return self._lines

    def _let_go(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _open_to_append(place: Path) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    with contextlib.suppress(FileExistsError):  # two processes may find it missing
        try:
            return os.open(place, flags)
        except FileNotFoundError:
            descriptor = os.open(place, flags | os.O_CREAT | os.O_EXCL, FILE_MODE)
            os.fchmod(descriptor, FILE_MODE)  # whatever the umask: its group reads logs
            return descriptor
    return os.open(place, flags)


class JournaldHandler(OtherHandler):
    """journald's native protocol: a datagram per event, a field per line. Never waits for journald."""

    def __init__(self, place: Path, instead: logging.Handler) -> None:
        super().__init__(place, instead)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003 -- the socket module's own signature

    def write(self, line: bytes) -> None:
        """Send what `as_datagram` made; raises OSError."""
        try:
            self._socket.sendto(line[:MAX_DATAGRAM_BYTES], str(self.place))
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            fields = [field[:_CUT_BYTES] for field in line.split(b"\n")[:_CUT_FIELDS]]
            self._socket.sendto(b"\n".join(fields) + b"\n", str(self.place))

    def close(self) -> None:
        """No more lines."""
        self._socket.close()
        super().close()


def as_datagram(event: Event) -> str:
    """The fields of an event for journald, each `NAME=value` and a line feed; no value has a line feed in it."""
    level, role = event.pop("level", "info"), event.pop("role", "")
    event.pop("timestamp", None)
    fields = {"MESSAGE": sentence(event), "PRIORITY": _PRIORITIES.get(level, 6), "SYSLOG_IDENTIFIER": "mailseal"}
    values = {"role": role, **event}
    for name, value in values.items():
        if name != "event":
            fields[f"MAILSEAL_{name.upper()}"] = ",".join(value) if isinstance(value, list) else value
    return "".join(f"{name}={value}\n" for name, value in fields.items())
