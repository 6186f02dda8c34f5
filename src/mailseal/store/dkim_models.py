"""The table of DKIM keys (RFC 6376 §3.6), see models."""

from django.db import models
from django.db.models import UniqueConstraint

from mailseal.store.row import Row, utc_now

NAME_CHARS = 255


class DkimKeyRow(Row):
    """A key to sign with: its public half belongs under `selector._domainkey.domain`, its private one is the row of
    `models.PrivateKeyRow` that `spki_sha256` names.

    `algorithm` as administrators see it; `record` is the text of its TXT record. `active`: mail is signed with it.
    `published`: when the record was last seen in the DNS.
    """

    domain = models.CharField(max_length=NAME_CHARS)
    selector = models.CharField(max_length=NAME_CHARS)
    algorithm = models.CharField(max_length=64)
    spki_sha256 = models.CharField(max_length=64, db_index=True)
    record = models.TextField()
    active = models.BooleanField(default=False)
    published = models.DateTimeField(null=True)
    created = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_dkim_key"
        constraints = (UniqueConstraint(fields=("domain", "selector"), name="store_dkim_key_once"),)
