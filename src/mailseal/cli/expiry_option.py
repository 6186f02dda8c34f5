"""When something shall end, as a person writes it: `never`, a date, or from now on like `3y`, `18m`, `90d`."""

import re
from datetime import UTC, datetime, timedelta

from mailseal.cli.errors import CommandError

METAVAR = "never|DATE|3y|18m|90d"
_SPAN = re.compile(r"([1-9][0-9]{0,4})([ymd])")
_DAYS = {"y": 365.25, "m": 30.4375, "d": 1}


def read_expiry(text: str, at: datetime) -> datetime | None:
    """The time, aware UTC; None: never. A date ends with its day. Raises CommandError."""
    if text == "never":
        return None
    span = _SPAN.fullmatch(text)
    try:
        if span is not None:
            return at + timedelta(days=int(span[1]) * _DAYS[span[2]])
        expires = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise CommandError(f"{text} is no time", f"write one of {METAVAR}, a date as 2031-12-31") from None
    if len(text) == len("2031-12-31"):
        expires = expires.replace(hour=23, minute=59, second=59)
    expires = expires.replace(tzinfo=UTC) if expires.tzinfo is None else expires.astimezone(UTC)
    if expires <= at:
        raise CommandError(f"{text} is over")
    return expires
