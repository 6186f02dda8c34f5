"""The tables. Rows hold facts and no behaviour; the functions of the other modules read and write them.

Table names are given, so that Django needs no connection to define a model. Text columns are never NULL: "" is none.
"""

from django.db import models
from django.db.models import CASCADE, Index, UniqueConstraint

from mailseal.store import (  # noqa: F401 -- Django looks for all tables here
    audit_models,
    console_models,
    dkim_models,
    dlp_models,
    finding_models,
    journaling_models,
    login_models,
    notice_models,
    pgp_models,
    quarantine_models,
    queue_models,
    stored_message_models,
    tls_identity_models,
    tls_policy_models,
    tls_report_models,
    traffic_models,
)
from mailseal.store.domain_of import DomainOf
from mailseal.store.row import OWNER_CHARS, Row, utc_now


class Domain(Row):
    """A domain or wildcard (`*.example.com`, which does not match `example.com`) and whether it is internal."""

    name = models.CharField(max_length=255, unique=True)
    internal = models.BooleanField(default=True)
    created = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_domain"


class KnownAddress(Row):
    """An address that something was set up for. `text` keeps the local part as given."""

    key = models.CharField(max_length=OWNER_CHARS, unique=True)
    text = models.CharField(max_length=OWNER_CHARS)
    created = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_address"


class SettingOverride(Row):
    """One setting at one level. `owner`: "" global, `*.x` wildcard, `x` domain, an address key."""

    level = models.CharField(max_length=16)
    owner = models.CharField(max_length=OWNER_CHARS)
    name = models.CharField(max_length=64)
    value = models.TextField()
    locked = models.BooleanField(default=False)

    class Meta:
        db_table = "store_override"
        constraints = (UniqueConstraint(fields=("owner", "name"), name="store_override_once"),)


class CertificateRow(Row):
    """A certificate and the verdict on it. `bound`: its private key was imported with it (or linked by hand).

    A certificate that only repeats the public key of a stored private key is not bound: whoever saw the public key
    can make one, with any address in it, and have other people's mail opened. `due`: when to judge again; `marks`: how
    often a change has marked it. `capabilities`: what the owner's program can read (`Capabilities.text`, "" when he has
    not said), of the mail signed at `capabilities_at`. `conflict`: a candidate with another key for a known address.
    """

    fingerprint = models.CharField(max_length=64, unique=True)
    purpose = models.CharField(max_length=16)
    candidate = models.BooleanField(default=False)
    bound = models.BooleanField(default=False)
    der = models.BinaryField()
    spki_sha256 = models.CharField(max_length=64, db_index=True)
    subject = models.TextField()
    issuer = models.TextField()
    subject_sha256 = models.CharField(max_length=64, db_index=True)
    issuer_sha256 = models.CharField(max_length=64, db_index=True)
    serial = models.CharField(max_length=64)
    key_algorithm = models.CharField(max_length=64)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField(db_index=True)
    created = models.DateTimeField(default=utc_now)
    trusted = models.BooleanField(default=False)
    reason = models.CharField(max_length=64, default="")
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField()
    revocation = models.CharField(max_length=8)
    revocation_until = models.DateTimeField(null=True)
    judged_at = models.DateTimeField(null=True)
    due = models.DateTimeField(null=True, db_index=True)
    marks = models.BigIntegerField(default=0)
    capabilities = models.CharField(max_length=400, default="")
    capabilities_at = models.DateTimeField(null=True)
    conflict = models.BooleanField(default=False)

    class Meta:
        db_table = "store_certificate"
        indexes = (
            Index(fields=("purpose", "id"), name="store_certificate_purpose"),
            Index(fields=("conflict", "candidate", "trusted"), name="store_certificate_harvested"),
        )


class CertificateUse(Row):
    """For whom a certificate stands: `owner` is an address key, a domain or a wildcard; `kind` a `certificates.Use`."""

    certificate = models.ForeignKey(CertificateRow, CASCADE, related_name="uses")
    owner = models.CharField(max_length=OWNER_CHARS)
    kind = models.CharField(max_length=16)

    class Meta:
        db_table = "store_certificate_use"
        constraints = (UniqueConstraint(fields=("owner", "kind", "certificate"), name="store_certificate_use_once"),)


class CtlRow(Row):
    """An entry of the certificate trust list, by thumbprint; the certificate need not be stored."""

    fingerprint = models.CharField(max_length=64, unique=True)
    entry = models.CharField(max_length=16)
    comment = models.TextField(default="")
    created = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_ctl"


class PrivateKeyRow(Row):
    """A private key, sealed with the KEK that `kek_id` names; table and SPKI are authenticated with it."""

    spki_sha256 = models.CharField(max_length=64, unique=True)
    kek_id = models.CharField(max_length=64)
    sealed = models.BinaryField()
    algorithm = models.CharField(max_length=64)
    created = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_private_key"


class CrlRow(Row):
    """A revocation list whose signature was checked at import with the key `signer_spki` of the CA `issuer`.

    `active` becomes true when all its entries are in; then the older lists of the same key go.
    """

    fingerprint = models.CharField(max_length=64, unique=True)
    issuer = models.TextField()
    issuer_sha256 = models.CharField(max_length=64)
    signer_spki = models.CharField(max_length=64)
    number = models.CharField(max_length=64, default="")
    this_update = models.DateTimeField()
    next_update = models.DateTimeField(null=True)
    active = models.BooleanField(default=False)
    created = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_crl"
        indexes = (Index(fields=("issuer_sha256", "signer_spki"), name="store_crl_issuer"),)


class CrlEntryRow(Row):
    """One revoked serial number."""

    crl = models.ForeignKey(CrlRow, CASCADE, related_name="entries", db_index=False)
    serial = models.CharField(max_length=64)
    reason = models.CharField(max_length=32, default="")
    revoked_at = models.DateTimeField()

    class Meta:
        db_table = "store_crl_entry"
        constraints = (UniqueConstraint(fields=("crl", "serial"), name="store_crl_entry_once"),)


class LogRow(Row):
    """What became of one recipient's copy. The key was made by the mail worker that wrote the journal line."""

    message = models.CharField(max_length=64, db_index=True)
    message_id = models.CharField(max_length=OWNER_CHARS, db_index=True)
    time = models.DateTimeField()
    direction = models.CharField(max_length=8)
    sender = models.CharField(max_length=OWNER_CHARS)
    sender_key = models.CharField(max_length=OWNER_CHARS)
    recipient = models.CharField(max_length=OWNER_CHARS)
    recipient_key = models.CharField(max_length=OWNER_CHARS)
    fate = models.CharField(max_length=16)
    treatment = models.CharField(max_length=16)
    method = models.CharField(max_length=16)
    reply = models.TextField()
    reasons = models.JSONField()
    details = models.JSONField()
    subject = models.TextField()
    # Of the database's making, and not stored but in their indexes: rows of before they were there have them too.
    sender_domain = models.GeneratedField(
        expression=DomainOf("sender_key"), output_field=models.CharField(max_length=255), db_persist=False, null=True
    )
    recipient_domain = models.GeneratedField(
        expression=DomainOf("recipient_key"), output_field=models.CharField(max_length=255), db_persist=False, null=True
    )

    class Meta:
        db_table = "store_log"
        indexes = (
            Index(fields=("sender_domain", "id"), name="store_log_sender_domain"),
            Index(fields=("recipient_domain", "id"), name="store_log_to_domain"),
            Index(fields=("sender_key", "id"), name="store_log_sender"),
            Index(fields=("recipient_key", "id"), name="store_log_recipient"),
            Index(fields=("fate", "id"), name="store_log_fate"),
        )


class LedgerRow(Row):
    """A settled recipient of a mail that may come again. `attempt` is the hex of `envelope.attempt_id`."""

    attempt = models.CharField(max_length=64)
    recipient = models.CharField(max_length=OWNER_CHARS)
    outcome = models.JSONField()
    created = models.DateTimeField(default=utc_now, db_index=True)

    class Meta:
        db_table = "store_ledger"
        constraints = (UniqueConstraint(fields=("attempt", "recipient"), name="store_ledger_once"),)


class JobRow(Row):
    """A piece of work, done at least once. `dedupe_key` is NULL once the key is free again."""

    node = models.CharField(max_length=64)
    kind = models.CharField(max_length=32)
    state = models.SmallIntegerField(default=0)
    owner = models.CharField(max_length=64, default="")
    epoch = models.BigIntegerField(default=0)
    attempts = models.IntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    run_at = models.DateTimeField(default=utc_now)
    dedupe_key = models.CharField(max_length=512, unique=True, null=True, blank=True)
    once = models.BooleanField(default=False)
    every_seconds = models.IntegerField(null=True)
    payload = models.JSONField(default=dict)
    sealed = models.BinaryField(null=True)
    error = models.TextField(default="")
    created = models.DateTimeField(default=utc_now)
    finished = models.DateTimeField(null=True, db_index=True)

    class Meta:
        db_table = "store_job"
        indexes = (Index(fields=("node", "state", "run_at"), name="store_job_waiting"),)


class NodeRow(Row):
    """A machine of the cluster: when it last gave a sign of life, and how often its jobs were taken over.

    `keks`: the ids of the KEKs that its processes can open, sorted, with a blank between.
    """

    name = models.CharField(max_length=64, unique=True)
    heartbeat = models.DateTimeField(default=utc_now)
    generation = models.BigIntegerField(default=0)
    keks = models.TextField(default="")

    class Meta:
        db_table = "store_node"


class StampRow(Row):
    """A counter that says "what you cached of this scope is old". One row per node, so that nodes never collide; and
    one of no node, "", for changes that shall (`stamps.bump_alone`).
    """

    scope = models.CharField(max_length=32)
    node = models.CharField(max_length=64)
    value = models.BigIntegerField(default=0)

    class Meta:
        db_table = "store_stamp"
        constraints = (UniqueConstraint(fields=("scope", "node"), name="store_stamp_once"),)


class JournalRow(Row):
    """How far a journal file is imported. Written in the same transaction as the rows that came from it."""

    name = models.CharField(max_length=255, unique=True)
    offset = models.BigIntegerField(default=0)

    class Meta:
        db_table = "store_journal"


class KekRow(Row):
    """A KEK that sealed or shall seal; the key itself is never here. The one activated last seals.

    `retired`: nothing was sealed with it any more, and nothing will be: its file may be destroyed.
    """

    kek_id = models.CharField(max_length=64, unique=True)
    activated = models.DateTimeField(null=True)
    retired = models.DateTimeField(null=True)
    created = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_kek"


class RouteRow(Row):
    """Next hops of a recipient domain or wildcard, as `config.next_hops` reads them, the preferred first."""

    domain = models.CharField(max_length=255, unique=True)
    hops = models.JSONField()
    created = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_route"


class CredentialRow(Row):
    """A secret for the outside (`name`: `user@host:port` of a next hop), sealed with the KEK that `kek_id` names."""

    name = models.CharField(max_length=400, unique=True)
    kek_id = models.CharField(max_length=64)
    sealed = models.BinaryField()
    created = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_credential"
