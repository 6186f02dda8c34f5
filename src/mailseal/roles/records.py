"""What the journal keeps of a handled mail: a row per recipient, and certificates seen in good signatures."""

from datetime import datetime

from mailseal.mail.envelope import Envelope, mail_id
from mailseal.pipeline import Processed
from mailseal.policy.model import Harvest, Outcome
from mailseal.store.journal import CandidateRecord, LogRecord, Record

INWARD, OUTWARD = "in", "out"


def direction_of(outcome: Outcome, done: Processed) -> str:
    """Whose the recipient is: "in" for ours. One that could not be looked up counts as "out"."""
    return INWARD if outcome.recipient.key in done.internal else OUTWARD


def records_of(envelope: Envelope, done: Processed, attempt: bytes, at: datetime) -> list[Record]:
    """The records, one per RCPT, and one per certificate."""
    records: list[Record] = []
    harvested: dict[Harvest, None] = {}
    for outcome in done.outcomes:
        key = outcome.recipient.key
        harvested.update(dict.fromkeys(outcome.harvested))
        records.append(
            LogRecord(
                message=mail_id(attempt),
                time=at,
                sender=envelope.sender,
                direction=direction_of(outcome, done),
                outcome=outcome,
                message_id=done.message_id,
                subject=done.subject if key in done.subject_for else "",
                queue_id=envelope.queue_id or "",
            )
        )
    records += [CandidateRecord(one) for one in harvested]
    return records
