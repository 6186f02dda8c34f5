"""Rows of cells as text: cells by tabs, rows by line ends, given out in pieces of a bounded size."""

from mailseal.extract.walk import Walk

MAX_PIECE = 100_000
"""Characters; cells may repeat one long string as often as they like."""


class RowText:
    """Takes cells in their order and says them."""

    __slots__ = ("_length", "_pieces", "_walk")

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._pieces: list[str] = []
        self._length = 0

    def cell(self, text: str) -> None:
        """The next cell of the row. Raises OverBudgetError."""
        if text:
            self._pieces += (text, "\t")
            self._length += len(text) + 1
            if self._length > MAX_PIECE:
                self.flush()

    def end_row(self) -> None:
        """What follows is another row."""
        if self._pieces and self._pieces[-1] == "\t":
            self._pieces[-1] = "\n"

    def flush(self) -> None:
        """Say what has not been said. Raises OverBudgetError."""
        pieces, self._pieces, self._length = self._pieces, [], 0
        self._walk.say("".join(pieces), "cells")
