"""TLS reports for tests: one as RFC 8460 has it, and mails with reports as others send them."""

from __future__ import annotations

import gzip
import json
from base64 import encodebytes
from datetime import UTC, datetime

from mailseal.mail.tls_report import AppliedPolicy, Failures, PolicyReport, TlsReport

EXAMPLE = {  # RFC 8460, Appendix B
    "organization-name": "Company-X",
    "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
    "contact-info": "sts-reporting@company-x.example",
    "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
    "policies": [
        {
            "policy": {
                "policy-type": "sts",
                "policy-string": ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"],
                "policy-domain": "company-y.example",
                "mx-host": ["*.mail.company-y.example"],
            },
            "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
            "failure-details": [
                {
                    "result-type": "certificate-expired",
                    "sending-mta-ip": "2001:db8:abcd:0012::1",
                    "receiving-mx-hostname": "mx1.mail.company-y.example",
                    "failed-session-count": 100,
                },
                {
                    "result-type": "starttls-not-supported",
                    "sending-mta-ip": "2001:db8:abcd:0013::1",
                    "receiving-mx-hostname": "mx2.mail.company-y.example",
                    "receiving-ip": "203.0.113.56",
                    "failed-session-count": 200,
                    "additional-information": "https://reports.company-x.example/report_info?id=5065427c-23d3#StarttlsNotSupported",
                },
                {
                    "result-type": "validation-failure",
                    "sending-mta-ip": "198.51.100.62",
                    "receiving-ip": "203.0.113.58",
                    "receiving-mx-hostname": "mx-backup.mail.company-y.example",
                    "failed-session-count": 3,
                    "failure-reason-code": "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED",
                },
            ],
        }
    ],
}

REPORT = TlsReport(
    "Alpha",
    "tls@alpha.example",
    "2026-11-29.1a2b@alpha.example".replace("@", "."),
    datetime(2026, 11, 29, tzinfo=UTC),
    datetime(2026, 11, 29, 23, 59, 59, tzinfo=UTC),
    (
        PolicyReport(
            AppliedPolicy("sts", "beta.example", ("version: STSv1", "mode: enforce"), ("mx.beta.example",)),
            12,
            3,
            (
                Failures(
                    "certificate-expired", 3, "192.0.2.1", "mx.beta.example", "203.0.113.5", "certificate has expired"
                ),
            ),
        ),
    ),
)


def mail(
    value: object,
    *,
    kind: str = "application/tlsrpt+gzip",
    name: str = "company-x.example!alpha.example!1459468800!1459555199.json.gz",
    outer: str = 'multipart/report; report-type="tlsrpt"; boundary="=_r"',
    sender: str = "noreply@company-x.example",
    to: str = "tls@alpha.example",
) -> bytes:
    """As large providers send them; `value` is the JSON, or the octets of the file."""
    file = value if isinstance(value, bytes) else json.dumps(value).encode()
    if name.endswith(".gz") and not isinstance(value, bytes):
        file = gzip.compress(file)
    head = (
        f"From: {sender}\r\nTo: {to}\r\nSubject: Report Domain: alpha.example Submitter: company-x.example\r\n"
        "Message-ID: <5065427c@company-x.example>\r\nDate: Sat, 02 Apr 2016 10:00:00 +0000\r\n"
        "TLS-Report-Domain: alpha.example\r\nTLS-Report-Submitter: company-x.example\r\nMIME-Version: 1.0\r\n"
    ).encode()
    part = (
        f'Content-Type: {kind}; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"\r\n'
        "Content-Transfer-Encoding: base64\r\n\r\n"
    ).encode() + encodebytes(file).replace(b"\n", b"\r\n")
    if not outer:
        return head + part
    return (
        head
        + f"Content-Type: {outer}\r\n\r\n".encode()
        + b"--=_r\r\nContent-Type: text/plain\r\n\r\nThis is an aggregate TLS report.\r\n--=_r\r\n"
        + part
        + b"--=_r--\r\n"
    )
