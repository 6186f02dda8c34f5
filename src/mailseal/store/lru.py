"""A bounded cache of database rows: least recently used goes first, an entry is forgotten after a minute.

A stamp clears it at once; the age bound is for what bumps no stamp (candidates) and for what depends on the time.
"""

import threading
import time
from collections import OrderedDict
from typing import Generic, TypeVar

MAX_AGE_SECONDS = 60.0

K = TypeVar("K")
V = TypeVar("V")


class Lru(Generic[K, V]):
    """Thread-safe. Take `generation` before reading the database and hand it to `put`: what was read before a
    `clear` is then not kept after it.
    """

    def __init__(self, entries: int, max_age_seconds: float = MAX_AGE_SECONDS) -> None:
        self.generation = 0
        self._entries = entries
        self._max_age_seconds = max_age_seconds
        self._rows: OrderedDict[K, tuple[float, V, int]] = OrderedDict()
        self._weight = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: K) -> V | None:
        """The value, or None."""
        with self._lock:
            row = self._rows.get(key)
            if row is None:
                return None
            if row[0] < time.monotonic():
                self._forget(key)
                return None
            self._rows.move_to_end(key)
            return row[1]

    def put(self, key: K, value: V, generation: int, weight: int = 1) -> None:
        """Keep a value that was read in a generation. It takes the place of as many entries as it weighs."""
        with self._lock:
            if generation != self.generation:
                return
            self._forget(key)
            self._rows[key] = (time.monotonic() + self._max_age_seconds, value, weight)
            self._weight += weight
            while self._weight > self._entries:
                self._forget(next(iter(self._rows)))

    def drop(self, key: K) -> None:
        """Forget one value."""
        with self._lock:
            self._forget(key)

    def _forget(self, key: K) -> None:
        row = self._rows.pop(key, None)
        if row is not None:
            self._weight -= row[2]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self.generation += 1
            self._rows.clear()
            self._weight = 0
