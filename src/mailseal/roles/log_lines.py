"""What an event looks like as a line: nothing in it can end the line, pretend to be a field, or be of any length."""

import json
import logging
import re
import sys
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path

from structlog.typing import EventDict, Processor

from mailseal.config import LogAddresses

MAX_FRAMES = 12
MAX_VALUE_CHARS = 1000
MAX_FOREIGN_CHARS = 200
OURS = "mailseal"

CURRENT_MAIL: ContextVar[str] = ContextVar("mail", default="")
"""The ID of the mail that this thread works on; every line that is written meanwhile has it."""

_ADDRESS = re.compile(r"[^\s<>\"'(),;:=\[\]]+@([A-Za-z0-9.\-]+|\[[^\]\s]*\])")
_PLAIN = re.compile(r"[^\s\"=\\]+")


def of_role(role: str) -> Processor:
    """Adds who says it, and the mail it is about."""

    def add(_logger: object, _method: str, event: EventDict) -> EventDict:
        event["role"] = role
        mail = CURRENT_MAIL.get()
        if mail:
            event.setdefault("mail", mail)
        return event

    return add


def where_it_failed(_logger: object, _method: str, event: EventDict) -> EventDict:
    """An exception as its kind and the places it came through: its text and its variables may hold a mail or a key."""
    info = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else sys.exc_info()[1] if info else None
    if error is not None:
        event["exception"] = places(error)
    return event


def places(error: BaseException) -> str:
    """The kind of an exception, and where it came through, the innermost place first."""
    frames = traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
    way = " < ".join(f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in reversed(frames))
    return f"{type(error).__name__} at {way}"


def short_when_foreign(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Of what libraries say the first line: behind it asyncio writes exceptions with their texts."""
    record = event.get("_record")
    if isinstance(record, logging.LogRecord) and record.name.partition(".")[0] != OURS:
        event["event"] = f"{record.name}: {str(event['event']).partition(chr(10))[0][:MAX_FOREIGN_CHARS]}"
    return event


def cleaned(addresses: LogAddresses) -> Processor:
    """Makes every text printable and short, and takes addresses out of it unless they are shown in full."""
    scrub = None if addresses is LogAddresses.FULL else scrubber(addresses)

    def text(value: str) -> str:
        if len(value) > MAX_VALUE_CHARS or not value.isprintable():
            value = printable(value)
        return value if scrub is None else scrub(value)

    def clean(_logger: object, _method: str, event: EventDict) -> EventDict:
        for name, value in event.items():
            if isinstance(value, str):
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


def as_text(_logger: object, _method: str, event: EventDict) -> str:
    """`time level role: event name=value …`; a value with blanks, quotes or `=` is quoted as in JSON."""
    head = f"{event.pop('timestamp', '')} {event.pop('level', ''):<7} {event.pop('role', '')}: "
    return head + sentence(event)


def sentence(event: EventDict) -> str:
    """The event and its fields, without time, level and role."""
    fields = " ".join(f"{name}={_value(value)}" for name, value in event.items() if name != "event")
    return f"{event.get('event', '')} {fields}" if fields else str(event.get("event", ""))


def _value(value: object) -> str:
    if isinstance(value, int | float):
        return str(value)
    text = ",".join(value) if isinstance(value, list) else str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def as_json(_logger: object, _method: str, event: EventDict) -> str:
    """One JSON object, ASCII only."""
    return json.dumps(event, default=str)
