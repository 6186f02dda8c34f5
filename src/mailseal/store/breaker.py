"""A database that is away is asked about once a second, not by each mail: all others fail at once (circuit breaker).

The log says once when it begins and once when it is over. Reading and writing are apart: a full disk, a read-only
server or somebody's lock stop writes alone, and mail that needs none goes on.
"""

import logging
import threading
import time
from dataclasses import dataclass
from enum import StrEnum

from mailseal.store.trouble import StoreUnavailable

PAUSE_SECONDS = 1.0
"""After a failure nobody asks for so long; then one does, the probe."""
PROBE_SECONDS = 20.0
"""A probe that has not come back by then lets another go: its thread may never come back."""

logger = logging.getLogger(__name__)


class Access(StrEnum):
    """What somebody wants of the database."""

    READ = "read"
    WRITE = "write"


@dataclass(slots=True)
class _Failure:
    said: str
    ask_at: float


class Breaker:
    """Shared by the threads of a process. Each use of the database is admitted, then failed or worked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[Access, _Failure] = {}
        self._since = 0.0

    def admit(self, access: Access) -> None:
        """Let a use of the database begin; raises StoreUnavailable while it is known to be of no use."""
        if access not in self._failures:
            return
        with self._lock:
            failure = self._failures.get(access)
            if failure is None:
                return
            now = time.monotonic()
            if now < failure.ask_at:
                raise StoreUnavailable(failure.said)
            failure.ask_at = now + PROBE_SECONDS

    def failed(self, access: Access, error: StoreUnavailable) -> None:
        """The database could not be used."""
        with self._lock:
            now = time.monotonic()
            if not self._failures:
                self._since = now
                logger.warning("no %s until the database is better: %s", access, str(error))
            self._failures[access] = _Failure(str(error), now + PAUSE_SECONDS)

    def worked(self, access: Access) -> None:
        """The database could be used. Whoever can write can read; after reads were gone, writes are tried again."""
        if not self._failures:
            return
        with self._lock:
            if access is Access.WRITE or access in self._failures:
                if self._failures:
                    logger.warning("the database works again after %.0f s", time.monotonic() - self._since)
                self._failures.clear()

    def undecided(self, access: Access) -> None:
        """Something else went wrong, so the next one may ask."""
        if access in self._failures:
            with self._lock:
                failure = self._failures.get(access)
                if failure is not None:
                    failure.ask_at = time.monotonic()

    def reset(self) -> None:
        """Forget every failure: another database is used from now on."""
        with self._lock:
            self._failures.clear()


BREAKER = Breaker()
"""The one of this process; only work inside `transaction.unit_of_work` heeds it."""
