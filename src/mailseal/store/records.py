"""What a journal line holds: one recipient's outcome, or a certificate seen in signed mail; each a line of JSON."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from mailseal.mail.address import Address
from mailseal.policy.model import Outcome
from mailseal.store.outcomes import reasons_to_json
from mailseal.store.row import uuid7

MAX_TEXT_CHARS = 400
MAX_CANDIDATE_OCTETS = 65_536

LOG = "log"
CANDIDATE = "candidate"


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One recipient's outcome. `message` is Mailseal's ID of the mail, `direction` "in" or "out"."""

    message: str
    time: datetime
    sender: Address | None
    direction: str
    outcome: Outcome
    message_id: str = ""
    subject: str = ""
    id: UUID = field(default_factory=uuid7)

    def line(self) -> bytes:
        """The record as a JSON line; values are as the columns take them."""
        outcome = self.outcome
        reply = outcome.reply
        sender, recipient = self.sender, outcome.recipient
        value = {
            "kind": LOG,
            "id": self.id.hex,
            "message": self.message,
            "message_id": self.message_id[:MAX_TEXT_CHARS],
            "time": self.time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
            "direction": self.direction,
            "sender": "" if sender is None else str(sender),
            "sender_key": "" if sender is None else sender.key,
            "recipient": str(recipient),
            "recipient_key": recipient.key,
            "fate": outcome.fate.value,
            "treatment": outcome.treatment.value,
            "method": "" if outcome.method is None else outcome.method.value,
            "reply": f"{reply.code} {reply.enhanced} {reply.text}",
            "reasons": reasons_to_json(outcome.reasons),
            "details": outcome.details,
            "subject": self.subject[:MAX_TEXT_CHARS],
        }
        return json.dumps(value).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class CandidateRecord:
    """A certificate seen in signed mail, to be imported as a candidate."""

    der: bytes

    def line(self) -> bytes:
        """The record as a JSON line; nothing for a certificate that is too large to be one."""
        if len(self.der) > MAX_CANDIDATE_OCTETS:
            return b""
        return json.dumps({"kind": CANDIDATE, "der": self.der.hex()}).encode() + b"\n"


Record = LogRecord | CandidateRecord
