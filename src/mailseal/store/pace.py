"""Long work beside mail: in short transactions with rests between, and in turns, so that nobody waits long.

SQLite has one writer at a time and no queue: who waits asks again after some milliseconds, so a writer that goes on
and on without a rest may keep the others out for seconds.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STEP_SECONDS = 0.03
"""What one transaction shall take."""
MIN_REST_SECONDS = 0.01
MAX_REST_SECONDS = 0.5


class Turn:
    """How long work may go on before others have their turn; without `seconds`, to its end.

    `cut_off`: the turn was over before the work was.
    """

    def __init__(self, seconds: float = float("inf"), *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until = monotonic() + seconds
        self.cut_off = False

    def goes_on(self) -> bool:
        """Asked before each step while there is work left."""
        if self._monotonic() >= self._until:
            self.cut_off = True
        return not self.cut_off


class Pace:
    """How large a step may be; it learns from how long the steps take.

    >>> pace = Pace(100, 10, 2000)  # doctest: +SKIP
    >>> while turn.goes_on():  # doctest: +SKIP
    ...     with pace.step():
    ...         delete(pace.size)
    """

    def __init__(self, size: int, smallest: int, largest: int) -> None:
        self.size = size
        self._bounds = smallest, largest
        self._took: float | None = None

    @contextmanager
    def step(self) -> Iterator[None]:
        """Around one transaction of `size`; rests first, for as long as the one before took."""
        if self._took is not None:
            time.sleep(min(max(self._took, MIN_REST_SECONDS), MAX_REST_SECONDS))
        began = time.monotonic()
        try:
            yield
        finally:
            self._took = time.monotonic() - began
        smallest, largest = self._bounds
        # Never more than twice as large: one quick step may have found its pages in memory.
        factor = min(STEP_SECONDS / max(self._took, 1e-6), 2.0)
        self.size = max(smallest, min(largest, int(self.size * factor)))
