"""Rows of cells as text: cells by tabs, rows by line ends, given out in pieces of a bounded size."""

from collections.abc import Iterable

from mailseal.extract.walk import Walk

MAX_PIECE = 100_000
"""Characters; cells may repeat one long string as often as they like."""
_EDGE = 4
"""Characters at the edge of a cell that are looked at: no pattern reads a number across more that is no digit."""


class RowText:
    """Takes cells in their order and says them."""

    __slots__ = ("_break", "_last", "_length", "_pieces", "_walk")

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._pieces: list[str] = []
        self._length = 0
        self._last = ""
        self._break = "\t"

    def cell(self, text: str) -> None:
        """The next cell of the row. Raises OverBudgetError."""
        if text:
            self._pieces += (border(self._last, text, self._break) if self._pieces else "", text)
            self._length += len(text) + 1
            self._last, self._break = text, "\t"
            if self._length > MAX_PIECE:
                self.flush()

    def end_row(self) -> None:
        """What follows is another row."""
        self._break = "\n"

    def flush(self) -> None:
        """Say what has not been said. Raises OverBudgetError."""
        pieces, self._pieces, self._length = self._pieces, [], 0
        self._walk.say("".join(pieces), "cells")


def border(before: str, after: str, parting: str) -> str:
    """What stands between two cells: a tab or a line end, and a bar where digits would else meet.

    Patterns see all white space as one space, so the figures of two cells would be one number, and in a large workbook
    some of those are cards' by chance. Words are not parted: a phrase may stand in two cells.
    """
    return f"{parting}|{parting}" if _digit(after[:_EDGE]) and _digit(before[: -_EDGE - 1 : -1]) else parting


def lines(cells: Iterable[str]) -> str:
    """Cells of which nobody knows where they stand, one a line."""
    pieces: list[str] = []
    for cell in filter(None, cells):
        pieces += (border(pieces[-1], cell, "\n") if pieces else "", cell)
    return "".join(pieces)


def _digit(edge: str) -> bool:
    """Whether the first of these characters that is a letter or a digit is a digit."""
    for one in edge:
        if one.isalnum():
            return one.isdigit()
    return False
