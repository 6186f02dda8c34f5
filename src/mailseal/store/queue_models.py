"""The tables that lead from a mail in Mailseal to the same mail in the queue of an MTA, see models."""

from django.db import models
from django.db.models import Index, UniqueConstraint

from mailseal.store.row import OWNER_CHARS, Row, utc_now

QUEUE_ID_CHARS = 64
NODE_CHARS = 64


class LogQueueRow(Row):
    """The queue IDs of a row of the message log, under the key of that row; "" is none.

    `queue_id`: of the MTA that handed the mail in; `sent_as`: of the one that took it. A table of its own: the log may
    have millions of rows, and an index over them is not made while mail waits.
    """

    queue_id = models.CharField(max_length=QUEUE_ID_CHARS, default="")
    sent_as = models.CharField(max_length=QUEUE_ID_CHARS, default="")

    class Meta:
        db_table = "store_log_queue"
        indexes = (
            Index(fields=("queue_id", "id"), name="store_log_queue_id"),
            Index(fields=("sent_as", "id"), name="store_log_queue_sent_as"),
        )


class LookupWaitRow(Row):
    """A mail in the queue of a node that waits for the search of an address (`pgp_models.PgpLookupRow.owner`)."""

    owner = models.CharField(max_length=OWNER_CHARS)
    node = models.CharField(max_length=NODE_CHARS)
    queue_id = models.CharField(max_length=QUEUE_ID_CHARS)
    created = models.DateTimeField(default=utc_now, db_index=True)

    class Meta:
        db_table = "store_pgp_lookup_wait"
        constraints = (UniqueConstraint(fields=("owner", "node", "queue_id"), name="store_pgp_lookup_wait_once"),)
