"""What a journal line holds: one recipient's outcome, or a certificate seen in a mail.

A line is a JSON list, its kind first. The values of LOG are the columns of LOG_COLUMNS and then of QUEUE_COLUMNS, all
text and as the database takes them: the mail worker is one of many, the importing worker is one. Lines of earlier
releases end before QUEUE_COLUMNS.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

from mailseal.mail.address import Address
from mailseal.mail.queue_id import MAX_CHARS, queued_as
from mailseal.policy.model import Harvest, MethodName, Outcome
from mailseal.store.outcomes import reasons_to_json
from mailseal.store.row import storable, uuid7

MAX_TEXT_CHARS = 400
MAX_CANDIDATE_OCTETS = 65_536

LOG = "log"
CANDIDATE = "candidate"
"""An S/MIME certificate: DER, capabilities, when it signed."""
KEY_CANDIDATE = "key-candidate"
"""What another method has found: its name, octets, whence they came."""

LOG_COLUMNS = (
    "id", "message", "message_id", "time", "direction", "sender", "sender_key", "recipient", "recipient_key", "fate",
    "treatment", "method", "reply", "reasons", "details", "subject",
)  # fmt: skip
QUEUE_COLUMNS = ("queue_id", "sent_as")


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One recipient's outcome. `message` is Mailseal's ID of the mail, `direction` "in" or "out".

    `queue_id`: that of the MTA which handed it in. What the next one has queued it as stands in the reply.
    """

    message: str
    time: datetime
    sender: Address | None
    direction: str
    outcome: Outcome
    message_id: str = ""
    subject: str = ""
    queue_id: str = ""
    id: UUID = field(default_factory=uuid7)

    def line(self) -> bytes:
        """The record as a JSON line."""
        outcome = self.outcome
        sender, recipient, reply = self.sender, outcome.recipient, outcome.reply
        values = (
            LOG,
            self.id.hex,
            self.message,
            storable(self.message_id[:MAX_TEXT_CHARS]),
            self.time.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds"),
            self.direction,
            "" if sender is None else str(sender),
            "" if sender is None else sender.key,
            str(recipient),
            recipient.key,
            outcome.fate,
            outcome.treatment,
            outcome.method or "",
            f"{reply.code} {reply.enhanced} {reply.text}",
            json.dumps(reasons_to_json(outcome.reasons)),
            json.dumps(outcome.details),
            storable(self.subject[:MAX_TEXT_CHARS]),
            storable(self.queue_id[:MAX_CHARS]),
            queued_as(reply.text) if reply.accepted else "",
        )
        return json.dumps(values).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class CandidateRecord:
    """A certificate seen in a mail, to be imported as a candidate."""

    harvest: Harvest

    @property
    def digest(self) -> bytes:
        """Equal for what need not be written again: a mail signed in the same hour says the same once more."""
        found = self.harvest
        hour = "" if found.signed_at is None else found.signed_at.astimezone(UTC).strftime("%Y-%m-%d %H")
        return sha256(f"{found.method}\n{found.capabilities}\n{hour}\n".encode() + found.der).digest()

    def line(self) -> bytes:
        """The record as a JSON line; nothing for a certificate that is too large to be one."""
        found = self.harvest
        if len(found.der) > MAX_CANDIDATE_OCTETS:
            return b""
        if found.method is not MethodName.SMIME:
            values: tuple[object, ...] = (found.method.value, found.der.hex(), storable(found.source[:MAX_TEXT_CHARS]))
            return json.dumps((KEY_CANDIDATE, *values)).encode() + b"\n"
        at = None if found.signed_at is None else found.signed_at.isoformat()
        return json.dumps((CANDIDATE, found.der.hex(), found.capabilities, at)).encode() + b"\n"


Record = LogRecord | CandidateRecord
