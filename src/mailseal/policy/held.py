"""What is held: one recipient's copy of a mail, with all that it takes to process it again (docs/quarantine.md)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mailseal.mail.address import Address
from mailseal.mail.envelope import Envelope, Recipient
from mailseal.policy.model import Finding
from mailseal.policy.reason import Reason


class WhyHeld(StrEnum):
    """What somebody has to look at a held mail for."""

    DLP = "dlp"
    MUST_ENCRYPT_FAILED = "must-encrypt-failed"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class Held:
    """One recipient's copy that is to be held, with all that it takes to process it again as it came.

    `envelope`: as the mail came, a NEIGHBOUR's origin too, but with this recipient only. `subject`: "" unless it may be
    shown. `reasons` are safe to log, `findings` are not: they have places and excerpts.
    """

    attempt: bytes
    envelope: Envelope
    message_id: str
    subject: str
    why: WhyHeld
    reasons: tuple[Reason, ...]
    findings: tuple[Finding, ...]
    hold_days: int
    at: datetime

    @property
    def sender(self) -> Address | None:
        """None for the null sender."""
        return self.envelope.sender

    @property
    def recipient(self) -> Recipient:
        """The one recipient."""
        (recipient,) = self.envelope.recipients
        return recipient
