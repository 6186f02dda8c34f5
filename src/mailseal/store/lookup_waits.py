"""Mails in an MTA's queue that wait for the search of an address: tried as soon as it ends (architecture, rule 8).

A mail worker notes the mail when it has deferred it, before it says so; who ends the search leaves a job for the node
whose queue it is in. That is for speed alone: what is not noted, or not tried, is tried when the MTA's own time comes.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from mailseal.store import jobs
from mailseal.store.configure import this_node
from mailseal.store.pace import Turn
from mailseal.store.pgp_models import PgpLookupRow
from mailseal.store.purge import delete_before
from mailseal.store.queue_models import LookupWaitRow
from mailseal.store.row import utc_now
from mailseal.store.transaction import writes

TRY = "try-queue"
"""The kind of job."""
NODE, IDS = "node", "ids"
"""In its payload."""
MAX_WAITING = 1000
"""Mails of one node for one address; more wait for the MTA."""
TRY_AFTER_SECONDS = 1.0, 10.0
"""The MTA has to hear first that it is to wait; under load that may take longer."""


@writes
def wait(owners: Collection[str], queue_id: str) -> None:
    """A mail in the queue of this node waits for the searches of these addresses (their keys)."""
    node = this_node()
    for owner in owners:
        if LookupWaitRow.objects.filter(owner=owner, node=node).count() < MAX_WAITING:
            LookupWaitRow.objects.get_or_create(owner=owner, node=node, queue_id=queue_id)
    # A search may have ended since it was asked about.
    ended = PgpLookupRow.objects.filter(owner__in=owners, finished__isnull=False)
    try_now(ended.values_list("owner", flat=True))


def try_now(owners: Iterable[str]) -> None:
    """The searches of these addresses have ended; in the caller's transaction."""
    for owner in list(owners):
        rows = list(LookupWaitRow.objects.filter(owner=owner)[: 10 * MAX_WAITING])
        for node in sorted({row.node for row in rows}):
            ids = sorted(row.queue_id for row in rows if row.node == node)
            for pause in TRY_AFTER_SECONDS:
                jobs.enqueue(TRY, {NODE: node, IDS: ids}, node=node, run_at=utc_now() + timedelta(seconds=pause))
        LookupWaitRow.objects.filter(pk__in=[row.pk for row in rows]).delete()


def purge(before: datetime, turn: Turn | None = None) -> int:
    """Forget mails that were noted before a time; returns how many."""
    return delete_before(LookupWaitRow, "created", before, turn)
