"""A writer of DER (ITU-T X.690 §10): lengths from the inside out; large contents are joined once, at the very end."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from mailseal.mail.message import Octets
from mailseal.smime.ber import CONSTRUCTED, Element

NULL = b"\x05\x00"


def header(tag: int, length: int) -> bytes:
    """Tag and definite length in the shortest form."""
    if length < 0x80:
        return bytes((tag, length))
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets


def element(tag: int, *parts: bytes) -> bytes:
    """One small element of already encoded parts."""
    contents = b"".join(parts)
    return header(tag, len(contents)) + contents


def sequence(*parts: bytes) -> bytes:
    """SEQUENCE."""
    return element(0x30, *parts)


def set_of(parts: Iterable[bytes], tag: int = 0x31) -> bytes:
    """SET OF: its elements in ascending order of their encodings (X.690 §11.6)."""
    return element(tag, *sorted(parts))


def octet_string(value: bytes) -> bytes:
    """OCTET STRING."""
    return header(0x04, len(value)) + value


def bit_string(value: bytes) -> bytes:
    """BIT STRING of whole octets."""
    return element(0x03, b"\0", value)


def integer(value: int) -> bytes:
    """INTEGER in the fewest octets."""
    return element(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER from its dotted form."""
    first, second, *others = (int(arc) for arc in dotted.split("."))
    contents = bytearray()
    for arc in (first * 40 + second, *others):
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(arc & 0x7F | 0x80)
        contents += bytes(reversed(septets))
    return element(0x06, bytes(contents))


def time(at: datetime) -> bytes:
    """Time as CMS wants it: UTCTime until 2049, GeneralizedTime after (RFC 5652 §11.3)."""
    at = at.astimezone(UTC)
    if 1950 <= at.year < 2050:
        return element(0x17, at.strftime("%y%m%d%H%M%SZ").encode())
    return element(0x18, at.strftime("%Y%m%d%H%M%SZ").encode())


def enclose(tag: int, parts: Sequence[Octets]) -> list[Octets]:
    """The parts of an element around large parts, which are not copied: join the outermost once."""
    return [header(tag, sum(map(len, parts))), *parts]


def normalised(received: Element, tag: int | None = None) -> bytes:
    """The element with DER lengths and another tag, the order of its contents as received."""
    tag = received.tag if tag is None else tag
    if received.tag & CONSTRUCTED:
        return element(tag, *map(normalised, received.children))
    return element(tag, received.value)
