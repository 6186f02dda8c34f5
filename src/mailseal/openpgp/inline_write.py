"""Mail with OpenPGP in its text and its files (inline): an entity in pieces to encrypt, and entities made of pieces."""

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mailseal.mail import base64_lines
from mailseal.mail.content_type import parameter
from mailseal.mail.encoded_word import is_text_in
from mailseal.mail.entity import Entity, MimeError
from mailseal.mail.message import with_crlf
from mailseal.mail.outgoing import encode_body, needs_seven_bit
from mailseal.openpgp import armor
from mailseal.openpgp.inline import leaves

_NOT_ASCII = frozenset({"utf-7", "utf-16", "utf-16le", "utf-16be", "hz-gb-2312"})
"""In these, ASCII does not stand for itself: what is read would depend on a name that no signature covers."""
_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,39}")
_WHOLE_TYPES = ("multipart/signed", "multipart/encrypted", "multipart/report")
_MAX_NAME_OCTETS = 200
_EXTENSIONS = {"message/rfc822": ".eml", "text/html": ".html", "text/calendar": ".ics", "text/plain": ".txt"}


@dataclass(frozen=True, slots=True)
class Piece:
    """What becomes of one part of a mail: text in a charset, or a file (with a name)."""

    content: bytes = field(repr=False)
    charset: str = ""
    filename: str = ""

    @property
    def is_text(self) -> bool:
        """Shown as text; else attached."""
        return not self.filename


def pieces_of(entity: Entity) -> tuple[Piece, ...] | None:
    """The parts of an entity, in order; None for a structure that cannot be taken apart."""
    if any(one.content_type.type in _WHOLE_TYPES for one in entity.walk()):
        return None
    try:
        return tuple(_piece(one, number) for number, one in enumerate(leaves(entity), 1))
    except MimeError:
        return None


def _piece(part: Entity, number: int) -> Piece:
    content = part.decoded_body(len(part.body))
    name = part.filename
    told = part.content_type.parameters.get("charset", "us-ascii")
    if part.content_type.type == "text/plain" and name is None and not _is_attached(part) and _holds_ascii(told):
        return Piece(content, charset_of(content, told))
    return Piece(content, filename=_safe(name) or f"part-{number}{_extension(part)}")


def _is_attached(part: Entity) -> bool:
    return (part.header("content-disposition") or "").lower().startswith("attachment")


def _extension(part: Entity) -> str:
    return _EXTENSIONS.get(part.content_type.type, "")


def _safe(name: str | None) -> str:
    """A file name that is data: no folder, nothing that cannot be shown, not endless."""
    shown = "".join(one for one in (name or "").replace("\\", "/").rpartition("/")[2] if one.isprintable())
    return shown.encode(errors="replace")[-_MAX_NAME_OCTETS:].decode(errors="ignore").strip(" .")


def charset_of(content: bytes, *told: str) -> str:
    """The first charset that mail uses and the content can be read in; UTF-8 if that fits, else Latin 1."""
    for name in (*told, "utf-8"):
        if _TOKEN.fullmatch(name) and _holds_ascii(name) and is_text_in(content, name):
            return name.lower()
    return "iso-8859-1"


def _holds_ascii(charset: str) -> bool:
    return charset.lower() not in _NOT_ASCII


def text_entity(content: bytes, charset: str) -> list[bytes]:
    """A text part with this content, transfer-encoded if transport could change it."""
    content = with_crlf(content)
    encoding, body = (b"7bit", content) if not needs_seven_bit(content) else encode_body(content, text=True)
    head = b"Content-Type: text/plain; charset=%b\r\nContent-Transfer-Encoding: %b\r\n\r\n"
    return [head % (charset.encode("ascii"), encoding), body]


def file_entity(content: bytes, filename: str) -> list[bytes]:
    """An attached file, whatever it is: octets to be saved."""
    name = _safe(filename) or "file"
    head = (
        f"Content-Type: application/octet-stream;\r\n {parameter('name', name)}\r\n"
        "Content-Transfer-Encoding: base64\r\n"
        f"Content-Disposition: attachment;\r\n {parameter('filename', name)}\r\n\r\n"
    )
    return [head.encode("ascii"), *base64_lines.encode(content)]


def sealed_text(message: Iterable[bytes], charset: str) -> list[bytes]:
    """An armored message as a text part; the charset is of what is in it."""
    head = b"Content-Type: text/plain; charset=%b\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
    return [head % charset.encode("ascii"), *message]


def cleartext_entity(piece: Piece, signatures: bytes, digest: str) -> list[bytes]:
    """A text in the cleartext framework, `signatures` being over `canonical_text` of it."""
    body = b"".join(armor.write_cleartext(piece.content, signatures, digest))
    encoding, encoded = (b"7bit", body) if not needs_seven_bit(body) else encode_body(body, text=True)
    head = b"Content-Type: text/plain; charset=%b\r\nContent-Transfer-Encoding: %b\r\n\r\n"
    return [head % (piece.charset.encode("ascii"), encoding), encoded]


def joined(parts: Sequence[list[bytes]]) -> list[bytes]:
    """One part as it is, several as multipart/mixed."""
    if len(parts) == 1:
        return parts[0]
    # 128 random bits: nobody can have put them into the content, so that it need not be searched.
    boundary = b"----" + secrets.token_hex(16).encode()
    lines = [b'Content-Type: multipart/mixed; boundary="%b"\r\n' % boundary]
    for part in parts:
        lines += [b"\r\n--%b\r\n" % boundary, *part]
    return [*lines, b"\r\n--%b--\r\n" % boundary]
