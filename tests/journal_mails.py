"""Journal reports as Exchange writes them, made from their facts."""

from __future__ import annotations

from collections.abc import Sequence

BOUNDARY = "_000_5e2f1c0b3a4d4c0f8f7a_"


def facts(
    sender: str,
    *recipients: str,
    subject: str = "Numbers",
    message_id: str = "<1@outside.example>",
    more: Sequence[str] = (),
) -> str:
    """The lines of the text part; a recipient like "Bcc: a@b.example, Expanded: c@d.example", To: unless it says so."""
    said = [one if ":" in one.partition("@")[0] else f"To: {one}" for one in recipients]
    return "\r\n".join([f"Sender: {sender}", f"Subject: {subject}", f"Message-Id: {message_id}", *more, *said, ""])


def report(
    text: str | bytes,
    *mails: bytes,
    charset: str = "us-ascii",
    coding: str = "7bit",
    marker: bool = True,
    mail_fields: bytes = b"Content-Type: message/rfc822\r\n",
    to: str = "journal@inside.example",
) -> bytes:
    """A report as Exchange sends it: `text` is the text part's body, encoded as `coding` says."""
    body = text.encode() if isinstance(text, str) else text
    head = (
        "From: Microsoft Exchange <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@inside.example>\r\n"
        f"To: <{to}>\r\nSubject: Numbers\r\nMessage-ID: <5e2f1c0b@journal.report.generator>\r\n"
        "Date: Mon, 2 Mar 2026 10:00:00 +0000\r\n"
        + ("X-MS-Journal-Report:\r\n" if marker else "")
        + f'MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n\tboundary="{BOUNDARY}"\r\n\r\n'
    ).encode()
    parts = [
        f'Content-Type: text/plain; charset="{charset}"\r\nContent-Transfer-Encoding: {coding}\r\n\r\n'.encode() + body,
        *(mail_fields + b"\r\n" + one for one in mails),
    ]
    delimiter = f"--{BOUNDARY}".encode()
    return head + b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in parts) + delimiter + b"--\r\n"


def returned(octets: bytes) -> bytes:
    """A non-delivery report about a journal report, with that in it."""
    return (
        b"From: postmaster@inside.example\r\nTo: <journal@inside.example>\r\nSubject: Undeliverable: Numbers\r\n"
        b"Message-ID: <ndr@inside.example>\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/report; report-type=delivery-status; boundary="ndr"\r\n\r\n'
        b"--ndr\r\nContent-Type: text/plain\r\n\r\nDelivery has failed.\r\n\r\n"
        b"--ndr\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns;ex.inside.example\r\n\r\n"
        b"Final-Recipient: rfc822;archive@inside.example\r\nAction: failed\r\nStatus: 5.2.2\r\n\r\n"
        b"--ndr\r\nContent-Type: message/rfc822\r\n\r\n" + octets + b"\r\n--ndr--\r\n"
    )
