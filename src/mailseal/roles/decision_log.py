"""One line per decision: what became of each recipient's copy of a handled mail (docs/logs.md)."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mailseal.config import LogAddresses
from mailseal.mail.address import Address
from mailseal.mail.envelope import Envelope, Protocol
from mailseal.mail.reply import Reply
from mailseal.pipeline import Processed
from mailseal.policy.model import Outcome
from mailseal.roles.records import direction_of
from mailseal.wiring.pseudonyms import Pseudonyms

NULL_SENDER = "<>"

logger = logging.getLogger(__name__)

Shown = Callable[[Address], str | None]
"""How a line shows an address; None: not at all."""


@dataclass(frozen=True, slots=True)
class Handled:
    """A mail whose replies are known. `seconds` from its final dot on; `replies` are those that the client gets."""

    mail: str
    envelope: Envelope
    done: Processed
    replies: Sequence[Reply]
    size_bytes: int
    seconds: float


def shown_as(addresses: LogAddresses, pseudonyms: Pseudonyms) -> Shown:
    """How addresses are to be shown."""
    match addresses:
        case LogAddresses.FULL:
            return str
        case LogAddresses.DOMAIN:
            return lambda address: f"@{address.domain}"
        case LogAddresses.HASHED:
            return pseudonyms.of
        case LogAddresses.NONE:
            return lambda _: None


def log_decisions(handled: Handled, show: Shown) -> None:
    """A line per RCPT, at info."""
    if not logger.isEnabledFor(logging.INFO):
        return
    envelope = handled.envelope
    sender = NULL_SENDER if envelope.sender is None else show(envelope.sender)
    answer = handled.replies[0].code if envelope.protocol is Protocol.ESMTP and handled.replies else None
    for outcome in handled.done.outcomes:
        fields = _fields(handled, outcome) | {
            "sender": sender,
            "recipient": show(outcome.recipient),
            "queue": envelope.queue_id,
            "answer": None if answer == outcome.reply.code else answer,
            "subject": handled.done.subject if outcome.recipient.key in handled.done.subject_for else None,
        }
        logger.info("decision", extra={name: value for name, value in fields.items() if value is not None})


def _fields(handled: Handled, outcome: Outcome) -> dict[str, object]:
    return {
        "mail": handled.mail,
        "direction": direction_of(outcome, handled.done),
        "fate": outcome.fate.value,
        "treatment": outcome.treatment.value,
        "method": None if outcome.method is None else outcome.method.value,
        "code": outcome.reply.code,
        "status": outcome.reply.enhanced or None,
        "reasons": [reason.code.value for reason in outcome.reasons],
        "milliseconds": round(handled.seconds * 1000),
        "bytes": handled.size_bytes,
        "client": handled.envelope.origin.value,
    }
