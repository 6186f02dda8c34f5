"""The tables of TLS reporting (RFC 8460), see models. A `day` is a day of UTC, as ISO 8601 writes it."""

from django.db import models
from django.db.models import Index, UniqueConstraint

from mailseal.store.row import OWNER_CHARS, Row, utc_now

DAY_CHARS = 10
DOMAIN_CHARS = 255
RESULT_CHARS = 40


class TlsSessionRow(Row):
    """How many sessions with the mail servers of a domain went alike on a day.

    `key`: the SHA-256 of all that has to be alike, which is every column but `sessions`. `policy_type`, `result`: as
    RFC 8460 §4.3 and §4.4 name them, `result` "" for success. `policy`: `mail.tls_report.AppliedPolicy` as JSON.
    """

    key = models.CharField(max_length=64, unique=True)
    day = models.CharField(max_length=DAY_CHARS)
    domain = models.CharField(max_length=DOMAIN_CHARS)
    policy_type = models.CharField(max_length=RESULT_CHARS)
    policy = models.JSONField()
    result = models.CharField(max_length=RESULT_CHARS, default="")
    reason = models.CharField(max_length=200, default="")
    mx = models.CharField(max_length=DOMAIN_CHARS, default="")
    mx_address = models.CharField(max_length=45, default="")
    sending_address = models.CharField(max_length=45, default="")
    sessions = models.BigIntegerField(default=0)

    class Meta:
        db_table = "store_tls_session"
        indexes = (Index(fields=("day", "domain"), name="store_tls_session_day"),)


class TlsLogRow(Row):
    """How far the log of an MTA is read: `name` is node and path. Written in the transaction of what came before it.

    `head`: a digest of the file's first octets, `head_bytes` of them; with `inode` it tells a file from the next of its
    name. `begun`: what the reader has to know of the lines before.
    """

    name = models.CharField(max_length=OWNER_CHARS, unique=True)
    inode = models.CharField(max_length=40)
    head = models.CharField(max_length=64, default="")
    head_bytes = models.IntegerField(default=0)
    offset = models.BigIntegerField(default=0)
    begun = models.JSONField(default=dict)
    updated = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_tls_log"


class TlsReportRow(Row):
    """Our report to a domain about a day. `state`: a `tls_reports.ReportState`; `places`: where the domain wants it."""

    domain = models.CharField(max_length=DOMAIN_CHARS)
    day = models.CharField(max_length=DAY_CHARS)
    report_id = models.CharField(max_length=DOMAIN_CHARS)
    state = models.CharField(max_length=16)
    places = models.JSONField(default=list)
    error = models.TextField(default="")
    created = models.DateTimeField(default=utc_now, db_index=True)
    sent = models.DateTimeField(null=True)

    class Meta:
        db_table = "store_tls_report"
        constraints = (UniqueConstraint(fields=("domain", "day"), name="store_tls_report_once"),)


class TlsReceivedRow(Row):
    """What another has reported about one policy of a domain of ours, in one report.

    `key`: the SHA-256 of reporter, report ID, domain, policy type and time. `signed`: a `tls_received.Signed`, by
    `signer`. `failures`: the details, bounded; `reporter`: the organisation's name as it gives it, `sender` of From.
    """

    key = models.CharField(max_length=64, unique=True)
    reporter = models.CharField(max_length=OWNER_CHARS)
    sender = models.CharField(max_length=OWNER_CHARS)
    contact = models.CharField(max_length=OWNER_CHARS, default="")
    report_id = models.CharField(max_length=OWNER_CHARS)
    domain = models.CharField(max_length=DOMAIN_CHARS)
    day = models.CharField(max_length=DAY_CHARS, db_index=True)
    begins = models.DateTimeField()
    ends = models.DateTimeField()
    policy_type = models.CharField(max_length=RESULT_CHARS)
    policy = models.JSONField()
    succeeded = models.BigIntegerField()
    failed = models.BigIntegerField()
    failures = models.JSONField()
    signed = models.CharField(max_length=16)
    signer = models.CharField(max_length=DOMAIN_CHARS, default="")
    created = models.DateTimeField(default=utc_now, db_index=True)

    class Meta:
        db_table = "store_tls_received"
