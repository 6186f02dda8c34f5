"""The ledger as one mail sees it, remembering whether there is anything of the mail in it."""

from collections.abc import Mapping, Sequence

from mailseal.policy.model import Outcome
from mailseal.ports import Ledger


class LedgerOfOneMail:
    """Implements `ports.Ledger` over another; `used` is true once a row of the mail is or may be stored."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.used = False

    def settled(self, attempt: bytes) -> Mapping[str, Outcome]:
        """As of Ledger."""
        found = self._ledger.settled(attempt)
        self.used = self.used or bool(found)
        return found

    def settle(self, attempt: bytes, outcomes: Sequence[Outcome]) -> None:
        """As of Ledger."""
        self.used = True
        self._ledger.settle(attempt, outcomes)
