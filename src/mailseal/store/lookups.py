"""Searches for the OpenPGP keys of addresses: one per address at a time in the whole cluster (architecture, rule 8).

The mail path asks here and the worker searches. The bound on waiting belongs to the search, not to a mail: one that has
ended, or that was asked for too long ago, lets mail go on with what is known.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailseal.mail.address import Address
from mailseal.ports import Lookup, LookupState
from mailseal.store import jobs, lookup_waits
from mailseal.store.lru import Lru
from mailseal.store.pace import Turn
from mailseal.store.pgp_models import PgpLookupRow
from mailseal.store.purge import delete_before
from mailseal.store.transaction import read, writes

LOOK_UP = "look-up"
"""The kind of job."""
ADDRESS = "address"
"""In its payload."""
POLL_SECONDS = 0.1
MAX_ERROR_CHARS = 500


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a mail waits, how long a search may take, and for how long its result is good."""

    wait_seconds: float
    limit: timedelta
    keep_none: timedelta
    keep_found: timedelta


class StoreLookups:
    """The port `Lookups`, thread-safe. `forget` empties the caches of certificates of this process."""

    def __init__(self, patience: Patience, forget: Callable[[], None]) -> None:
        self._patience = patience
        self._forget = forget
        self._waiting = threading.Lock()
        self._noticed: Lru[str, datetime] = Lru(2000)

    def ask(self, address: Address, at: datetime, *, wait: bool) -> Lookup:
        """As of the port; raises StoreUnavailable."""
        row = _row(address.key)
        if row is None or self._is_stale(row, at):
            start(address, at, instead_of=None if row is None else row.asked)
            row = PgpLookupRow(owner=address.key, asked=at)
        # One mail of a worker waits, the others are deferred at once: threads are for mail that can go on.
        if wait and row.finished is None and self._waiting.acquire(blocking=False):
            try:
                row = self._waited(row)
            finally:
                self._waiting.release()
        self._notice(row)
        return self._told(row, at)

    def _is_stale(self, row: PgpLookupRow, at: datetime) -> bool:
        if row.finished is None:
            return False
        age = at - row.finished
        # A negative age is a clock that was set back: the result may be of any age.
        return not -self._patience.limit < age < (self._patience.keep_found if row.found else self._patience.keep_none)

    def _waited(self, row: PgpLookupRow) -> PgpLookupRow:
        until = time.monotonic() + self._patience.wait_seconds
        now: PgpLookupRow | None = row
        while (now is None or now.finished is None) and (left := until - time.monotonic()) > 0:
            time.sleep(min(POLL_SECONDS, left))
            now = _row(row.owner)
        return now or row

    def _notice(self, row: PgpLookupRow) -> None:
        """What was found a moment ago is in no cache yet; candidates change no stamp."""
        if row.finished is not None and row.found and self._noticed.get(row.owner) != row.finished:
            self._noticed.put(row.owner, row.finished, self._noticed.generation)
            self._forget()

    def _told(self, row: PgpLookupRow, at: datetime) -> Lookup:
        if row.finished is not None:
            return Lookup(LookupState.FINISHED, row.finished)
        too_long = at - row.asked >= self._patience.limit
        return Lookup(LookupState.FINISHED if too_long else LookupState.RUNNING, row.asked)


def _row(owner: str) -> PgpLookupRow | None:
    return read(lambda: PgpLookupRow.objects.filter(owner=owner).first())


@writes
def start(address: Address, at: datetime, *, instead_of: datetime | None = None) -> None:
    """Have an address looked for; `instead_of`: when the search was asked for whose result is too old."""
    row, new = PgpLookupRow.objects.get_or_create(owner=address.key, defaults={"asked": at})
    if not new and instead_of is not None:
        # Asked in the update itself: another worker may have begun a search in this moment, and that have ended.
        PgpLookupRow.objects.filter(pk=row.pk, asked=instead_of).update(asked=at, finished=None, found=0, error="")
    jobs.enqueue(LOOK_UP, {ADDRESS: str(address)}, dedupe=address.key, node=jobs.ANY_NODE)


def running_since(address: Address) -> datetime | None:
    """When the search that is under way was asked for; None: there is none."""
    row = read(lambda: PgpLookupRow.objects.filter(owner=address.key, finished=None).first())
    return None if row is None else row.asked


@writes
def finish(address: Address, found: int, at: datetime, *, error: str = "") -> None:
    """A search has ended, also one that nobody has asked for through the port; the mails that wait are tried."""
    values = {"finished": at, "found": found, "error": error[:MAX_ERROR_CHARS]}
    PgpLookupRow.objects.update_or_create(owner=address.key, defaults=values, create_defaults={"asked": at, **values})
    lookup_waits.try_now([address.key])


def purge(before: datetime, turn: Turn | None = None) -> int:
    """Forget searches that ended before a time; returns how many."""
    return delete_before(PgpLookupRow, "finished", before, turn)
