"""A journal's lines as rows for the database, each checked: a torn or foreign line may not stop those around it.

MariaDB's INSERT IGNORE would cut what is too long, SQLite's would drop what is no JSON; both without a word.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db.models import CharField

from mailseal.policy.model import Harvest, MethodName
from mailseal.store import records
from mailseal.store.models import LogRow
from mailseal.store.queue_models import LogQueueRow
from mailseal.store.row import storable

_KEY = re.compile("[0-9a-f]{32}")
_WITHOUT_QUEUE = len(records.LOG_COLUMNS)
_NO_QUEUE = ("",) * len(records.QUEUE_COLUMNS)
_MAX_CHARS = tuple(
    column.max_length if isinstance(column := model._meta.get_field(name), CharField) else None  # noqa: SLF001 -- documented API
    for model, names in ((LogRow, records.LOG_COLUMNS), (LogQueueRow, records.QUEUE_COLUMNS))
    for name in names
)
_ID, _TIME, _REASONS, _DETAILS = map(records.LOG_COLUMNS.index, ("id", "time", "reasons", "details"))


@dataclass(slots=True)
class Lines:
    """What some lines say; `bad` are those that cannot be read, as they are.

    `rows` have the columns of `records.LOG_COLUMNS`; `queue_ids` a row's key and those of `records.QUEUE_COLUMNS`.
    """

    rows: list[Sequence[str]] = field(default_factory=list)
    queue_ids: list[Sequence[str]] = field(default_factory=list)
    candidates: list[Harvest] = field(default_factory=list)
    bad: list[bytes] = field(default_factory=list)


def parse(data: bytes) -> Lines:
    """Whole lines, each ended by LF."""
    found = Lines()
    for line in data.split(b"\n")[:-1]:
        try:
            kind, *values = json.loads(line)
            if kind == records.LOG:
                row = _row(values)
                found.rows.append(row[:_WITHOUT_QUEUE])
                if any(row[_WITHOUT_QUEUE:]):
                    found.queue_ids.append((row[_ID], *row[_WITHOUT_QUEUE:]))
            else:
                found.candidates.append(_candidate(kind, values))
        except (ValueError, TypeError, IndexError, OverflowError, RecursionError):
            found.bad.append(line)
    return found


def _row(values: list[Any]) -> Sequence[str]:
    if len(values) == _WITHOUT_QUEUE:
        values = [*values, *_NO_QUEUE]
    if len(values) != len(_MAX_CHARS) or not all(type(one) is str for one in values):
        raise ValueError("not the columns of the log")
    if any(limit is not None and len(value) > limit for value, limit in zip(values, _MAX_CHARS, strict=True)):
        raise ValueError("too long")
    if not _KEY.fullmatch(values[_ID]) or datetime.fromisoformat(values[_TIME]).tzinfo is not None:
        raise ValueError("not a key and a time")
    for column in (_REASONS, _DETAILS):
        if type(json.loads(values[column])) is not list:
            raise ValueError("not a list")
    return tuple([one if one.isascii() and "\0" not in one else storable(one) for one in values])


def _candidate(kind: object, values: list[Any]) -> Harvest:
    if kind == records.KEY_CANDIDATE:
        method, octets, source = values
        if type(source) is not str or len(source) > records.MAX_TEXT_CHARS:
            raise ValueError("whence a key came is a short text")
        return Harvest(bytes.fromhex(octets), method=MethodName(method), source=source)
    if kind != records.CANDIDATE:
        raise ValueError("a kind of record that this release does not know")
    der, capabilities, signed_at = values
    if type(capabilities) is not str:
        raise ValueError("capabilities are text")
    return Harvest(bytes.fromhex(der), capabilities, None if signed_at is None else _aware(signed_at))


def _aware(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment.astimezone(UTC)
