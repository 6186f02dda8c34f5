"""Stacked columns over time as numbers for an SVG: places and sizes here, colours in the style sheet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils.functional import Promise

from mailseal.web.written import written_number

WIDE, HALF = (1140, 220), (560, 200)
"""Sizes of a chart, so that its text is of one size on the page of a desktop."""
LEFT, RIGHT, TOP, BOTTOM = 44, 4, 10, 24
GAP = 0.28
"""Of a column's place, what is left free."""
GRID_LINES = 4
MAX_LABELS = 8
_STEPS = (1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10)

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Series:
    """What is counted: its name and the class of its colour."""

    key: str
    name: Text
    css: str


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a column."""

    css: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """What one time has: its blocks, and a text that says all numbers."""

    at: datetime
    blocks: tuple[Block, ...]
    x: float
    width: float
    total: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """All that a template draws. `ticks`: (y, number); `labels`: (x, time); `totals` of each series."""

    series: tuple[Series, ...]
    columns: tuple[Column, ...]
    ticks: tuple[tuple[float, str], ...]
    labels: tuple[tuple[float, datetime], ...]
    totals: tuple[tuple[Series, int], ...]
    step: timedelta
    width: int
    height: int
    left: int = LEFT
    top: int = TOP

    @property
    def right(self) -> int:
        """Where lines end."""
        return self.width - RIGHT

    @property
    def below(self) -> int:
        """How high the columns can be."""
        return self.height - TOP - BOTTOM

    @property
    def total(self) -> int:
        """Of all."""
        return sum(number for _, number in self.totals)


def stacked(
    series: Sequence[Series],
    counts: Mapping[datetime, Mapping[str, int]],
    start: datetime,
    step: timedelta,
    number: int,
    size: tuple[int, int] = WIDE,
) -> Chart:
    """`number` columns from `start` on; `counts` has for the begin of each how many by the key of a series."""
    all_width, all_height = size
    times = [start + step * index for index in range(number)]
    rows = [tuple(counts.get(at, {}).get(one.key, 0) for one in series) for at in times]
    top = _top(max(map(sum, rows), default=0))
    place = (all_width - LEFT - RIGHT) / number
    width = place * (1 - GAP)
    scale = (all_height - TOP - BOTTOM) / top
    columns = []
    for index, (at, values) in enumerate(zip(times, rows, strict=True)):
        x = round(LEFT + place * index + place * GAP / 2, 2)
        blocks = _blocks(series, values, (x, width), scale, all_height)
        columns.append(Column(at, blocks, x, round(width, 2), sum(values), values))
    every = -(-number // MAX_LABELS)
    seconds = step.total_seconds()
    labels = tuple(
        (round(one.x + width / 2, 1), one.at) for one in columns if one.at.timestamp() // seconds % every == 0
    )
    ticks = tuple(
        (round(all_height - BOTTOM - top * part / GRID_LINES * scale, 1), _short(top * part / GRID_LINES))
        for part in range(GRID_LINES + 1)
    )
    totals = tuple((one, sum(row[index] for row in rows)) for index, one in enumerate(series))
    return Chart(tuple(series), tuple(columns), ticks, labels, totals, step, all_width, all_height)


def _blocks(
    series: Sequence[Series], values: Sequence[int], place: tuple[float, float], scale: float, all_height: int
) -> tuple[Block, ...]:
    (x, width), y = place, float(all_height - BOTTOM)
    found = []
    for one, value in zip(series, values, strict=True):
        if value:
            height = value * scale
            y -= height
            found.append(Block(one.css, x, round(y, 2), round(width, 2), round(height, 2)))
    return tuple(found)


def _top(most: int) -> float:
    """A round number of four equal whole steps that is not less."""
    wanted = max(most, GRID_LINES) / GRID_LINES
    power = 10 ** (len(str(int(wanted))) - 1)
    step = next(one * power for one in _STEPS if one * power >= wanted and (one * power) % 1 == 0)
    return float(step * GRID_LINES)


def _short(number: float) -> str:
    for limit, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= limit:
            return f"{written_number(Decimal(f'{number / limit:g}'))}{unit}"
    return f"{number:g}"
