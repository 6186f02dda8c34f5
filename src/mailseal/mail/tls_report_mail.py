"""A TLS report by mail: multipart/report with report-type=tlsrpt, the report as a gzip file (RFC 8460 §5.3, RFC 6522).

Read is also what is sent otherwise: the file alone, or attached to any mail, compressed or not.
"""

import gzip
import zlib
from base64 import encodebytes
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from itertools import islice

from mailseal.mail.address import Address
from mailseal.mail.entity import Entity, MimeError
from mailseal.mail.header import encode_value
from mailseal.mail.tls_report import MAX_JSON_BYTES, TlsReport, TlsReportError, from_json, to_json

GZIP, JSON = "application/tlsrpt+gzip", "application/tlsrpt+json"
MAX_FILE_BYTES = MAX_JSON_BYTES
MAX_PARTS = 20
_AS_GZIP = frozenset({"application/gzip", "application/x-gzip", "application/octet-stream"})
_AS_JSON = frozenset({"application/json", "application/octet-stream"})
_GZIP_WINDOW = 31
"""zlib's own number for: a gzip header, and any window."""


@dataclass(frozen=True, slots=True)
class Letter:
    """Who sends a report to whom. `submitter`: the domain that reports; `domain`: that is reported on."""

    sender: Address
    to: Address
    submitter: str
    domain: str
    at: datetime


def compressed(report: TlsReport) -> bytes:
    """The report as a file; the same octets each time."""
    return gzip.compress(to_json(report), mtime=0)


def file_name(report: TlsReport, letter_domain: str, submitter: str) -> str:
    """`submitter!domain!begin!end.json.gz`, times in seconds (§5.1)."""
    begins, ends = (int(one.timestamp()) for one in (report.begins, report.ends))
    return f"{submitter}!{letter_domain}!{begins}!{ends}.json.gz"


def write_mail(report: TlsReport, letter: Letter) -> bytes:
    """The mail, without a signature; `report_id` is made of characters that a Message-ID may have."""
    name = file_name(report, letter.domain, letter.submitter)
    boundary = f"tlsrpt-{report.report_id[:40]}"
    subject = f"Report Domain: {letter.domain} Submitter: {letter.submitter} Report-ID: <{report.report_id}>"
    header = b"".join(
        encode_value(field, value)
        for field, value in (
            ("From", str(letter.sender)),
            ("To", str(letter.to)),
            ("Date", format_datetime(letter.at)),
            ("Subject", subject),
            ("Message-ID", f"<{report.report_id}@{letter.submitter}>"),
            ("TLS-Report-Domain", letter.domain),
            ("TLS-Report-Submitter", letter.submitter),
            ("Auto-Submitted", "auto-generated"),
            ("MIME-Version", "1.0"),
        )
    )
    text = (
        f"This is a report about TLS in sessions with the mail servers of {letter.domain} (RFC 8460),\r\n"
        f"from {report.begins:%Y-%m-%d %H:%M} to {report.ends:%Y-%m-%d %H:%M} UTC. Contact: {report.contact}\r\n"
    )
    file = encodebytes(compressed(report)).replace(b"\n", b"\r\n")
    return (
        header
        + f'Content-Type: multipart/report; report-type="tlsrpt";\r\n boundary="{boundary}"\r\n\r\n'.encode()
        + f"--{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n{text}\r\n".encode()
        + f'--{boundary}\r\nContent-Type: {GZIP}\r\nContent-Disposition: attachment;\r\n filename="{name}"\r\n'.encode()
        + b"Content-Transfer-Encoding: base64\r\n\r\n"
        + file
        + f"--{boundary}--\r\n".encode()
    )


def read_mail(root: Entity) -> TlsReport:
    """The report in a mail; raises TlsReportError."""
    for part in islice(root.walk(), MAX_PARTS):
        read = _reader(part)
        if read is None:
            continue
        try:
            return from_json(read(part.decoded_body(MAX_FILE_BYTES)))
        except MimeError:
            raise TlsReportError("the file with the report cannot be decoded or is too long") from None
    raise TlsReportError("there is no report in the mail")


def _reader(part: Entity) -> Callable[[bytes], bytes] | None:
    """How a part is read; None: it is no report."""
    kind, name = part.content_type.type, (part.filename or "").lower()
    if kind == GZIP or (kind in _AS_GZIP and name.endswith(".json.gz")):
        return unpacked
    return bytes if kind == JSON or (kind in _AS_JSON and name.endswith(".json")) else None


def unpacked(file: bytes) -> bytes:
    """What is in a gzip file of one member, within MAX_JSON_BYTES; raises TlsReportError."""
    unpacker = zlib.decompressobj(_GZIP_WINDOW)
    try:
        octets = unpacker.decompress(file, MAX_JSON_BYTES + 1)
    except zlib.error:
        raise TlsReportError("the file with the report is no gzip file") from None
    if len(octets) > MAX_JSON_BYTES:
        raise TlsReportError("the report is too long")
    if not unpacker.eof or unpacker.unused_data:
        raise TlsReportError("the file with the report is cut, or something follows it")
    return octets
