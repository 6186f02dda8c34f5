"""What the worker of a node does every few seconds: jobs of the dead, the clock, SQLite's write-ahead log."""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from mailseal.store import jobs, nodes, revalidate
from mailseal.store.clock import CLOCK, TOLERANCE, ClockWatch
from mailseal.store.configure import CHECKPOINT_PAGES, WAL_BYTES, this_node
from mailseal.store.row import utc_now
from mailseal.store.transaction import connection, read

LONG_AWAY = timedelta(days=30)
"""After a longer silence of this node its clock is mistrusted: nobody knows whether it was off so long."""
PAGE_BYTES = 4096
TRUNCATE_WAIT_MS = 50

logger = logging.getLogger(__name__)


class House:
    """Of one worker process. `keep` is called each HEARTBEAT_SECONDS, before this node's own sign of life."""

    def __init__(self, clock: ClockWatch = CLOCK, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._kept_at: float | None = None
        self._set_back = False
        self._heard: dict[str, tuple[datetime, float]] = {}

    def keep(self) -> None:
        """Raises StoreUnavailable; called again then, it goes on."""
        known = nodes.list_nodes()
        self._mind_the_clock(known)
        self._take_over_dead(known)
        jobs.reclaim()
        checkpoint()

    def _mind_the_clock(self, known: tuple[nodes.Node, ...]) -> None:
        jump = self._clock.jump()
        if self._kept_at is None:
            jump = self._jump_while_away(known)
        if jump:
            logger.warning("the clock has jumped by %s: nothing is deleted for its age for a day", jump)
        self._set_back = self._set_back or jump < timedelta(0)
        if self._set_back:
            jobs.mend_times()
            revalidate.mark_judged_after(utc_now())
            self._set_back = False

    def _jump_while_away(self, known: tuple[nodes.Node, ...]) -> timedelta:
        """By this node's last sign of life, from before this process."""
        own = next((node.heartbeat for node in known if node.name == this_node()), None)
        since = timedelta(0) if own is None else utc_now() - own
        if -TOLERANCE <= since <= LONG_AWAY:
            return timedelta(0)
        self._clock.mistrust()
        return since

    def _take_over_dead(self, known: tuple[nodes.Node, ...]) -> None:
        """Dead is whose sign of life has not changed for a while of ours: their clocks and ours may differ.

        Time in which we saw nothing ourselves does not count: the database was away, for the others too.
        """
        now = self._monotonic()
        if self._kept_at is None or now - self._kept_at > 3 * nodes.HEARTBEAT_SECONDS:
            self._heard.clear()
        self._kept_at = now
        for node in known:
            heartbeat, since = self._heard.get(node.name, (None, now))
            if heartbeat != node.heartbeat:
                self._heard[node.name] = node.heartbeat, now
            elif node.name != this_node() and now - since > nodes.DEAD_AFTER_SECONDS:
                moved = nodes.take_over(node)
                if moved:
                    jobs.mend_times()  # its clock may have been ahead of ours
                    logger.warning("node %s is silent: %d of its jobs are taken over", node.name, moved)


def checkpoint() -> None:
    """Move SQLite's write-ahead log into the database, so that no mail has to, and keep its file small.

    It waits for nobody, but 50 ms for readers when the file is too large.
    """
    database = connection()
    if database.vendor != "sqlite":
        return
    try:
        size = Path(f"{database.settings_dict['NAME']}-wal").stat().st_size
    except FileNotFoundError:
        return
    if size < CHECKPOINT_PAGES // 4 * PAGE_BYTES:
        return
    if read(lambda: _checkpoint("PASSIVE")) and size > WAL_BYTES:
        read(lambda: _checkpoint("TRUNCATE"))


def _checkpoint(mode: str) -> bool:
    """Whether all of it was moved."""
    with connection().cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        (patience,) = cursor.fetchone()
        cursor.execute(f"PRAGMA busy_timeout={TRUNCATE_WAIT_MS}")
        try:
            cursor.execute(f"PRAGMA wal_checkpoint({mode})")
            busy, logged, moved = cursor.fetchone()
        finally:
            cursor.execute(f"PRAGMA busy_timeout={patience}")
    return not busy and bool(logged == moved)
