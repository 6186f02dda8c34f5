"""One mail in a thread of the mail role: effects first, then the journal, then the replies."""

import logging
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

from mailseal.mail import reply
from mailseal.mail.envelope import Envelope, Protocol, attempt_id
from mailseal.mail.message import Message
from mailseal.mail.reply import Reply
from mailseal.pipeline import Processed, process_mail
from mailseal.pipeline.smtp_reply import conclude
from mailseal.roles.records import records_of
from mailseal.store.journal import JournalError, JournalWriter, Record
from mailseal.store.transaction import StoreUnavailable, unit_of_work
from mailseal.wiring.gateway import Node
from mailseal.wiring.ledger import LedgerOfOneMail

logger = logging.getLogger(__name__)


class MailHandling:
    """Handles mails, each in a thread of its caller's; knows which are in work and since when."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._journal = JournalWriter(node.config.journal_dir)
        self._unwritten: list[Record] = []
        self._unwritten_lock = threading.RLock()
        self.started: dict[object, float] = {}

    def work(self, envelope: Envelope, message: Message, arrived: float) -> list[Reply]:
        """Process one mail in a thread: effects first, then the journal, then the replies.

        The deadline counts from `arrived` (monotonic): a client that waited in vain has long tried again elsewhere.
        """
        answers = len(envelope.recipients) if envelope.protocol is Protocol.LMTP else 1
        if not self._node.stamps.fresh(time.monotonic()) or not self._journal_works():
            return [reply.STORE_UNAVAILABLE] * answers
        mail = object()
        self.started[mail] = time.monotonic()
        try:
            with unit_of_work():
                return self._work(envelope, message, arrived)
        finally:
            del self.started[mail]

    def _work(self, envelope: Envelope, message: Message, arrived: float) -> list[Reply]:
        attempt = attempt_id(envelope, message)
        shared = self._node.gateway
        ledger = LedgerOfOneMail(shared.ledger)
        left = shared.deadline_seconds - (time.monotonic() - arrived)
        done = process_mail(envelope, message, replace(shared, ledger=ledger, deadline_seconds=left), attempt)
        replies = [one.reply for one in done.outcomes]
        if envelope.protocol is Protocol.ESMTP:
            replies = [self._conclude_smtp(envelope, message, attempt, done, ledger)]
        self._log(records_of(envelope, done, attempt, datetime.now(UTC)))
        return replies

    def _log(self, records: list[Record]) -> None:
        """Copies have left: a journal that cannot be written may not make the client send them again."""
        try:
            self._journal.append(records)
        except JournalError as error:
            logger.error("no further mail is taken: %s", error)
            with self._unwritten_lock:
                self._unwritten += records

    def _journal_works(self) -> bool:
        """Whether everything so far is written; what is not is tried again before another mail has any effect."""
        if not self._unwritten:
            return True
        with self._unwritten_lock:
            waiting, self._unwritten = self._unwritten, []
            self._log(waiting)
            return not self._unwritten

    def _conclude_smtp(
        self, envelope: Envelope, message: Message, attempt: bytes, done: Processed, ledger: LedgerOfOneMail
    ) -> Reply:
        try:
            end = conclude(envelope, message, done.outcomes, self._node.config.hostname, datetime.now(UTC))
            if not end.reply.deferred and (ledger.used or end.report):
                self._node.reports.conclude_smtp(attempt, envelope.sender, end.report)
        except StoreUnavailable:
            return reply.STORE_UNAVAILABLE
        except Exception as error:  # noqa: BLE001 -- copies may have left: whatever happens now, the log gets them
            logger.error("a mail could not be concluded: %s", type(error).__name__)
            return reply.DEFERRED
        return end.reply

    def longest_seconds(self, now: float) -> float:
        """For how long the oldest mail has been in work; 0 without any."""
        return max((now - began for began in list(self.started.values())), default=0.0)

    def rest(self) -> None:
        """What an idle worker does now and then."""
        self._journal.rotate_if_old()

    def close(self) -> None:
        """No mail comes any more."""
        self._journal.close()
