"""A mail as DLP reads it: header fields, every alternative, attachments, mails in mails (RFC 2045, RFC 2046).

A structure that can be read in several ways is read in all of them, and is a gap besides.
"""

import re
from urllib.parse import unquote_to_bytes

from mailseal.extract.identifiers import fields_to_read
from mailseal.extract.loose import say_fields, say_loosely, say_pieces
from mailseal.extract.sniff import bare_mail
from mailseal.extract.text import readings
from mailseal.extract.transfer import decoded_readings
from mailseal.extract.walk import Walk, shown
from mailseal.mail.encoded_word import decode_words
from mailseal.mail.entity import IDENTITY_ENCODINGS, Entity, MimeError
from mailseal.mail.mime import ParsedMessage, parse
from mailseal.policy.inspection import GapReason, GapStatus

_PARAMETER = re.compile(r"""name(?:\*[0-9]{0,3}\*?)?\s*=\s*("(?:[^"\\]|\\.)*+"|[^\s;]++)""", re.IGNORECASE)
_CHARSET_PREFIX = re.compile(r"^[\w.-]*'[\w-]*'")
_PART_HEADER = re.compile(rb"(?:^|[\r\n])content-(?:type|transfer-encoding)[ \t]*:", re.IGNORECASE)
_NAMING = frozenset({"content-type", "content-disposition"})
_MAIL_TYPES = frozenset({"message/rfc822", "message/global"})
_MBOX_LINE = re.compile(rb"^From [^\r\n]*\r?\n", re.MULTILINE)


def read_mail(octets: bytes, walk: Walk) -> None:
    """A mail that is a file, or in another mail. Raises OverBudgetError."""
    try:
        parsed = parse(bare_mail(octets))
    except MimeError as error:
        say_loosely(octets, walk, str(error))
        return
    read_parsed(parsed, walk)


def read_mbox(octets: bytes, walk: Walk) -> None:
    """Mails one after the other in a file (RFC 4155). Raises OverBudgetError."""
    starts = [found.start() for found in _MBOX_LINE.finditer(octets)]
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(octets)], strict=True), 1):
        mail = _MBOX_LINE.sub(b"", octets[start:end], count=1).replace(b"\n>From ", b"\nFrom ")
        walk.descend(mail, "", "message/rfc822", f"mail {number}")


def read_parsed(parsed: ParsedMessage, walk: Walk) -> None:
    """A mail whose structure is found already. Raises OverBudgetError."""
    root = parsed.root
    if parsed.fault is not None:
        say_loosely(bytes(root.octets), walk, str(parsed.fault))
        return
    for entity in root.walk():
        _say_header(entity, walk)
        if entity.children:
            _say_between(entity, walk)
        else:
            _read_leaf(entity, walk)


def _say_header(entity: Entity, walk: Walk) -> None:
    """The fields of the message each for itself, those of a part together."""
    names_of_fields = [one.name for one in entity.fields]
    say_fields(names_of_fields, fields_to_read(entity), walk, "" if not entity.path else "part header")
    values = [one.value(entity.buffer) for one in entity.fields if one.name in _NAMING]
    names = dict.fromkeys(name for value in values for name in _names(value))
    walk.say("\n".join(one for one in names if not any(one in value for value in values)), "file name")


def _names(value: str) -> list[str]:
    """The file names that readers may make of a field, however it is cut and encoded (RFC 2231, RFC 2047)."""
    pieces = [one.strip('"') for one in _PARAMETER.findall(value)]
    if not pieces:
        return []
    bare = [_CHARSET_PREFIX.sub("", one) for one in pieces]
    joined = "".join(bare)
    decoded = [unquote_to_bytes(one) for one in (*bare, joined) if "%" in one]
    return [
        joined,
        decode_words(joined),
        *map(decode_words, bare),
        *(text for one in decoded for text in readings(one)),
    ]


def _say_between(entity: Entity, walk: Walk) -> None:
    """What stands before the first part and behind the last; and whether the parts are sealed (RFC 1847 §2.2)."""
    for octets, place in ((entity.preamble, "before the parts"), (entity.epilogue, "behind the parts")):
        if bytes(octets).strip():
            walk.descend(bytes(octets), "", "text/plain", place)
            _read_unseen_parts(bytes(octets), walk, place)
    if entity.content_type.type == "multipart/encrypted":
        walk.gap(GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED, "its content is encrypted")


def _read_unseen_parts(octets: bytes, walk: Walk, place: str) -> None:
    """Parts in a text, for a reader to whom a line with more behind the boundary (RFC 2046 §5.1.1), a bare CR, or a
    boundary that is not named makes some. No gap: mails about mails have such lines too.
    """
    if _PART_HEADER.search(octets):
        say_pieces(octets, walk, f"{place}, piece")


def _read_leaf(entity: Entity, walk: Walk) -> None:
    name = entity.filename or ""
    kind = entity.content_type
    place = shown(name) if name else f"body ({kind.type})" if kind.type.startswith("text/") else f"part ({kind.type})"
    if kind.type == "message/partial":
        walk.gap(GapStatus.UNINSPECTABLE, GapReason.UNSUPPORTED, "a piece of a mail", place)
    declared = (entity.header("content-type") or kind.type) if not kind.malformed else ""
    if kind.malformed or "charset" in kind.ambiguous:
        walk.gap(GapStatus.PARTIAL, GapReason.AMBIGUOUS, "its type can be read in several ways", place)
        declared = ""
    if entity.transfer_encoding in IDENTITY_ENCODINGS and kind.type not in _MAIL_TYPES:
        _read_unseen_parts(bytes(entity.body), walk, place)
    for octets in decoded_readings(entity, walk, place):
        walk.descend(octets, name, declared, place)
        if not declared:
            walk.descend(octets, name, "text/html", place)
