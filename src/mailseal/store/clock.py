"""The wall clock may jump (NTP after a boot, a thawed machine, somebody's hand); the monotonic one tells.

Deadlines, polls and caches count monotonic time and do not notice. What is stored with a time does: see `house`.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from mailseal.store.row import utc_now

TOLERANCE = timedelta(minutes=1)
MISTRUST_SECONDS = 24 * 3600.0
"""For so long after a jump nothing is deleted for its age: the new time may be the wrong one."""


class ClockWatch:
    """Compares the two clocks each time it is asked. One per process; not for several threads at once."""

    def __init__(
        self, *, now: Callable[[], datetime] = utc_now, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._now, self._monotonic = now, monotonic
        self._before: tuple[datetime, float] | None = None
        self._mistrusted_until = float("-inf")

    def jump(self) -> timedelta:
        """How far the wall clock has jumped since it was asked last; zero for what is in the tolerance."""
        now, ticks = self._now(), self._monotonic()
        before, self._before = self._before, (now, ticks)
        if before is None:
            return timedelta(0)
        jumped = (now - before[0]) - timedelta(seconds=ticks - before[1])
        if abs(jumped) <= TOLERANCE:
            return timedelta(0)
        self.mistrust()
        return jumped

    def mistrust(self) -> None:
        """Delete nothing for a day."""
        self._mistrusted_until = self._monotonic() + MISTRUST_SECONDS

    def trusted(self) -> bool:
        """Whether what is old by this clock may be deleted."""
        return self._monotonic() >= self._mistrusted_until


CLOCK = ClockWatch()
"""The one of this process."""
