"""Rows for the message log, made by hand: mail n was handled n minutes after START."""

from datetime import UTC, datetime, timedelta

from mailseal.mail.address import Address
from mailseal.mail.reply import Reply
from mailseal.policy.model import Fate, Outcome, Treatment
from mailseal.policy.reason import ReasonCode, because
from mailseal.store.journal_import import log_now
from mailseal.store.records import LogRecord
from mailseal.store.row import first_uuid7
from mailseal.store.transaction import run

START = datetime(2026, 3, 1, tzinfo=UTC)


def logged(number: int, sender: str, recipient: str, fate: Fate = Fate.RELAYED, *, method=None, **more) -> LogRecord:
    at = more.pop("start", START) + timedelta(minutes=number)
    reasons = (because(ReasonCode.PROTECTED_BY, method="smime") if method else because(ReasonCode.SENT_CLEAR),)
    treatment = Treatment.ENCRYPTED if method else Treatment.PASSED
    outcome = Outcome(Address.parse(recipient), fate, Reply(250, "2.0.0", "OK"), treatment, method, reasons)
    from_address = Address.parse(sender) if sender else None
    return LogRecord(f"m{number}", at, from_address, "out", outcome, id=first_uuid7(at), **more)


def keep(*records: LogRecord) -> None:
    run(lambda: log_now(records))
