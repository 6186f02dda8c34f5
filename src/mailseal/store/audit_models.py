"""The tables of the audit: what was changed, a hash chain for each node, and what signs their heads, see models."""

from django.db import models
from django.db.models import Index, UniqueConstraint

from mailseal.store.row import OWNER_CHARS, Row, utc_now

NODE_CHARS = 64
KEY_CHARS = 200
NAME_CHARS = 200
WORD_CHARS = 64
DIGEST_CHARS = 64


class AuditEventRow(Row):
    """One change. `number` counts the events of a node from 1; `previous` is the `digest` of the one before.

    `before`, `after`: JSON text as it was hashed, "" for none. Rows are added, and deleted oldest first; never changed.
    """

    node = models.CharField(max_length=NODE_CHARS)
    number = models.BigIntegerField()
    time = models.DateTimeField()
    actor = models.CharField(max_length=KEY_CHARS)
    actor_name = models.CharField(max_length=NAME_CHARS)
    way = models.CharField(max_length=16)
    place = models.CharField(max_length=WORD_CHARS, default="")
    area = models.CharField(max_length=WORD_CHARS)
    action = models.CharField(max_length=WORD_CHARS)
    subject = models.CharField(max_length=OWNER_CHARS, default="")
    before = models.TextField(default="")
    after = models.TextField(default="")
    previous = models.CharField(max_length=DIGEST_CHARS)
    digest = models.CharField(max_length=DIGEST_CHARS)

    class Meta:
        db_table = "store_audit"
        constraints = (UniqueConstraint(fields=("node", "number"), name="store_audit_once"),)
        indexes = (
            Index(fields=("actor", "id"), name="store_audit_actor"),
            Index(fields=("area", "id"), name="store_audit_area"),
            Index(fields=("subject", "id"), name="store_audit_subject"),
        )


class AuditHeadRow(Row):
    """Where a node's chain ends. Whoever adds to it locks this row, so that it stays one chain."""

    node = models.CharField(max_length=NODE_CHARS, unique=True)
    number = models.BigIntegerField(default=0)
    digest = models.CharField(max_length=DIGEST_CHARS)

    class Meta:
        db_table = "store_audit_head"


class AuditSignatureRow(Row):
    """A chain as far as `number`, signed (`kind` "head"); or that it begins behind `number`, older ones being deleted
    for their age (`kind` "start"). `key`: the public key, `signature`: of Ed25519, both in hexadecimal digits.
    """

    node = models.CharField(max_length=NODE_CHARS)
    number = models.BigIntegerField()
    kind = models.CharField(max_length=8)
    digest = models.CharField(max_length=DIGEST_CHARS)
    time = models.DateTimeField()
    key = models.CharField(max_length=64)
    signature = models.CharField(max_length=128)

    class Meta:
        db_table = "store_audit_signature"
        constraints = (UniqueConstraint(fields=("node", "number", "kind"), name="store_audit_signature_once"),)


class AuditKeyRow(Row):
    """A key that signs: its private part is sealed with the KEK that `kek_id` names. The newest signs."""

    public = models.CharField(max_length=64, unique=True)
    kek_id = models.CharField(max_length=64)
    sealed = models.BinaryField()
    created = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_audit_key"
