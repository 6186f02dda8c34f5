"""The tables of mails that wait here, see models and `stored_messages`."""

from django.db import models
from django.db.models import CASCADE, UniqueConstraint

from mailseal.store.row import Row, utc_now


class StoredMessageRow(Row):
    """A whole mail, encrypted with a key of its own, which is sealed with the KEK that `kek_id` names.

    `size_bytes` and `chunks` are known, and the mail is one, once `complete`.
    """

    kek_id = models.CharField(max_length=64)
    sealed = models.BinaryField()
    size_bytes = models.BigIntegerField(default=0)
    chunks = models.IntegerField(default=0)
    complete = models.BooleanField(default=False)
    created = models.DateTimeField(default=utc_now, db_index=True)

    class Meta:
        db_table = "store_message"


class MessageChunkRow(Row):
    """A piece of a mail, `number` from 0 on, encrypted with the key of the mail."""

    message = models.ForeignKey(StoredMessageRow, CASCADE, related_name="pieces", db_index=False)
    number = models.IntegerField()
    octets = models.BinaryField()

    class Meta:
        db_table = "store_message_chunk"
        constraints = (UniqueConstraint(fields=("message", "number"), name="store_message_chunk_once"),)
