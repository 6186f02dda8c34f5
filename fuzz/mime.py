"""Fuzz the MIME reader and everything that is read from a mail: `python fuzz/mime.py [--seconds N]`.

Starts from real structures. Anything that comes out but MimeError stops the run with the input that did it, and so
does a part out of its place. Prints the count of inputs.
"""

import sys
from contextlib import suppress
from pathlib import Path

import atheris
from driver import fuzz

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

with atheris.instrument_imports(include=["mailseal.mail"]):
    from mailseal.mail.content_type import parse_content_type
    from mailseal.mail.dsn import cut_to_headers
    from mailseal.mail.encoded_word import decode_words
    from mailseal.mail.header import addresses, decoded_subject
    from mailseal.mail.journal_report import JournalReportError, read_report, returned_reports
    from mailseal.mail.mime import Entity, MimeError, parse
    from mailseal.mail.outgoing import signable, split_for_protection
    from mailseal.mail.tls_report import TlsReportError
    from mailseal.mail.tls_report_mail import read_mail

SEEDS = {
    "plain": b"""\
From: A <a@x.example>
To: g: b@y.example (c), "d" <e@z>;
Subject: =?utf-8?q?=C3=A4?= x

body
""",
    "nested": b"""\
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

preamble
--b

one
--b
Content-Type: multipart/alternative; boundary*0=i; boundary*1=j

--ij
Content-Type: text/html
Content-Transfer-Encoding: quoted-printable

=C3=A4
From
--ij--
--b--
epilogue
""",
    "report": b"""\
Content-Type: multipart/report; boundary=r; report-type=delivery-status

--r
Content-Type: message/rfc822

Subject: s

x
--r--
""",
    "encrypted": b"""\
Content-Type: application/pkcs7-mime; name*=utf-8''smime%2Ep7m
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="smime.p7m"

TUlN
RQ==
""",
    "journal": b"""\
X-MS-Journal-Report:
Content-Type: multipart/mixed; boundary="b"

--b

Sender: a@x.example
Message-Id: <1@x.example>
To: b@x.example, Expanded: c@x.example

--b
Content-Type: message/rfc822

Subject: x

--b--
""",
    "tls report": b"""\
Content-Type: application/tlsrpt+json

{"date-range":{"start-datetime":"2026-01-01T00:00:00Z","end-datetime":"2026-01-02T00:00:00Z"},"policies":[{"policy":
{"policy-domain":"x.example"},"summary":{"total-successful-session-count":1,"total-failure-session-count":0}}]}
""",
}


def covered(entity: Entity) -> int:
    """Octets of the parts of an entity, delimiters counted as what lies between them; each part in its place."""
    position = entity.body_start
    for child in entity.children:
        if not position <= child.start <= child.body_start <= child.end <= entity.end:
            raise AssertionError("a part lies outside of its place")
        position = child.end
    return position


def read_everything(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    parse_content_type(text)
    decode_words(text)
    try:
        parsed = parse(data)
    except MimeError:
        return
    root = parsed.root
    for entity in root.walk():
        covered(entity)
        _ = entity.filename
        with suppress(MimeError):
            entity.decoded_body(100_000)
    for field in ("from", "to"):
        addresses(root, field)
    decoded_subject(root)
    split_for_protection(root)
    signable(root)
    cut_to_headers(root)
    returned_reports(root)
    with suppress(JournalReportError):
        read_report(root)
    with suppress(TlsReportError):
        read_mail(root)


def one_input(data: bytes) -> None:
    """Read one input, and the same with CRLF line ends."""
    read_everything(data)
    read_everything(data.replace(b"\n", b"\r\n"))


if __name__ == "__main__":
    fuzz("mime", __doc__, one_input, SEEDS)
