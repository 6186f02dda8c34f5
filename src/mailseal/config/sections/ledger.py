"""[ledger]"""

from dataclasses import dataclass

from mailseal.config import values
from mailseal.config.key import key


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What is remembered of half-settled mail."""

    retention_days: int = key(
        values.whole(1, 60),
        "How long outcomes are kept, so that a mail that comes again is not done twice. "
        "Longer than the MTA's queue life.",
        example="6",
        default=6,
    )
