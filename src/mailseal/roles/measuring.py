"""What the job worker measures now and then: the store's queues, the journals, the keys."""

import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from mailseal.roles import metric_table as table
from mailseal.roles.meter import Meter
from mailseal.store import gauges, sts_policies

MEASURE_SECONDS = 15.0
EXPIRY_SECONDS = 300.0
"""The question about keys reads more rows, and its answer changes seldom."""


class StoreMeasures:
    """Used by one thread at a time."""

    def __init__(self, meter: Meter, journal_dir: Path, kinds: Collection[str]) -> None:
        self._meter = meter
        self._journal_dir = journal_dir
        self._kinds = tuple(kinds)
        self._ask_expiry_at = 0.0

    def take(self) -> None:
        """Set every gauge; raises StoreUnavailable."""
        meter = self._meter
        meter.rest()
        for kind, waiting in gauges.jobs_waiting(self._kinds).items():
            meter.set(table.JOBS_WAITING, waiting.count, kind)
            meter.set(table.JOB_LAG, waiting.lag_seconds, kind)
        journals = gauges.journals(self._journal_dir)
        meter.set(table.JOURNAL_BYTES, journals.size_bytes)
        meter.set(table.JOURNAL_IMPORTED, journals.imported.timestamp())
        meter.set(table.CERTIFICATES_DUE, gauges.certificates_due())
        held = gauges.held()
        for why, number in held.by_why.items():
            meter.set(table.HELD_MAILS, number, why)
        meter.set(table.HELD_OLDEST, held.oldest.timestamp() if held.oldest else 0.0)
        meter.set(table.HELD_NEXT_END, held.next_end.timestamp() if held.next_end else 0.0)
        if time.monotonic() >= self._ask_expiry_at:
            expiry = gauges.expiry()
            meter.set(table.KEY_EXPIRY, expiry.first.timestamp() if expiry.first else 0.0)
            meter.set(table.KEYS_EXPIRING, expiry.within_30_days)
            for mode, number in sts_policies.counts(datetime.now(UTC)).items():
                meter.set(table.MTA_STS_DOMAINS, number, mode.value)
            self._ask_expiry_at = time.monotonic() + EXPIRY_SECONDS
