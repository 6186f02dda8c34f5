"""The tables of held mails and of what was done with them, see models and `quarantine`."""

from django.db import models
from django.db.models import PROTECT, Index, UniqueConstraint

from mailseal.store.row import OWNER_CHARS, Row, utc_now
from mailseal.store.stored_message_models import StoredMessageRow


class QuarantineRow(Row):
    """A mail that is or was held for one recipient (`recipient`, `recipient_key`: as given, and as it compares).

    `once` is `attempt` for as long as the same attempt may come again, then NULL: an identical mail is a new one.
    `stored`: the mail, shared by the recipients of an attempt, until `ended`. `findings`: what is safe to log of them.
    `sealed` has the rest (`quarantine_details`), with the KEK that `kek_id` names. `releases` counts the releases that
    were asked for, `way` is how the last one is done, `error` why it was none. `asked_by`: whoever wants it released as
    it is, until `asked_until`. `noticed`: when it was said that it is about to expire.
    """

    attempt = models.CharField(max_length=64, db_index=True)
    once = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001 -- NULL is many times unique, "" is not
    sender = models.CharField(max_length=OWNER_CHARS)
    sender_key = models.CharField(max_length=OWNER_CHARS)
    recipient = models.CharField(max_length=OWNER_CHARS)
    recipient_key = models.CharField(max_length=OWNER_CHARS)
    message_id = models.CharField(max_length=OWNER_CHARS)
    why = models.CharField(max_length=32)
    state = models.CharField(max_length=16)
    reasons = models.JSONField()
    findings = models.JSONField()
    stored = models.ForeignKey(StoredMessageRow, PROTECT, null=True, related_name="held")
    size_bytes = models.BigIntegerField(default=0)
    kek_id = models.CharField(max_length=64)
    sealed = models.BinaryField(null=True)
    created = models.DateTimeField(default=utc_now)
    expires = models.DateTimeField()
    noticed = models.DateTimeField(null=True)
    ended = models.DateTimeField(null=True, db_index=True)
    releases = models.IntegerField(default=0)
    way = models.CharField(max_length=16, default="")
    error = models.TextField(default="")
    asked_by = models.CharField(max_length=128, default="")
    asked_until = models.DateTimeField(null=True)

    class Meta:
        db_table = "store_quarantine"
        constraints = (UniqueConstraint(fields=("once", "recipient_key"), name="store_quarantine_once"),)
        indexes = (
            Index(fields=("sender_key", "id"), name="store_quarantine_sender"),
            Index(fields=("recipient_key", "id"), name="store_quarantine_recipient"),
            Index(fields=("state", "id"), name="store_quarantine_state"),
            Index(fields=("state", "expires"), name="store_quarantine_expires"),
        )


class QuarantineEventRow(Row):
    """Something that was done with a held mail, and by whom. Only added; it outlives the mail and its row.

    `mail` is Mailseal's ID of the mail. `actor`: who compares as one person; `actor_name`: for people.
    """

    quarantine = models.UUIDField()
    mail = models.CharField(max_length=64)
    recipient = models.CharField(max_length=OWNER_CHARS)
    time = models.DateTimeField(default=utc_now)
    actor = models.CharField(max_length=128)
    actor_name = models.CharField(max_length=200)
    action = models.CharField(max_length=32)
    note = models.TextField(default="")

    class Meta:
        db_table = "store_quarantine_event"
        indexes = (Index(fields=("quarantine", "id"), name="store_quarantine_event_of"),)
