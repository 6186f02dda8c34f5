"""The entity that is signed or encrypted, made safe for seven-bit transport (RFC 8551 §3.1, RFC 2045 §6)."""

import binascii

import re2

from mailseal.mail import base64_lines
from mailseal.mail.message import Octets
from mailseal.mail.mime import Entity, HeaderField, MimeError

_UNTOUCHED = frozenset({"multipart/signed", "multipart/encrypted"})
_MAX_LINE = 1000  # with its CRLF
_NOT_ASCII = bytes(range(128))


def _octet_options() -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = True
    return options


# one pass of a linear automaton: three times as fast as one search per string
_UNSAFE = re2.compile(rb"[\x00\x80-\xff]|[ \t]\r\n|\r[^\n]|[^\r]\n|\nFrom ", _octet_options())


def split_for_protection(root: Entity) -> tuple[list[HeaderField], list[Octets]]:
    """The fields that stay outside, and the entity that is protected: the Content-* fields, a blank line, the body.

    MIME-Version is in neither: the new message has its own.
    """
    outer: list[HeaderField] = []
    inner: list[bytes] = []
    for field in root.fields:
        if field.name.startswith("content-"):
            raw = field.raw(root.buffer)
            inner.append(raw if raw.endswith(b"\n") else raw + b"\r\n")
        elif field.name != "mime-version":
            outer.append(field)
    inner.append(b"\r\n")
    return outer, [b"".join(inner), root.body]


def needs_seven_bit(entity_octets: bytes) -> bool:
    """Whether transport could change these octets (RFC 8551 §3.1.3).

    It could if there are 8-bit or NUL octets, a bare CR or LF, white space before a line end, a line that starts with
    "From ", or one longer than 998 octets.
    """
    return (
        _UNSAFE.search(entity_octets) is not None
        or entity_octets.startswith((b"\n", b"From "))
        or entity_octets.endswith((b"\r", b" ", b"\t"))
        or _has_long_line(entity_octets)
    )


def _line_ends_are_crlf(octets: bytes) -> bool:
    pairs = octets.count(b"\r\n")
    return pairs == octets.count(b"\r") == octets.count(b"\n")


def _has_long_line(octets: bytes) -> bool:
    """Jump from the last line end within a line's length to the next: about one step per 998 octets."""
    position, end = 0, len(octets)
    while end - position >= _MAX_LINE:
        line_end = octets.rfind(b"\n", position, position + _MAX_LINE)
        if line_end < 0:
            return True
        position = line_end + 1
    return end - position > _MAX_LINE - 2 and octets.find(b"\n", position) < 0


def signable(root: Entity) -> bytes:
    """The entity of `split_for_protection` with every part that transport could change encoded anew.

    A part that needs nothing keeps its octets, and so does everything in multipart/signed, multipart/encrypted and
    message/* parts, which nobody may re-encode. Line ends of the message must be CRLF.
    """
    _, chunks = split_for_protection(root)
    header, body = bytes(chunks[0]), chunks[1]
    entity = header + body
    if not needs_seven_bit(entity):
        return entity
    if not root.children:
        changed = _encoded(root)
        if changed is None:
            return entity
        encoding, encoded = changed
        return _header_with_encoding(root, encoding, only_content=True) + b"\r\n" + encoded
    pieces: list[bytes] = [header]
    kept_from = root.body_start
    for part in _leaves(root):
        changed = _encoded(part)
        if changed is not None:
            encoding, encoded = changed
            pieces.append(root.buffer[kept_from : part.start])
            pieces.append(_header_with_encoding(part, encoding, only_content=False))
            pieces.extend((b"\r\n", encoded))
            kept_from = part.end
    pieces.append(root.buffer[kept_from : root.end])
    return b"".join(pieces)


def _leaves(root: Entity) -> list[Entity]:
    """The parts that may be re-encoded, in order."""
    leaves: list[Entity] = []
    waiting = [root]
    while waiting:
        entity = waiting.pop()
        if entity.content_type.type in _UNTOUCHED:
            continue
        if entity.children:
            waiting.extend(reversed(entity.children))
        else:
            leaves.append(entity)
    return leaves


def _encoded(part: Entity) -> tuple[bytes, bytes] | None:
    """The new transfer encoding and body of a part; None if it needs none or none may be given."""
    media_type = part.content_type.type
    body = bytes(part.body)
    if media_type.startswith(("multipart/", "message/")) or not body or not needs_seven_bit(body):
        return None
    try:
        decoded = part.decoded_body(len(body))
    except MimeError:
        return None
    return encode_body(decoded, text=media_type.startswith("text/"))


def encode_body(content: bytes, *, text: bool) -> tuple[bytes, bytes]:
    """Content as (transfer encoding, encoded body): quoted-printable for text that is mostly ASCII, else base64."""
    if text and _fits_quoted_printable(content):
        return b"quoted-printable", _quoted_printable(content)
    return b"base64", b"".join(base64_lines.encode(content))


def _fits_quoted_printable(content: bytes) -> bool:
    return (
        _line_ends_are_crlf(content)
        and b"\0" not in content
        and len(content.translate(None, _NOT_ASCII)) * 6 <= len(content)
    )


def _quoted_printable(content: bytes) -> bytes:
    """As Python's binascii writes it (which needs a CRLF before the first soft line break to break with CRLF)."""
    encoded = binascii.b2a_qp(b"\r\n" + content, quotetabs=False, istext=True)[2:]
    # "=46rom" and a soft line break: the line cannot become longer than the 76 octets it may have
    encoded = encoded.replace(b"\nFrom ", b"\n=46rom=\r\n ")
    return b"=46rom=\r\n " + encoded[5:] if encoded.startswith(b"From ") else encoded


def _header_with_encoding(part: Entity, encoding: bytes, *, only_content: bool) -> bytes:
    """The fields of a part, its Content-Transfer-Encoding replaced in place or added at the end."""
    pieces: list[bytes] = []
    line = b"Content-Transfer-Encoding: %s\r\n" % encoding
    placed = False
    for field in part.fields:
        if field.name == "content-transfer-encoding":
            if not placed:
                pieces.append(line)
            placed = True
        elif not only_content or field.name.startswith("content-"):
            raw = field.raw(part.buffer)
            pieces.append(raw if raw.endswith(b"\n") else raw + b"\r\n")
    if not placed:
        pieces.append(line)
    return b"".join(pieces)
