"""[audit]"""

from dataclasses import dataclass

from mailseal.config import values
from mailseal.config.key import key


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The record of who changed what."""

    retention_days: int = key(
        values.whole(30, 36500),
        "How long events of the audit are kept. What is deleted for its age is noted and signed.",
        example="1095",
        default=1095,
    )
