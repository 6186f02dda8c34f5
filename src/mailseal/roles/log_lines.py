"""What an event looks like as a line: nothing in it can end the line, pretend to be a field, or be of any length."""

import json
import logging
import re
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mailseal.config import LogAddresses

MAX_FRAMES = 12
MAX_VALUE_CHARS = 1000
MAX_FOREIGN_CHARS = 200
OURS = "mailseal"

CURRENT_MAIL: ContextVar[str] = ContextVar("mail", default="")
"""The ID of the mail that this thread works on; every line that is written meanwhile has it."""

Event = dict[str, Any]
"""The fields of an event by name, in the order of the line: texts, numbers and lists of texts."""

_ADDRESS = re.compile(
    r"""(?: "(?:[^"\\]|\\.)*+"  # a local part in quotes (RFC 5321 §4.1.2)
      | (?<![^\s<>"(),;:\[\]@]) [^\s<>"(),;:\[\]@]++ )  # or all around that may belong to it, `=` and `'` too
    @ ( [\w.\-]+ | \[[^\]\s]*\] )""",
    re.VERBOSE,
)
_QUOTED = re.compile(r"[\s\"=\\]")
_OF_LOGGING = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
"""What every record has; all else was given with the event. `taskName` is of Python 3.12 and later."""


class LineFormatter(logging.Formatter):
    """Makes a line of an event: `render` gets its fields cleaned."""

    def __init__(self, role: str, addresses: LogAddresses, render: Callable[[Event], str]) -> None:
        super().__init__()
        self._role = role
        self._clean = cleaned(addresses)
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        event: Event = {"event": _said(record)}
        if record.exc_info:
            error = record.exc_info[1]
            if error is not None:
                # Its text and its variables may hold a mail or a key.
                event["exception"] = places(error)
        event["level"] = record.levelname.lower()
        event["timestamp"] = datetime.now(UTC).isoformat()[: -len("+00:00")] + "Z"
        event["role"] = self._role
        mail = CURRENT_MAIL.get()
        if mail:
            event["mail"] = mail
        for name, value in record.__dict__.items():
            if name not in _OF_LOGGING:
                event[name] = value
        return self._render(self._clean(event))


def _said(record: logging.LogRecord) -> str:
    """Of what libraries say the first line: behind it asyncio writes exceptions with their texts."""
    said = record.getMessage()
    if record.name.partition(".")[0] == OURS:
        return said
    return f"{record.name}: {said.partition(chr(10))[0][:MAX_FOREIGN_CHARS]}"


def places(error: BaseException) -> str:
    """The kind of an exception, and where it came through, the innermost place first."""
    frames = traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
    way = " < ".join(f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in reversed(frames))
    return f"{type(error).__name__} at {way}"


def cleaned(addresses: LogAddresses) -> Callable[[Event], Event]:
    """Makes every text printable and short, and takes addresses out of it unless they are shown in full."""
    scrub = None if addresses is LogAddresses.FULL else scrubber(addresses)

    def text(value: str) -> str:
        value = printable(value)
        return value if scrub is None else scrub(value)

    def clean(event: Event) -> Event:
        for name, value in event.items():
            if isinstance(value, str):
                if len(value) > MAX_VALUE_CHARS or not value.isprintable() or (scrub and "@" in value):
                    event[name] = text(value)
            elif isinstance(value, list | tuple):
                event[name] = [text(str(one)) for one in value]
            elif not isinstance(value, int | float):
                event[name] = text(str(value))
        return event

    return clean


def scrubber(addresses: LogAddresses) -> Callable[[str], str]:
    """Takes the addresses out of a text in which they may stand anywhere."""
    instead = r"…@\1" if addresses is LogAddresses.DOMAIN else "<address>"
    return lambda text: _ADDRESS.sub(instead, text) if "@" in text else text


def printable(text: str) -> str:
    """Text without control, format and separator characters (also bidi overrides), at most MAX_VALUE_CHARS of it."""
    if len(text) > MAX_VALUE_CHARS:
        text = text[: MAX_VALUE_CHARS - 1] + "…"
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(one: str) -> str:
    number = ord(one)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def as_text(event: Event) -> str:
    """`time level role: event name=value …`; a value with blanks, quotes or `=` is quoted as in JSON."""
    return f"{event.pop('timestamp')} {event.pop('level'):<7} {event.pop('role')}: {sentence(event)}"


def sentence(event: Event) -> str:
    """The event and its fields, without time, level and role."""
    return " ".join(value if name == "event" else f"{name}={_value(value)}" for name, value in event.items())


def _value(value: object) -> str:
    if isinstance(value, list):
        value = ",".join(value)
    if not isinstance(value, str):
        return str(value)
    return json.dumps(value, ensure_ascii=False) if not value or _QUOTED.search(value) else value


def as_json(event: Event) -> str:
    """One JSON object, ASCII only."""
    return json.dumps(event, default=str)
