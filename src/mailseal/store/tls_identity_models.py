"""The tables of our own servers' certificates and of ACME (RFC 8555), see models."""

from django.db import models
from django.db.models import UniqueConstraint

from mailseal.store.row import Row, utc_now


class TlsIdentityRow(Row):
    """What the servers of a node show, or shall show once it is issued (`state`: "shown" or "asked").

    The key is sealed with the KEK and bound to the row. `chain`: PEM; of one that is asked for, its request.
    `directory`: where ACME asks. `due`: when it is renewed, none if an administrator does that.
    """

    node = models.CharField(max_length=64)
    purpose = models.CharField(max_length=16)
    state = models.CharField(max_length=8)
    source = models.CharField(max_length=16)
    names = models.JSONField(default=list)
    chain = models.TextField()
    issuer = models.TextField(default="")
    fingerprint = models.CharField(max_length=64, default="")
    kek_id = models.CharField(max_length=64)
    sealed = models.BinaryField()
    directory = models.CharField(max_length=500, default="")
    not_before = models.DateTimeField(null=True)
    not_after = models.DateTimeField(null=True)
    due = models.DateTimeField(null=True)
    problem = models.CharField(max_length=500, default="")
    created = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_tls_identity"
        constraints = (UniqueConstraint(fields=("node", "purpose", "state"), name="store_tls_identity_once"),)


class AcmeAccountRow(Row):
    """Our account at a CA: its key, sealed; `uri` is empty until the CA has given one."""

    directory = models.CharField(max_length=500, unique=True)
    uri = models.CharField(max_length=500, default="")
    contact = models.CharField(max_length=254, default="")
    kek_id = models.CharField(max_length=64)
    sealed = models.BinaryField()
    created = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_acme_account"


class AcmeAnswerRow(Row):
    """What a CA shall find at /.well-known/acme-challenge/<token> (RFC 8555 §8.3), on whichever node it asks."""

    token = models.CharField(max_length=128, unique=True)
    answer = models.CharField(max_length=255)
    created = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_acme_answer"
