"""Envelope journal reports of Exchange: who had a mail, and the mail (Exchange Server, "Journal report format").

multipart/mixed: first a text with a fact per line, then the mail as message/rfc822; a report about rights-protected
mail has it twice.

    Sender: anna@alpha.example
    Subject: Numbers
    Message-Id: <1@alpha.example>
    To: dl-member@alpha.example, Expanded: dl@alpha.example
    Bcc: fwd@alpha.example, Forwarded: bert@alpha.example
    Recipient: otto@out.example
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mailseal.errors import PermanentError
from mailseal.mail.address import Address
from mailseal.mail.address_list import read_addresses
from mailseal.mail.encoded_word import decode_text
from mailseal.mail.entity import Entity, MimeError

MAX_TEXT_BYTES = 4 << 20
"""What some 50,000 recipients take."""
MAX_USERS = 2000
MAX_MAILS = 4
MAX_VALUE_CHARS = 2000
EMBEDDED = "message/rfc822"

_LINE = re.compile(r"^[ \t]*([A-Za-z][A-Za-z\-]{0,30})[ \t]*:[ \t]*([^\r\n]*)", re.MULTILINE)
_REDIRECTED = re.compile(r",[ \t]*(?:Expanded|Forwarded)[ \t]*:", re.IGNORECASE)
_SENDERS = frozenset({"sender", "on-behalf-of"})
_RECIPIENTS = frozenset({"recipient", "to", "cc", "bcc"})


class JournalReportError(PermanentError):
    """The mail is not a journal report, or not one that can be read."""


@dataclass(frozen=True, slots=True)
class JournalReport:
    """`users`: sender, recipients, and those whom these were before a list was expanded or mail was forwarded, each
    once. `mails`: the parts that hold the mail.
    """

    users: tuple[Address, ...]
    mails: tuple[Entity, ...]


def read_report(root: Entity) -> JournalReport:
    """Read a mail as a journal report; raises JournalReportError."""
    if root.content_type.type != "multipart/mixed" or not root.children:
        raise JournalReportError("it has not the parts of one")
    text, *others = root.children
    if text.content_type.type != "text/plain":
        raise JournalReportError("its first part is not the text of one")
    mails = tuple(one for one in others if one.content_type.type == EMBEDDED)
    if not 1 <= len(mails) <= MAX_MAILS:
        raise JournalReportError("there is no mail in it" if not mails else "there are too many mails in it")
    return JournalReport(_users(_decoded(text)), mails)


def returned_reports(root: Entity) -> tuple[Entity, ...]:
    """The parts of a non-delivery report that may hold a journal report which came back (RFC 6522)."""
    if root.content_type.type != "multipart/report":
        return ()
    return tuple(one for one in root.children if one.content_type.type == EMBEDDED)[:MAX_MAILS]


def _decoded(text: Entity) -> str:
    try:
        octets = text.decoded_body(MAX_TEXT_BYTES)
    except MimeError:
        raise JournalReportError("its text cannot be decoded or is too long") from None
    charset = text.content_type.parameters.get("charset", "utf-8")
    # Addresses are ASCII in every charset that Exchange writes but UTF-16; who has others writes UTF-8.
    found = decode_text(octets, "utf-8" if charset.lower() in ("", "us-ascii", "ascii") else charset)
    return octets.decode("utf-8", "replace") if found is None else found


def _users(text: str) -> tuple[Address, ...]:
    senders: list[Address] = []
    recipients: list[Address] = []
    named = set()
    for name, value in _facts(text):
        named.add(name)
        into = senders if name in _SENDERS else recipients
        into += (one for piece in _REDIRECTED.split(value) for one in read_addresses(piece.strip()))
    if "sender" not in named or not named & _RECIPIENTS:
        raise JournalReportError("its text names no sender or no recipient")
    users = tuple(dict.fromkeys((*senders, *recipients)))
    if len(users) > MAX_USERS:
        raise JournalReportError(f"its text names more than {MAX_USERS} users")
    return users


def _facts(text: str) -> Iterator[tuple[str, str]]:
    """Those that name users. The subject is the text of a stranger, but of one line, and names nobody."""
    for found in _LINE.finditer(text):
        name = found[1].lower()
        if (name in _SENDERS or name in _RECIPIENTS) and len(found[2]) <= MAX_VALUE_CHARS:
            yield name, found[2]
