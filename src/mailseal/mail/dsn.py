"""Delivery status notifications: the reports that we write (RFC 3461 §5, §6; RFC 3464, RFC 6522, RFC 6533)."""

import ipaddress
import re
import secrets
import textwrap
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime

from mailseal.errors import PermanentError
from mailseal.mail.encoded_word import encode_words, one_line
from mailseal.mail.envelope import Envelope, Protocol, Recipient
from mailseal.mail.message import Octets
from mailseal.mail.mime import Entity, MimeError, parse
from mailseal.mail.outgoing import encode_body, needs_seven_bit
from mailseal.mail.reply import Reply
from mailseal.mail.trace import host_text

MAX_QUOTED_HEADER_BYTES = 16_384

Failed = tuple[Recipient, Reply, str]
"""A recipient, the reply for it, and why in words for the sender."""
Relayed = tuple[Recipient, Reply]
"""A recipient whose copy went where no report of success comes from, and the next hop's reply (RFC 3464 §2.3.3)."""

_NEVER_QUOTED = frozenset({"bcc", "resent-bcc"})
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,200}@[!-;=?-~]{1,200}>")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_ENHANCED = re.compile(r"[25]\.\d{1,3}\.\d{1,3}")
_NOT_PRINTABLE = re.compile(r"[^ -~]")
_QUOTED_MAIL = frozenset({"message/rfc822", "message/global"})
_PARAGRAPH = textwrap.TextWrapper(width=76, break_long_words=False, break_on_hyphens=False)
_INDENTED = textwrap.TextWrapper(
    width=76, initial_indent="    ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
)


class ReportError(PermanentError):
    """There is nobody to report to, or nothing to report."""


def status_report(
    *,
    envelope: Envelope,
    root: Entity,
    failed: Sequence[Failed] = (),
    relayed: Sequence[Relayed] = (),
    hostname: str,
    at: datetime,
) -> bytes:
    """The report to the envelope sender: CRLF, a seven-bit body, of the original only the header without Bcc.

    About mail that came with SMTPUTF8 it is of the kind that RFC 6533 has for that: its header may have UTF-8 in it. It
    is to be sent from the null sender. Raises ReportError if the mail itself came from it, or without recipients.
    """
    if envelope.sender is None:
        raise ReportError("no report is ever made for mail from the null sender")
    if not failed and not relayed:
        raise ReportError("a report names at least one recipient")
    host = host_text(hostname)
    boundary = f"=_{secrets.token_hex(16)}"
    world = "global-" if envelope.smtputf8 else ""
    statuses = [_failed_status(one, answer, utf8=envelope.smtputf8) for one, answer, _ in failed]
    statuses += [_relayed_status(one, answer, utf8=envelope.smtputf8) for one, answer in relayed]
    parts = (
        _part(
            "text/plain; charset=utf-8",
            _explanation(failed, relayed, host).replace("\n", "\r\n").encode(errors="replace"),
        ),
        _part(f"message/{world}delivery-status", _status_fields(envelope, statuses, host, at)),
        _part("message/global-headers" if world else "text/rfc822-headers", _quoted_header(root)),
    )
    delimiter = f"--{boundary}\r\n".encode("ascii")
    body = b"".join(delimiter + part + b"\r\n" for part in parts)
    kind = f'multipart/report; report-type={world}delivery-status;\r\n\tboundary="{boundary}"'
    subject = "Your mail could not be sent" if failed else "Your mail was sent on"
    return _report_header(envelope, root, host, subject, kind, at) + body + f"--{boundary}--\r\n".encode("ascii")


def _report_header(envelope: Envelope, root: Entity, host: str, subject: str, kind: str, at: datetime) -> bytes:
    lines = [
        f"From: Mail Delivery System <MAILER-DAEMON@{host}>",
        f"To: {_mailbox(str(envelope.sender), utf8=envelope.smtputf8)}",
        f"Subject: {subject}",
        f"Date: {format_datetime(at)}",
        f"Message-ID: <{secrets.token_hex(16)}@{host}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f"Content-Type: {kind}",
    ]
    original = root.header("message-id")
    if original is not None and _MESSAGE_ID.fullmatch(original):
        lines.insert(5, f"References: {original}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def _mailbox(address: str, *, utf8: bool) -> str:
    """The address; in a header that has to be ASCII perhaps the name of an empty group (RFC 6857 §3.1.9)."""
    if address.isascii() or utf8:
        return f"<{address}>" if address[0] == '"' else address
    return "\r\n ".join(word.decode("ascii") for word in encode_words(address, 70)) + " :;"


def _explanation(failed: Sequence[Failed], relayed: Sequence[Relayed], host: str) -> str:
    paragraphs = [f"This is the mail gateway {host}."]
    if failed:
        paragraphs += _explained_failure(failed)
    if relayed:
        also = "also " if failed else ""
        paragraphs.append(
            _PARAGRAPH.fill(
                f"Your mail was {also}sent on to the mail system of each recipient below. You asked for a report of "
                "its delivery, but that mail system gives none: you hear of it again only if it cannot be delivered."
            )
        )
        paragraphs += [str(recipient.address) for recipient, _ in relayed]
    paragraphs.append("The technical details and the header of your mail are attached.")
    return "\n\n".join(paragraphs) + "\n"


def _explained_failure(failed: Sequence[Failed]) -> list[str]:
    one = len(failed) == 1
    whom = "the recipient" if one else f"the {len(failed)} recipients"
    paragraphs = [
        _PARAGRAPH.fill(
            f"Your mail was not sent to {whom} below. {'That recipient has' if one else 'They have'} got nothing of "
            "it, neither encrypted nor in clear. If it had other recipients, this does not concern them."
        ),
    ]
    for recipient, reply, explanation in failed:
        reason = one_line(explanation).strip() or reply.text
        paragraphs.append(f"{recipient.address}\n{_INDENTED.fill(reason)}")
    paragraphs.append(
        _PARAGRAPH.fill(
            "What you can do: if the mail has to be encrypted, ask the recipient for a signed mail or for the "
            "certificate, give it to your mail administrator, and send your mail again. Otherwise change what the "
            "reason above names and send it again. If you cannot, show this report to your mail administrator."
        )
    )
    return paragraphs


def _part(content_type: str, content: bytes) -> bytes:
    """A text part, encoded if transport could change it."""
    lines = f"Content-Type: {content_type}\r\n".encode("ascii")
    if needs_seven_bit(content):
        encoding, content = encode_body(content, text=True)
        lines += b"Content-Transfer-Encoding: %s\r\n" % encoding
    return lines + b"\r\n" + content


def _status_fields(envelope: Envelope, recipients: Sequence[list[str]], host: str, at: datetime) -> bytes:
    kind = "dns" if "." in host else "x-local-hostname"  # RFC 3461 §6.3 (b)
    group = [f"Reporting-MTA: {kind}; {host}"]
    if envelope.envid:
        group.insert(0, f"Original-Envelope-Id: {_from_xtext(envelope.envid)}")
    if envelope.protocol is Protocol.ESMTP and envelope.queue_id is None and envelope.client.helo:
        client = envelope.client
        group.append(f"Received-From-MTA: dns; {host_text(client.helo or '')} ({host_text(client.address)})")
    group.append(f"Arrival-Date: {format_datetime(at)}")
    text = "\r\n\r\n".join("\r\n".join(lines) for lines in (group, *recipients))
    return text.encode(errors="replace") + b"\r\n"


def _failed_status(recipient: Recipient, reply: Reply, *, utf8: bool) -> list[str]:
    lines = [*_whom(recipient, utf8=utf8), "Action: failed"]
    if reply.refused:
        return [*lines, *_outcome(reply, "5")]
    return [*lines, "Status: 5.7.1"]  # accepted or deferred by reply, given up by us: by policy (RFC 3463 §3.8)


def _relayed_status(recipient: Recipient, reply: Reply, *, utf8: bool) -> list[str]:
    return [*_whom(recipient, utf8=utf8), "Action: relayed", *_outcome(reply, "2")]


def _outcome(reply: Reply, status_class: str) -> list[str]:
    status = reply.enhanced if _ENHANCED.fullmatch(reply.enhanced) and reply.enhanced[0] == status_class else ""
    lines = [f"Status: {status or f'{status_class}.0.0'}"]
    if reply.remote:
        lines.append(f"Remote-MTA: dns; {_domain(reply.remote)}")
    return [*lines, f"Diagnostic-Code: smtp; {reply.code} {_printable(f'{reply.enhanced} {reply.text}'.strip())}"]


def _domain(host: str) -> str:
    """A host name, or the literal of an address (RFC 5321 §4.1.3)."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return host_text(host)
    return f"[{host}]" if version == 4 else f"[IPv6:{host}]"


def _whom(recipient: Recipient, *, utf8: bool) -> list[str]:
    lines = []
    if recipient.orcpt:
        kind, _, address = recipient.orcpt.partition(";")
        if kind.lower() == "utf-8":  # no xtext, but an escape of its own (RFC 6533 §3)
            value = _one_line(address) if utf8 else _ascii_only(address, "")
        else:
            value = _from_xtext(address)
        lines.append(f"Original-Recipient: {host_text(kind)};{value}")
    text = str(recipient.address)
    if text.isascii():
        lines.append(f"Final-Recipient: rfc822;{text}")
    else:
        lines.append(f"Final-Recipient: utf-8;{_one_line(text) if utf8 else _ascii_only(text, '+=' + chr(92))}")
    return lines


def _ascii_only(text: str, special: str) -> str:
    """The seven-bit form of an address that is not ASCII (utf-8-addr-xtext, RFC 6533 §3)."""
    return "".join(
        character if "!" <= character <= "~" and character not in special else f"\\x{{{ord(character):X}}}"
        for character in text
    )


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


def _from_xtext(text: str) -> str:
    """The decoded value of an ENVID or ORCPT parameter (RFC 3461 §4), printable ASCII only."""
    return _printable(_XTEXT.sub(lambda found: chr(int(found[1], 16)), text))


def _printable(text: str) -> str:
    """One line of printable ASCII that fits a header line."""
    return _NOT_PRINTABLE.sub("?", text[:900])


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
