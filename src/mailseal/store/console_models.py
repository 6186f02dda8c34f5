"""The tables of what the console asks the worker (`console_keys`, `console_jobs`), see models."""

from django.db import models
from django.db.models import CASCADE, UniqueConstraint

from mailseal.store.row import Row, utc_now


class ConsoleKeyRow(Row):
    """A key that values are sealed for: "intake" (the worker opens) or "web" (the web role opens). One per cluster.

    `public` in clear; `sealed`: of "intake" the private part, sealed with the KEK; that of "web" is a file.
    """

    name = models.CharField(max_length=16, unique=True)
    public = models.BinaryField()
    kek_id = models.CharField(max_length=64, default="")
    sealed = models.BinaryField(null=True)
    created = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_console_key"


class ConsoleParcelRow(Row):
    """What a job of the console was asked ("ask") or said ("result"): its own key, sealed for who opens it.

    `asker`: the key of the account. It is one once `complete`; gone after `expires`.
    """

    job = models.UUIDField()
    way = models.CharField(max_length=8)
    asker = models.CharField(max_length=100)
    wrapped = models.BinaryField()
    chunks = models.IntegerField(default=0)
    complete = models.BooleanField(default=False)
    expires = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "store_console_parcel"
        constraints = (UniqueConstraint(fields=("job", "way"), name="store_console_parcel_once"),)


class ConsoleChunkRow(Row):
    """A piece of at most 1 MiB, encrypted with the key of the parcel."""

    parcel = models.ForeignKey(ConsoleParcelRow, CASCADE, related_name="pieces", db_index=False)
    number = models.IntegerField()
    octets = models.BinaryField()

    class Meta:
        db_table = "store_console_chunk"
        constraints = (UniqueConstraint(fields=("parcel", "number"), name="store_console_chunk_once"),)
