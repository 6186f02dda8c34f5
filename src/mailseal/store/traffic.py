"""How much mail went which way: counted for each hour when rows come into the log, so that nobody counts millions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import F, Sum

from mailseal.store.configure import this_node
from mailseal.store.pace import Turn
from mailseal.store.purge import delete_before
from mailseal.store.traffic_models import TrafficRow
from mailseal.store.transaction import reads

_TIME, _DIRECTION, _FATE, _TREATMENT, _METHOD = 3, 4, 9, 10, 11
"""Where a row of the log has them, see `records.LOG_COLUMNS`."""
_KEY = ("hour", "direction", "fate", "treatment", "method")


@dataclass(frozen=True, slots=True)
class Traffic:
    """So many copies in the hour that begins then; `fate`, `treatment`, `method` as in the log."""

    hour: datetime
    direction: str
    fate: str
    treatment: str
    method: str
    copies: int


def count(rows: Sequence[Sequence[str | int]]) -> None:
    """Count rows that were put into the log just now, in the caller's transaction."""
    found = Counter(
        (_hour(str(row[_TIME])), *(str(row[at]) for at in (_DIRECTION, _FATE, _TREATMENT, _METHOD))) for row in rows
    )
    # In one order, so that two who count at once wait for each other instead of stopping each other.
    for values, copies in sorted(found.items()):
        key = {"node": this_node(), **dict(zip(_KEY, values, strict=True))}
        mine = TrafficRow.objects.filter(**key)
        if not mine.update(copies=F("copies") + copies):
            # Another thread of the worker may have made it meanwhile.
            TrafficRow.objects.bulk_create([TrafficRow(copies=0, **key)], ignore_conflicts=True)
            mine.update(copies=F("copies") + copies)


def _hour(time: str) -> datetime:
    """When the hour of a row's time begins; it is UTC, in any form that the log takes."""
    return datetime.fromisoformat(time).replace(minute=0, second=0, microsecond=0, tzinfo=UTC)


@reads
def traffic(since: datetime, until: datetime) -> tuple[Traffic, ...]:
    """What all nodes have counted, oldest hour first; the hour in which `since` is wholly."""
    first = since.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    rows = TrafficRow.objects.filter(hour__gte=first, hour__lt=until).values(*_KEY)
    found = rows.annotate(sum=Sum("copies")).order_by(*_KEY)
    return tuple(Traffic(*(row[name] for name in (*_KEY, "sum"))) for row in found)


def purge(before: datetime, turn: Turn | None = None) -> int:
    """Delete what was counted before a time; returns how many rows."""
    return delete_before(TrafficRow, "hour", before - timedelta(hours=1), turn)
