"""The tables of journal addresses and of the reports that could not be opened, see models and `journaling`."""

from django.db import models
from django.db.models import SET_NULL, UniqueConstraint

from mailseal.store.row import OWNER_CHARS, Row, utc_now
from mailseal.store.stored_message_models import StoredMessageRow


class JournalAddressRow(Row):
    """An address that journal reports are sent to, and the archive that gets them opened.

    `key` is the address as it compares, `text` as given; `on_failure` an `ports.OnUnopened`; `networks` are clients
    that are believed besides the authorised class; `outside`: the archive may be an address that is not internal.
    """

    key = models.CharField(max_length=OWNER_CHARS, unique=True)
    text = models.CharField(max_length=OWNER_CHARS)
    archive = models.CharField(max_length=OWNER_CHARS)
    on_failure = models.CharField(max_length=16)
    networks = models.JSONField(default=list)
    outside = models.BooleanField(default=False)
    created = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_journal_address"


class JournalFailureRow(Row):
    """A report that was not opened, once per attempt and journal address (`journal`, a key).

    `kept`: the report, if it is kept here; without one it went to the archive as it came. `ended`: when a kept one
    has gone on. `reasons`: why, of the last try; `error`: why the last try to send it on failed.
    """

    attempt = models.CharField(max_length=64)
    journal = models.CharField(max_length=OWNER_CHARS)
    sender = models.CharField(max_length=OWNER_CHARS)
    message_id = models.CharField(max_length=OWNER_CHARS)
    reasons = models.JSONField()
    kept = models.ForeignKey(StoredMessageRow, SET_NULL, null=True, related_name="failures")
    tries = models.IntegerField(default=0)
    error = models.TextField(default="")
    created = models.DateTimeField(default=utc_now, db_index=True)
    ended = models.DateTimeField(null=True)

    class Meta:
        db_table = "store_journal_failure"
        constraints = (UniqueConstraint(fields=("attempt", "journal"), name="store_journal_failure_once"),)
