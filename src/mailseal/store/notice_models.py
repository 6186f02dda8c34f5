"""The tables of notices: their templates where they differ from the shipped ones, and who is to be told of what."""

from django.db import models
from django.db.models import Index, UniqueConstraint

from mailseal.store.row import OWNER_CHARS, Row, utc_now


class NoticeTemplateRow(Row):
    """One part (subject, text, HTML) of the notice of one kind in one language, at one level, as of SettingOverride."""

    level = models.CharField(max_length=16)
    owner = models.CharField(max_length=OWNER_CHARS)
    kind = models.CharField(max_length=32)
    language = models.CharField(max_length=35)
    part = models.CharField(max_length=16)
    text = models.TextField()
    changed = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_notice_template"
        constraints = (
            UniqueConstraint(fields=("owner", "kind", "language", "part"), name="store_notice_template_once"),
        )


class NoticeRow(Row):
    """That a reader is to be told of one recipient's copy of a mail; `sealed` says what, until `ended`.

    `once`: a digest of attempt, recipient, kind and reader, for as long as the same attempt may come again, then NULL.
    `batch`: the job that tells it, alone or together with others, since `taken`. `error`: why it was not told.
    """

    once = models.CharField(max_length=64, null=True, blank=True, unique=True)
    attempt = models.CharField(max_length=64, db_index=True)
    kind = models.CharField(max_length=32)
    reader = models.CharField(max_length=OWNER_CHARS)
    reader_key = models.CharField(max_length=OWNER_CHARS)
    sealed = models.BinaryField(null=True)
    kek_id = models.CharField(max_length=64)
    created = models.DateTimeField(default=utc_now)
    batch = models.UUIDField(null=True, db_index=True)
    taken = models.DateTimeField(null=True)
    ended = models.DateTimeField(null=True, db_index=True)
    error = models.TextField(default="")

    class Meta:
        db_table = "store_notice"
        indexes = (
            Index(fields=("reader_key", "kind", "taken"), name="store_notice_reader"),
            Index(fields=("ended", "batch"), name="store_notice_waiting"),
        )
