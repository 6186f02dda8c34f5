"""What every row has: a UUIDv7 as its key, so that keys sort by age and nodes never collide (RFC 9562 §5.7)."""

import os
import time
from datetime import UTC, datetime
from uuid import UUID

from django.db import models

OWNER_CHARS = 400
"""An address key: 254 octets of text, case-folded, its domain as A-label."""


def uuid7() -> UUID:
    """A new UUIDv7; the 12 bits after the version are the fraction of the millisecond (RFC 9562 §6.2 method 3)."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = (rest << 12) // 1_000_000
    random = int.from_bytes(os.urandom(8), "big") >> 2
    return UUID(int=milliseconds << 80 | 0x7000 << 64 | fraction << 64 | 0b10 << 62 | random)


def first_uuid7(at: datetime) -> UUID:
    """The smallest UUIDv7 of an instant: a bound for a search by time over the primary key."""
    milliseconds = max(0, int(at.timestamp() * 1000))  # of the year 9999 there are 48 bits (RFC 9562 §5.7)
    return UUID(int=milliseconds << 80 | 0x7000 << 64 | 0b10 << 62)


def utc_now() -> datetime:
    """Aware UTC; the default of every `created` column."""
    return datetime.now(UTC)


def storable(text: str) -> str:
    """Text from outside without what a database refuses: lone surrogates, NUL."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


class Row(models.Model):
    """The base of every table."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.pk}"
