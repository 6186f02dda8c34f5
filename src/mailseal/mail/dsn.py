"""Delivery status notifications: the report of a failure that we write (RFC 3464, RFC 6522, RFC 6533)."""

import re
import secrets
import textwrap
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime

from mailseal.errors import PermanentError
from mailseal.mail.address import Address
from mailseal.mail.encoded_word import encode_words, one_line
from mailseal.mail.envelope import Envelope, Recipient
from mailseal.mail.message import Octets
from mailseal.mail.mime import Entity, MimeError, parse
from mailseal.mail.outgoing import encode_body, needs_seven_bit
from mailseal.mail.reply import Reply
from mailseal.mail.trace import host_text

MAX_QUOTED_HEADER_BYTES = 16_384

Failed = tuple[Recipient, Reply, str]
"""A recipient, the reply for it, and why in words for the sender."""

_NEVER_QUOTED = frozenset({"bcc", "resent-bcc"})
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,200}@[!-;=?-~]{1,200}>")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_ENHANCED = re.compile(r"5\.\d{1,3}\.\d{1,3}")
_NOT_PRINTABLE = re.compile(r"[^ -~]")
_QUOTED_MAIL = frozenset({"message/rfc822", "message/global"})
_PARAGRAPH = textwrap.TextWrapper(width=76, break_long_words=False, break_on_hyphens=False)
_INDENTED = textwrap.TextWrapper(
    width=76, initial_indent="    ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
)


class ReportError(PermanentError):
    """There is nobody to report to, or nothing to report."""


def failure_report(
    *, envelope: Envelope, root: Entity, recipients: Sequence[Failed], hostname: str, at: datetime
) -> bytes:
    """The report to the envelope sender: CRLF, seven-bit, of the original only the header without Bcc.

    It is to be sent from the null sender. Raises ReportError if the mail itself came from it, or without recipients.
    """
    if envelope.sender is None:
        raise ReportError("no report is ever made for mail from the null sender")
    if not recipients:
        raise ReportError("a failure report names at least one recipient")
    host = host_text(hostname)
    boundary = f"=_{secrets.token_hex(16)}"
    parts = (
        _text_part(_explanation(recipients, host)),
        _status_part(envelope, recipients, host, at),
        _header_part(root),
    )
    delimiter = f"--{boundary}\r\n".encode("ascii")
    body = b"".join(delimiter + part + b"\r\n" for part in parts)
    return _report_header(envelope.sender, root, host, boundary, at) + body + f"--{boundary}--\r\n".encode("ascii")


def _report_header(sender: Address, root: Entity, host: str, boundary: str, at: datetime) -> bytes:
    lines = [
        f"From: Mail Delivery System <MAILER-DAEMON@{host}>",
        f"To: {_mailbox(sender)}",
        "Subject: Your mail could not be sent",
        f"Date: {format_datetime(at)}",
        f"Message-ID: <{secrets.token_hex(16)}@{host}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"',
    ]
    original = root.header("message-id")
    if original is not None and _MESSAGE_ID.fullmatch(original):
        lines.insert(5, f"References: {original}")
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n"


def _mailbox(address: Address) -> str:
    """The address; one that is not ASCII as the name of an empty group (RFC 6857 §3.1.9)."""
    text = str(address)
    if text.isascii():
        return f"<{text}>" if text[0] == '"' else text
    return "\r\n ".join(word.decode("ascii") for word in encode_words(text, 70)) + " :;"


def _explanation(recipients: Sequence[Failed], host: str) -> str:
    one = len(recipients) == 1
    whom = "the recipient" if one else f"the {len(recipients)} recipients"
    paragraphs = [
        f"This is the mail gateway {host}.",
        _PARAGRAPH.fill(
            f"Your mail was not sent to {whom} below. {'That recipient has' if one else 'They have'} got nothing of "
            "it, neither encrypted nor in clear. If it had other recipients, this does not concern them."
        ),
    ]
    for recipient, reply, explanation in recipients:
        reason = one_line(explanation).strip() or reply.text
        paragraphs.append(f"{recipient.address}\n{_INDENTED.fill(reason)}")
    paragraphs.append(
        _PARAGRAPH.fill(
            "What you can do: if the mail has to be encrypted, ask the recipient for a signed mail or for the "
            "certificate, give it to your mail administrator, and send your mail again. Otherwise change what the "
            "reason above names and send it again. If you cannot, show this report to your mail administrator."
        )
    )
    paragraphs.append("The technical details and the header of your mail are attached.")
    return "\n\n".join(paragraphs) + "\n"


def _text_part(text: str) -> bytes:
    content = text.replace("\n", "\r\n").encode(errors="replace")
    return _part("text/plain; charset=utf-8", content)


def _part(content_type: str, content: bytes) -> bytes:
    """A text part, encoded if transport could change it."""
    lines = f"Content-Type: {content_type}\r\n".encode("ascii")
    if needs_seven_bit(content):
        encoding, content = encode_body(content, text=True)
        lines += b"Content-Transfer-Encoding: %s\r\n" % encoding
    return lines + b"\r\n" + content


def _status_part(envelope: Envelope, recipients: Sequence[Failed], host: str, at: datetime) -> bytes:
    group = [f"Reporting-MTA: dns; {host}"]
    if envelope.envid:
        group.insert(0, f"Original-Envelope-Id: {_from_xtext(envelope.envid)}")
    group.append(f"Arrival-Date: {format_datetime(at)}")
    groups = [group, *(_recipient_status(recipient, reply) for recipient, reply, _ in recipients)]
    text = "\r\n\r\n".join("\r\n".join(lines) for lines in groups)
    return b"Content-Type: message/delivery-status\r\n\r\n" + text.encode("ascii", "replace") + b"\r\n"


def _recipient_status(recipient: Recipient, reply: Reply) -> list[str]:
    lines = []
    if recipient.orcpt:
        kind, _, address = recipient.orcpt.partition(";")
        lines.append(f"Original-Recipient: {host_text(kind)};{_from_xtext(address)}")
    lines.append(f"Final-Recipient: {_typed(recipient.address)}")
    lines.append("Action: failed")
    if reply.refused:
        lines.append(f"Status: {reply.enhanced if _ENHANCED.fullmatch(reply.enhanced) else '5.0.0'}")
        lines.append(f"Diagnostic-Code: smtp; {reply.code} {_printable(f'{reply.enhanced} {reply.text}'.strip())}")
    else:
        lines.append("Status: 5.7.1")  # accepted or deferred by reply, given up by us: by policy (RFC 3463 §3.8)
    return lines


def _typed(address: Address) -> str:
    """The address with its type; one that is not ASCII in the seven-bit form of RFC 6533 §3."""
    text = str(address)
    if text.isascii():
        return f"rfc822;{text}"
    escaped = "".join(
        character if "!" <= character <= "~" and character not in "+=\\" else f"\\x{{{ord(character):X}}}"
        for character in text
    )
    return f"utf-8;{escaped}"


def _from_xtext(text: str) -> str:
    """The decoded value of an ENVID or ORCPT parameter (RFC 3461 §4), printable ASCII only."""
    return _printable(_XTEXT.sub(lambda found: chr(int(found[1], 16)), text))


def _printable(text: str) -> str:
    """One line of printable ASCII that fits a header line."""
    return _NOT_PRINTABLE.sub("?", text[:900])


def _header_part(root: Entity) -> bytes:
    return _part("text/rfc822-headers", _quoted_header(root))


def _quoted_header(root: Entity) -> bytes:
    """The header of a mail without Bcc, cut after whole fields at 16 KB."""
    pieces: list[bytes] = []
    room = MAX_QUOTED_HEADER_BYTES
    for field in root.fields:
        if field.name in _NEVER_QUOTED or not field.name:
            continue
        room -= field.end - field.start
        if room < 0:
            break
        raw = field.raw(root.buffer)
        pieces.append(raw if raw.endswith(b"\n") else raw + b"\r\n")
    return b"".join(pieces)


def cut_to_headers(root: Entity) -> list[Octets] | None:
    """A report whose quoted mails are cut to their headers (text/rfc822-headers); None if there is nothing to cut.

    Any multipart/report in the mail counts. A report whose parts cannot be told apart loses its whole body: what it
    quotes may be an opened mail.
    """
    if not root.children:
        if any("multipart/report" in value.lower() for value in root.headers("content-type")):
            return _without_body(root)
        return None
    pieces: list[Octets] = []
    view = memoryview(root.buffer)
    kept_from = root.start
    for report in root.walk():
        if report.content_type.type != "multipart/report":
            continue
        for part in report.children:
            if part.content_type.type in _QUOTED_MAIL:
                pieces.extend((view[kept_from : part.start], _part("text/rfc822-headers", _embedded_header(part))))
                kept_from = part.end
    if not pieces:
        return None
    pieces.append(view[kept_from : root.end])
    return pieces


def _embedded_header(part: Entity) -> bytes:
    try:
        return _quoted_header(parse(part.decoded_body(len(part.body))).root)
    except MimeError:
        return b""


def _without_body(root: Entity) -> list[Octets]:
    kept = [field.raw(root.buffer) for field in root.fields if field.name and not field.name.startswith("content-")]
    note = b"Content-Type: text/plain\r\n\r\nThis report could not be read. Its text has been removed.\r\n"
    return [b"".join(raw if raw.endswith(b"\n") else raw + b"\r\n" for raw in kept) + note]
