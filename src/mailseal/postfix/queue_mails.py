"""A mail in Postfix's queue, as postqueue(1) -j tells it ("JSON OBJECT FORMAT"). What it tells is data of strangers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mailseal.errors import PermanentError

MAX_LINE_BYTES = 8 * 1024 * 1024
"""Of a mail with thousands of recipients; Postfix takes a thousand by default."""
MAX_TEXT_CHARS = 4000


class ListingError(PermanentError):
    """A line that tells of no mail."""


@dataclass(frozen=True, slots=True)
class Awaiting:
    """A recipient who has not got the mail yet; `reason` is Postfix's, "" as long as it has none."""

    address: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """A mail and the recipients who still wait for it. `queue`: incoming, active, deferred, hold, maildrop, …

    `expiring`: marked to be returned to its sender. `sender`: "" is the null sender.
    """

    queue: str
    id: str
    arrived: datetime
    size_bytes: int
    sender: str
    recipients: tuple[Awaiting, ...]
    expiring: bool = False


def parse_mail(line: bytes) -> QueuedMail:
    """A line of the listing; raises ListingError."""
    try:
        found = json.loads(line.decode("utf-8", "replace"))
        sender = _text(found["sender"])
        return QueuedMail(
            queue=_text(found["queue_name"]),
            id=_text(found["queue_id"]),
            arrived=datetime.fromtimestamp(_number(found["arrival_time"]), UTC),
            size_bytes=_number(found["message_size"]),
            sender="" if sender == "MAILER-DAEMON" else sender,
            recipients=tuple(_awaiting(one) for one in found["recipients"]),
            expiring=found.get("forced_expire", False) is True,
        )
    except (ValueError, TypeError, KeyError, OverflowError, OSError, AttributeError, RecursionError):
        raise ListingError("Postfix's listing has a line that tells of no mail") from None


def _awaiting(found: Mapping[str, Any]) -> Awaiting:
    return Awaiting(_text(found["address"]), _text(found.get("delay_reason", "")))


def _text(value: object) -> str:
    if type(value) is not str:
        raise TypeError
    return value[:MAX_TEXT_CHARS]


def _number(value: object) -> int:
    if type(value) is not int:
        raise TypeError
    return value
