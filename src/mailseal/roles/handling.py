"""One mail in a thread of the mail role: effects first, then the journal, then what is said of it, then the replies."""

import logging
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

from mailseal.config import Instance
from mailseal.mail import reply
from mailseal.mail.envelope import Envelope, Protocol, attempt_id, mail_id
from mailseal.mail.message import Message
from mailseal.mail.queue_id import is_queue_id
from mailseal.mail.reply import Reply
from mailseal.pipeline import Processed, process_mail
from mailseal.pipeline.smtp_reply import conclude
from mailseal.policy.model import Fate, Outcome
from mailseal.policy.reason import ReasonCode, because
from mailseal.roles import metric_table
from mailseal.roles.decision_log import Handled, log_decisions, shown_as
from mailseal.roles.log_lines import CURRENT_MAIL
from mailseal.roles.mail_metrics import count_mail
from mailseal.roles.meter import Meter
from mailseal.roles.metric_table import By
from mailseal.roles.records import records_of
from mailseal.store import lookup_waits
from mailseal.store.journal import JournalError, JournalWriter, Record
from mailseal.store.transaction import StoreUnavailable, unit_of_work
from mailseal.wiring.gateway import Node
from mailseal.wiring.ledger import LedgerOfOneMail
from mailseal.wiring.notices import NoticesOfOneMail
from mailseal.wiring.pseudonyms import Pseudonyms

logger = logging.getLogger(__name__)


class MailHandling:
    """Handles mails, each in a thread of its caller's; knows which are in work and since when."""

    def __init__(self, node: Node, meter: Meter | None = None) -> None:
        self._node = node
        self._meter = meter or Meter(By.MAIL)
        self._show = shown_as(node.config.log.addresses, Pseudonyms(node.kek))
        self._journal = JournalWriter(node.config.journal_dir)
        self._unwritten: list[Record] = []
        self._unwritten_lock = threading.RLock()
        self.started: dict[object, float] = {}

    def work(self, envelope: Envelope, message: Message, arrived: float) -> list[Reply]:
        """Process one mail in a thread: effects first, then the journal, then the replies.

        The deadline counts from `arrived` (monotonic): a client that waited in vain has long tried again elsewhere.
        """
        attempt = attempt_id(envelope, message)
        said_of = CURRENT_MAIL.set(mail_id(attempt))
        mail = object()
        self.started[mail] = time.monotonic()
        try:
            with unit_of_work():
                if self._node.stamps.fresh(time.monotonic()) and self._journal_works():
                    done, replies = self._work(envelope, message, attempt, arrived)
                else:
                    done, replies = _not_now(envelope)
                # Inside: to name addresses the database may be asked, for which nothing of a mail waits long.
                self._tell(Handled(mail_id(attempt), envelope, done, replies, len(message), time.monotonic() - arrived))
            return replies
        finally:
            del self.started[mail]
            CURRENT_MAIL.reset(said_of)

    def _work(
        self, envelope: Envelope, message: Message, attempt: bytes, arrived: float
    ) -> tuple[Processed, list[Reply]]:
        shared = self._node.gateway
        ledger = LedgerOfOneMail(shared.ledger)
        notices = None if shared.notices is None else NoticesOfOneMail(shared.notices)
        left = shared.deadline_seconds - (time.monotonic() - arrived)
        gateway = replace(shared, ledger=ledger, notices=notices, deadline_seconds=left)
        done = process_mail(envelope, message, gateway, attempt)
        replies = [one.reply for one in done.outcomes]
        if envelope.protocol is Protocol.ESMTP:
            kept = ledger.used or (notices is not None and notices.used)
            replies = [self._conclude_smtp(envelope, message, attempt, done, kept=kept)]
        self._log(records_of(envelope, done, attempt, datetime.now(UTC)))
        self._note_waiting(envelope, done)
        return done, replies

    def _note_waiting(self, envelope: Envelope, done: Processed) -> None:
        """Which mail of the queue waits for a search of keys, so that it is tried as soon as that ends."""
        waiting = {one.recipient.key for one in done.outcomes if _awaits_keys(one)}
        queue_id = envelope.queue_id or ""
        if not waiting or not is_queue_id(queue_id) or self._node.config.postfix.instance is Instance.OFF:
            return
        try:
            lookup_waits.wait(waiting, queue_id)
        except Exception as error:  # noqa: BLE001 -- the client's own time to try again comes anyway
            logger.info("a mail that waits for keys could not be noted: %s", type(error).__name__)

    def _tell(self, handled: Handled) -> None:
        """Lines and numbers. The mail is settled: whatever fails here may not change its replies."""
        try:
            log_decisions(handled, self._show)
            count_mail(self._meter, handled)
        except Exception as error:  # noqa: BLE001 -- as above
            logger.error("a decision could not be logged: %s", type(error).__name__)

    def _log(self, records: list[Record]) -> None:
        """Copies have left: a journal that cannot be written may not make the client send them again."""
        try:
            self._journal.append(records)
        except JournalError as error:
            logger.error("no further mail is taken: %s", error)
            self._meter.count(metric_table.JOURNAL_ERRORS)
            with self._unwritten_lock:
                self._unwritten += records

    def _journal_works(self) -> bool:
        """Whether everything so far is written; what is not is tried again before another mail has any effect."""
        if not self._journal.is_writable():
            self._meter.count(metric_table.JOURNAL_ERRORS)
            return False
        self._write_what_waits()
        return not self._unwritten

    def _write_what_waits(self) -> None:
        if not self._unwritten:
            return
        with self._unwritten_lock:
            waiting, self._unwritten = self._unwritten, []
            self._log(waiting)

    def _conclude_smtp(
        self, envelope: Envelope, message: Message, attempt: bytes, done: Processed, *, kept: bool
    ) -> Reply:
        """`kept`: something of the attempt is stored, which an identical mail that comes later must not find."""
        try:
            end = conclude(envelope, message, done.outcomes, self._node.config.hostname, datetime.now(UTC))
            held = any(one.fate is Fate.HELD for one in done.outcomes)
            if not end.reply.deferred and (kept or end.report or held):
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
        """What an idle worker does now and then: the outcomes of the last mails must not wait for another one."""
        if self._unwritten and self._journal.is_writable():
            self._write_what_waits()
        self._journal.rotate_if_old()

    def close(self) -> None:
        """No mail comes any more."""
        self._write_what_waits()
        self._journal.close()


def _awaits_keys(outcome: Outcome) -> bool:
    return outcome.fate is Fate.DEFERRED and any(one.code is ReasonCode.LOOKUP_RUNNING for one in outcome.reasons)


def _not_now(envelope: Envelope) -> tuple[Processed, list[Reply]]:
    """Every recipient deferred, without a look at the mail."""
    why = because(ReasonCode.TRANSIENT_FAILURE, detail="the store or the journal is not available")
    outcomes = [
        Outcome(one.address, Fate.DEFERRED, reply.STORE_UNAVAILABLE, reasons=(why,)) for one in envelope.recipients
    ]
    answers = len(outcomes) if envelope.protocol is Protocol.LMTP else 1
    return Processed(outcomes), [reply.STORE_UNAVAILABLE] * answers
