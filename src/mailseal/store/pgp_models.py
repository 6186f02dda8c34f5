"""The tables of OpenPGP certificates (RFC 9580 §10.1), see models."""

from django.db import models
from django.db.models import CASCADE, Index, UniqueConstraint

from mailseal.store.row import OWNER_CHARS, Row, utc_now

PROVENANCE_CHARS = 400


class PgpCertificateRow(Row):
    """An OpenPGP certificate, without what strangers have certified in it, and what was decided about it.

    `trust`: an `openpgp.certificate.PgpTrust`. `provenance`: whence it came first, `pgp_rows.Provenance` and what more
    is known of it. `user_ids`: all of them, a line each, the primary one first. `expires`: from when on its keys are of
    no use (`pgp_rows.useful_until`). `disputed`: as of `component.PgpCertificate`, when it was stored. `conflict`: a
    candidate with another key for a known address. `certified`: when it was stored a domain key vouched for one of its
    user IDs, so its use looks whether one still does. `subkey`: the fingerprint of the one subkey that an administrator
    has chosen to encrypt to. `generated_for`: the address key that it was generated for in the flow, NULL once another
    takes its place; unique, so that two workers make one.
    """

    fingerprint = models.CharField(max_length=64, unique=True)
    octets = models.BinaryField()
    trust = models.CharField(max_length=12)
    provenance = models.CharField(max_length=PROVENANCE_CHARS)
    user_ids = models.TextField()
    algorithm = models.CharField(max_length=64)
    key_created = models.DateTimeField()
    expires = models.DateTimeField(null=True, db_index=True)
    revoked = models.BooleanField(default=False)
    disputed = models.BooleanField(default=False)
    conflict = models.BooleanField(default=False)
    certified = models.BooleanField(default=False)
    subkey = models.CharField(max_length=64, default="")
    generated_for = models.CharField(max_length=OWNER_CHARS, null=True, unique=True)  # noqa: DJ001 -- unique, or none
    created = models.DateTimeField(default=utc_now)
    updated = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_pgp_certificate"
        indexes = (
            Index(fields=("trust", "id"), name="store_pgp_trust"),
            Index(fields=("conflict", "trust"), name="store_pgp_conflict"),
        )


class PgpComponentRow(Row):
    """A key of an OpenPGP certificate: the primary key, or a subkey whose binding was verified.

    `spki_sha256`: of its public key, "" for an algorithm that is not used here. `bound`: its private key was imported
    or generated with it; as of `models.CertificateRow`.
    """

    certificate = models.ForeignKey(PgpCertificateRow, CASCADE, related_name="components")
    fingerprint = models.CharField(max_length=64)
    key_id = models.CharField(max_length=16, db_index=True)
    spki_sha256 = models.CharField(max_length=64, db_index=True)
    bound = models.BooleanField(default=False)

    class Meta:
        db_table = "store_pgp_component"
        constraints = (UniqueConstraint(fields=("fingerprint", "certificate"), name="store_pgp_component_once"),)


class PgpUseRow(Row):
    """For whom an OpenPGP certificate stands: `owner` as of `models.CertificateUse`, `kind` a `pgp_rows.PgpUse`."""

    certificate = models.ForeignKey(PgpCertificateRow, CASCADE, related_name="uses")
    owner = models.CharField(max_length=OWNER_CHARS)
    kind = models.CharField(max_length=16)

    class Meta:
        db_table = "store_pgp_use"
        constraints = (UniqueConstraint(fields=("owner", "kind", "certificate"), name="store_pgp_use_once"),)


class PgpLookupRow(Row):
    """The last search of the network for the keys of an address: asked for, and ended with so many certificates.

    `finished` is NULL while it is under way; `error`: why nothing could be said in the end.
    """

    owner = models.CharField(max_length=OWNER_CHARS, unique=True)
    asked = models.DateTimeField()
    finished = models.DateTimeField(null=True, db_index=True)
    found = models.IntegerField(default=0)
    error = models.TextField(default="")

    class Meta:
        db_table = "store_pgp_lookup"
