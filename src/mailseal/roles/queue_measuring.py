"""What the job worker measures of Postfix's queue now and then: how much of it, for what reason, since when."""

import logging
import time

from mailseal.config import Config
from mailseal.errors import MailsealError
from mailseal.postfix.queue_reasons import WaitKind
from mailseal.postfix.queue_summary import Summary, summary_of
from mailseal.roles import metric_table as table
from mailseal.roles.meter import Meter
from mailseal.roles.queue_client import our_sockets, queue_client

PAUSE_SECONDS = 60.0
REST = 20
"""So many times as long as a listing took is waited before the next: Postfix reads every file of the queue for one."""
LISTING_SECONDS = 300.0
QUEUES = ("deferred", "active", "incoming", "hold", "maildrop", "corrupt")

logger = logging.getLogger(__name__)


class QueueMeasures:
    """Used by one thread at a time."""

    def __init__(self, meter: Meter, config: Config) -> None:
        self._meter = meter
        self._config = config
        self._again_at = 0.0
        self._failing = False

    def take(self) -> None:
        """List the queue and set every gauge, if it is time for it. One that cannot be asked is said once."""
        began = time.monotonic()
        if began < self._again_at:
            return
        try:
            with queue_client(self._config).listing(LISTING_SECONDS) as listing:
                self._set(summary_of(listing, our_sockets(self._config)))
            self._failing = False
        except MailsealError as error:
            if not self._failing:
                logger.warning("the queue is not measured: %s", error)
            self._failing = True
        finally:
            self._again_at = time.monotonic() + max(PAUSE_SECONDS, REST * (time.monotonic() - began))

    def _set(self, summary: Summary) -> None:
        meter = self._meter
        for name in QUEUES:
            meter.set(table.QUEUE_MAILS, summary.mails[name], name)
        for kind in WaitKind:
            meter.set(table.QUEUE_RECIPIENTS, summary.recipients[kind], kind.value)
        meter.set(table.QUEUE_OLDEST, summary.oldest.timestamp() if summary.oldest else 0.0)
        meter.now(table.QUEUE_SEEN)
