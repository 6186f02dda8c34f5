"""[log]"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mailseal.config import values
from mailseal.config.key import key
from mailseal.config.values import BadValueError, LogFormat, LogLevel

JOURNAL_SOCKET = Path("/run/systemd/journal/socket")
"""Where journald takes datagrams (systemd-journald(8), "Native Journal Protocol")."""


class LogSink(StrEnum):
    """The kinds of place that lines are written to."""

    STDERR = "stderr"
    JOURNALD = "journald"
    FILE = "file"


class LogAddresses(StrEnum):
    """How a sender or recipient is shown in a line."""

    FULL = "full"
    DOMAIN = "domain"
    HASHED = "hashed"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class LogDestination:
    """Where lines go; `path` is the socket of journald, or the file."""

    sink: LogSink = LogSink.STDERR
    path: Path | None = None

    def __str__(self) -> str:
        if self.sink is LogSink.JOURNALD and self.path != JOURNAL_SOCKET:
            return f"journald:{self.path}"
        return str(self.path) if self.sink is LogSink.FILE else self.sink.value


def destination(raw: object) -> LogDestination:
    """`stderr`, `journald`, `journald:/path/of/its/socket`, or the absolute path of a file."""
    value = values.text(raw)
    if value == LogSink.STDERR:
        return LogDestination()
    kind, _, path = value.partition(":")
    if kind == LogSink.JOURNALD and (path.startswith("/") or value == kind):
        return LogDestination(LogSink.JOURNALD, Path(path) if path else JOURNAL_SOCKET)
    if value.startswith("/") and not value.endswith("/"):
        return LogDestination(LogSink.FILE, Path(value))
    raise BadValueError("must be stderr, journald or the absolute path of a file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What the processes say while they run: see `logs.md`. The message log is in the database."""

    level: LogLevel = key(
        values.one_of(LogLevel), "The least important event that is written.", example='"info"', default=LogLevel.INFO
    )
    format: LogFormat = key(
        values.one_of(LogFormat), "text for people, json for collectors.", example='"text"', default=LogFormat.TEXT
    )
    destination: LogDestination = key(
        destination,
        "Where lines go: stderr, journald (its own protocol, with fields), or a file, which may be moved away at any "
        "time.",
        example='"/var/log/mailseal/mailseal.log"',
        default=LogDestination(),
    )
    addresses: LogAddresses = key(
        values.one_of(LogAddresses),
        "Senders and recipients in lines: full, only their domain, hashed (with a key made from the KEK, so that one "
        "address can be followed but not guessed), or none.",
        example='"hashed"',
        default=LogAddresses.FULL,
    )
    retention_days: int = key(
        values.whole(1, 3650), "How long rows of the message log are kept.", example="90", default=90
    )
