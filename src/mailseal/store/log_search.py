"""A page of the message log, whatever is looked for, without reading all of a log of many millions of rows.

One condition with an index needs no more than that. With several, the one whose last WINDOW rows go back furthest is
taken, and so many of its rows are looked at for the others; if that does not fill the page, so many more, until a time
is up. Then the page says how far back it has looked, and the next one goes on from there.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from mailseal.store.log_filter import Branch, Indexed, LogFilter, Rows, branches, looked_at
from mailseal.store.models import LogRow

WINDOW = 10_000
"""Rows found by an index that are looked at, one by one, at a time."""
KEY_WINDOW = 50_000
"""The same for rows that are next to each other, by key."""
MIN_WINDOW = 500
BUDGET_SECONDS = 0.1
"""After this no further window is begun."""


@dataclass(frozen=True, slots=True)
class Found:
    """Rows, newest first. `next`: where the next page begins (`before`), None when there is none.

    `back_to`: the page is not full, but rows from before this time have not been looked at.
    """

    rows: tuple[LogRow, ...]
    next: UUID | None = None
    back_to: datetime | None = None


def find(wanted: LogFilter, *, before: UUID | None, limit: int, budget_seconds: float = BUDGET_SECONDS) -> Found:
    """The newest rows that fit, older than `before`. Raises LogFilterError."""
    give_up_at = time.monotonic() + budget_seconds
    found: list[LogRow] = []
    ways = branches(wanted)
    while True:
        rows, floor = _look(ways, before, limit + 1 - len(found))
        found += rows
        if len(found) > limit:
            return Found(tuple(found[:limit]), found[limit - 1].pk)
        if floor is None:
            return Found(tuple(found))
        if time.monotonic() > give_up_at:
            return Found(tuple(found), floor, datetime.fromtimestamp((floor.int >> 80) / 1000, UTC))
        before = floor


def _look(ways: Sequence[Branch], before: UUID | None, limit: int) -> tuple[list[LogRow], UUID | None]:
    """The newest rows of all branches, and down to which key all of them were looked at; None: to the end."""
    found: dict[UUID, LogRow] = {}
    floor: UUID | None = None
    for way in ways:
        rows, bound = _narrowed(way, before, len(ways))
        part = rows.order_by("-pk")[:limit]
        found |= {row.pk: row for row in part}
        if bound is not None and len(part) < limit:
            floor = bound if floor is None else max(floor, bound)
    newest = sorted(found.values(), key=lambda row: row.pk, reverse=True)
    return [row for row in newest if floor is None or row.pk >= floor][:limit], floor


def _narrowed(way: Branch, before: UUID | None, ways: int) -> tuple[Rows, UUID | None]:
    """The rows of a branch that fit, and the key at which its window ends, if it does before the last row."""
    rows = way.rows if before is None else way.rows.filter(pk__lt=before)
    if not way.few and not way.any_other and len(way.indexed) <= 1:
        return (way.indexed[0].by_index(rows) if way.indexed else rows), None
    best, bound = (None, None) if way.few else _window(way, rows, ways)
    found = rows if best is None else best.by_index(rows)
    for one in way.indexed:
        if one is not best:
            found = one.by_looking(found)
    found = looked_at(found, way.others)
    return (found if bound is None else found.filter(pk__gte=bound)), bound


def _window(way: Branch, rows: Rows, ways: int) -> tuple[Indexed | None, UUID | None]:
    """The condition whose last rows go back furthest, and how far; None: the key, to the end."""
    if not way.indexed:
        return None, _nth(rows, max(KEY_WINDOW // ways, MIN_WINDOW))
    window = max(WINDOW // ways, MIN_WINDOW)
    best, furthest = way.indexed[0], None
    for one in way.indexed:
        bound = _nth(one.by_index(rows), window)
        if bound is None:
            return one, None
        if furthest is None or bound < furthest:
            best, furthest = one, bound
    return best, furthest


def _nth(rows: Rows, number: int) -> UUID | None:
    """The key of the row after so many; the index alone is read."""
    return rows.order_by("-pk").values_list("pk", flat=True)[number : number + 1].first()
