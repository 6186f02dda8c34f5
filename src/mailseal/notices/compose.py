"""A notice as a message (RFC 5322): multipart/alternative, marked as automatic (RFC 3834), never quoting a mail."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from mailseal.mail.address import Address
from mailseal.mail.encoded_word import encode_words
from mailseal.mail.header import encode_value
from mailseal.mail.outgoing import encode_body
from mailseal.notices.render import Rendered

_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,200}@[!-;=?-~]{1,200}>")
_NAME = "Mailseal"


@dataclass(frozen=True, slots=True)
class Letter:
    """Who writes to whom, when. `answers`: the Message-ID of the reader's own mail that this is about, or "".

    `message_id` has its angle brackets.
    """

    sender: Address
    to: Address
    message_id: str
    at: datetime
    answers: str = ""


def header(letter: Letter, rendered: Rendered) -> bytes:
    """The fields that are not about the content, CRLF at the end of each."""
    fields = [
        _address_field("From", letter.sender, _NAME),
        _address_field("To", letter.to, ""),
        encode_value("Subject", rendered.subject),
        encode_value("Date", format_datetime(letter.at)),
        encode_value("Message-ID", letter.message_id),
    ]
    answers = letter.answers.strip()
    if _MESSAGE_ID.fullmatch(answers):
        fields += [b"In-Reply-To: %s\r\n" % answers.encode("ascii"), b"References: %s\r\n" % answers.encode("ascii")]
    # RFC 3834 §5: in answer to a mail of the reader's, or of our own accord.
    fields.append(encode_value("Auto-Submitted", "auto-replied" if answers else "auto-generated"))
    return b"".join(fields)


def entity(letter: Letter, rendered: Rendered) -> bytes:
    """The content: its Content-* fields, an empty line, the body. In seven bits: nothing on the way changes it."""
    text = _part("plain", rendered.text)
    if not rendered.html:
        return text
    boundary = b"=_" + hashlib.sha256(letter.message_id.encode()).hexdigest()[:32].encode("ascii")
    return b"".join(
        (
            b'Content-Type: multipart/alternative;\r\n boundary="%s"\r\n\r\n' % boundary,
            b"--%s\r\n%s\r\n" % (boundary, text),
            b"--%s\r\n%s\r\n" % (boundary, _part("html", rendered.html)),
            b"--%s--\r\n" % boundary,
        )
    )


def message(fields: bytes, content: bytes) -> bytes:
    """Fields and entity as a whole message."""
    return fields + b"MIME-Version: 1.0\r\n" + content


def _part(subtype: str, text: str) -> bytes:
    encoding, body = encode_body(text.replace("\n", "\r\n").encode(errors="replace"), text=True)
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding.decode()}\r\n\r\n"
    return head.encode("ascii") + body


def _address_field(name: str, address: Address, display: str) -> bytes:
    """An address that is not ASCII stands as it is (RFC 6532): such a mail is sent with SMTPUTF8."""
    text = str(address)
    if display:
        shown = display if display.isascii() else b" ".join(encode_words(display, 70)).decode("ascii")
        return f"{name}: {shown} <{text}>\r\n".encode()
    return f"{name}: <{text}>\r\n".encode() if text[0] == '"' else f"{name}: {text}\r\n".encode()
