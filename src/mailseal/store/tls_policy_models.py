"""The tables of TLS policies and of MTA-STS policies (RFC 8461), see models."""

from django.db import models

from mailseal.store.row import OWNER_CHARS, Row, utc_now

DESTINATION_CHARS = 300
"""A domain, a wildcard, or a host in brackets with its port."""


class TlsPolicyRow(Row):
    """How mail to a destination is secured: what `postfix.tls_policy.TlsPolicy` and `TlsRule` hold.

    `destination`: as `postfix.tls_destination.Destination.key`. `names`: what the certificate has to name;
    `fingerprints`: SHA-256 in hexadecimal. `direct`: mail for the domain goes to its own MX, past smart hosts.
    `owner`: the domain whose administrators look after it, "" is everybody's.
    """

    destination = models.CharField(max_length=DESTINATION_CHARS, unique=True)
    level = models.CharField(max_length=16)
    names = models.JSONField(default=list)
    fingerprints = models.JSONField(default=list)
    least_tls = models.CharField(max_length=8, default="")
    servername = models.CharField(max_length=255, default="")
    direct = models.BooleanField(default=False)
    comment = models.TextField(default="")
    owner = models.CharField(max_length=OWNER_CHARS, default="")
    created = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_tls_policy"


class StsPolicyRow(Row):
    """What is known of a domain's MTA-STS policy. `mode`: "" while it has none that could be fetched.

    `names`: the `mx` patterns; `expires`: until when they count, whatever becomes of the domain's web server.
    `dane`: its mail exchangers have usable TLSA records, which then decide. `asked`: when mail last went there, to the
    hour. `checked`: when it was last looked at to the end, NULL while that has never been; `due`: when to look again.
    `failures`: in a row, with the `error` of the last one.
    """

    domain = models.CharField(max_length=255, unique=True)
    mode = models.CharField(max_length=8, default="")
    policy_id = models.CharField(max_length=32, default="")
    names = models.JSONField(default=list)
    max_age_seconds = models.IntegerField(default=0)
    fetched = models.DateTimeField(null=True)
    expires = models.DateTimeField(null=True)
    dane = models.BooleanField(default=False)
    asked = models.DateTimeField(default=utc_now, db_index=True)
    checked = models.DateTimeField(null=True)
    due = models.DateTimeField(db_index=True)
    failures = models.IntegerField(default=0)
    error = models.TextField(default="")
    created = models.DateTimeField(default=utc_now, db_index=True)

    class Meta:
        db_table = "store_sts_policy"
