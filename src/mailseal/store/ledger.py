"""The idempotency ledger: what is settled of a mail that may come again (architecture, section 1).

LMTP keeps rows for the life of the MTA's queue. SMTP deletes them in the commit before its 250, since an identical
mail after that is a new mail.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from mailseal.policy.model import Outcome
from mailseal.store.models import LedgerRow
from mailseal.store.outcomes import outcome_from_json, outcome_to_json
from mailseal.store.pace import Turn
from mailseal.store.purge import delete_before
from mailseal.store.row import uuid7
from mailseal.store.transaction import insert_new, run, select, writes

_INSERT = "INTO store_ledger (id, attempt, recipient, outcome, created) VALUES (%s, %s, %s, %s, %s)"


class StoreLedger:
    """The port `Ledger`."""

    def settled(self, attempt: bytes) -> Mapping[str, Outcome]:
        """Outcome by `Address.key`."""
        rows = select("SELECT recipient, outcome FROM store_ledger WHERE attempt = %s", (attempt.hex(),))
        return {recipient: outcome_from_json(json.loads(outcome)) for recipient, outcome in rows}

    def settle(self, attempt: bytes, outcomes: Sequence[Outcome]) -> None:
        """Commit outcomes. The first one for a recipient stays: two workers with the same mail cannot both decide."""
        if not outcomes:
            return
        now = datetime.now(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
        # In the order of the key, so that two workers with the same mail wait for each other instead of dead-locking.
        rows = [
            (uuid7().hex, attempt.hex(), one.recipient.key, json.dumps(outcome_to_json(one)), now)
            for one in sorted(outcomes, key=lambda one: one.recipient.key)
        ]
        run(lambda: insert_new(_INSERT, rows))


@writes
def forget(attempt: bytes) -> None:
    """An identical mail from now on is a new mail."""
    LedgerRow.objects.filter(attempt=attempt.hex()).delete()


def purge(before: datetime, turn: Turn | None = None) -> int:
    """Delete rows made before a time, in short transactions; returns how many."""
    return delete_before(LedgerRow, "created", before, turn)
