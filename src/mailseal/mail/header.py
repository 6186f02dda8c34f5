"""Header values and edits that keep every other octet (RFC 5322 §2.2, §3.4, RFC 2047)."""

import re

from mailseal.errors import PermanentError
from mailseal.mail.address import Address
from mailseal.mail.address_list import read_addresses, read_mailboxes
from mailseal.mail.encoded_word import decode_words, encode_words
from mailseal.mail.mime import Entity

MAX_LINE = 998
_FOLD_AT = 78

_NAME = re.compile(r"[!-9;-~]{1,76}")
_SEGMENT = re.compile(r"[ \t]*[^ \t]+")
_NOT_PLAIN = re.compile(r"[^\t -~]|=\?")
_COLON = re.compile(rb"[^!-~]*+:")
_NOT_PRINTED = bytes(set(range(256)) - set(range(0x21, 0x7F)))


class HeaderError(PermanentError):
    """A name or value that a header field cannot have."""


def addresses(entity: Entity, field: str) -> tuple[Address, ...]:
    """The addresses of all fields of that name (lower case), in order; what cannot be read is left out.

    Never an address that stands in a display name, comment or group name. At most 1000 per field.
    """
    values = entity.headers(field)
    if len(values) == 1:
        return read_addresses(values[0])
    return tuple(address for value in values for address in read_addresses(value))


def authors(entity: Entity) -> tuple[Address | None, ...]:
    """The mailboxes of all From fields; None for one that cannot be read. One author only if there is one element."""
    return tuple(one for value in entity.headers("from") for one in read_mailboxes(value))


def decoded_subject(entity: Entity) -> str:
    """The Subject with its encoded words decoded: one line always. Several Subject fields are joined by a space."""
    values = entity.headers("subject")
    return decode_words(values[0]) if len(values) == 1 else " ".join(decode_words(value) for value in values)


def seen_names(raw: bytes, name: bytes) -> list[int]:
    """Where in a field a name (lower case) ends that some reader may take for that of a field, or for its beginning.

    At the start, behind a CR anywhere, and behind octets that no name has. In linear time, whatever is in the field.
    """
    lower = raw.lower()
    ends: list[int] = []
    last = 0
    while (start := lower.find(name, last)) >= 0:
        before = lower[last:start].rstrip(_NOT_PRINTED)
        if b"\r" in lower[last + len(before) : start] or not (last or before):
            ends.append(start + len(name))
        last = start + len(name)
    return ends


def seen_values(raw: bytes, name: bytes) -> list[int]:
    """As `seen_names`, but where the value begins: behind the whole name and its colon."""
    colons = (_COLON.match(raw, end) for end in seen_names(raw, name))
    return [found.end() for found in colons if found is not None]


def unfolded(raw: bytes) -> bytes:
    """The octets of a field without its line ends (RFC 5322 §2.2.3): a CR that is left is a bare one."""
    return raw.replace(b"\r\n", b"")


def encode_value(name: str, value: str) -> bytes:
    """The field line(s) of an unstructured value, CRLF at the end; raises HeaderError for CR, LF or NUL.

    Folded at white space to 78 octets where possible; what is not printable ASCII becomes RFC 2047 words.
    """
    if not _NAME.fullmatch(name):
        raise HeaderError("a header field name is made of printable ASCII without a colon")
    if "\r" in value or "\n" in value or "\0" in value:
        raise HeaderError(f"the value of the header field {name} has a line end or NUL")
    value = value.strip(" \t")
    if not _NOT_PLAIN.search(value):
        line = f"{name}: {value}\r\n"
        if len(line) <= _FOLD_AT + 2:
            return line.encode("ascii")
        segments = _SEGMENT.findall(value)
        if max(map(len, segments)) < MAX_LINE - len(name) - 2:
            return _folded(name, segments)
    words = encode_words(value, _FOLD_AT - len(name) - 2)
    return b"%s: %s\r\n" % (name.encode("ascii"), b"\r\n ".join(words))


def _folded(name: str, segments: list[str]) -> bytes:
    """Fold before the white space of a segment: unfolding gives the value back, and no line is blank."""
    lines: list[str] = []
    line = f"{name}: "
    fresh = True
    for segment in segments:
        if not fresh and len(line) + len(segment) > _FOLD_AT:
            lines.append(line)
            line = segment
        else:
            line += segment
        fresh = False
    lines.append(line)
    return "\r\n".join(lines).encode("ascii") + b"\r\n"
