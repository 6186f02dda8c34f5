"""Packets (RFC 9580 §4): a tag and a body, framed in the old or the new format, whole or in partial lengths.

The body of a packet is a span of the buffer it was read from, or the partial bodies joined. Nothing here looks inside.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from mailseal.mail.message import Octets
from mailseal.openpgp.errors import PgpError, malformed
from mailseal.policy.reason import ReasonCode

MAX_PACKETS = 20_000
"""Of one sequence: a ring's certificate with all its signatures, a message to thousands."""


class Tag(IntEnum):
    """Packet types (RFC 9580 §5), and the one that only LibrePGP has."""

    PKESK = 1
    SIGNATURE = 2
    SKESK = 3
    ONE_PASS_SIGNATURE = 4
    SECRET_KEY = 5
    PUBLIC_KEY = 6
    SECRET_SUBKEY = 7
    COMPRESSED = 8
    SED = 9
    """Encrypted without any integrity (RFC 9580 §5.7)."""
    MARKER = 10
    LITERAL = 11
    TRUST = 12
    USER_ID = 13
    PUBLIC_SUBKEY = 14
    USER_ATTRIBUTE = 17
    SEIPD = 18
    OCB = 20
    """OCB Encrypted Data of LibrePGP, by gpg from 2.3 on."""
    PADDING = 21


DATA_TAGS = frozenset({Tag.COMPRESSED, Tag.SED, Tag.LITERAL, Tag.SEIPD, Tag.OCB})
"""Those which may have partial or indeterminate lengths (RFC 9580 §4.2.1.4, §4.2.2.4)."""
ENCRYPTED_TAGS = frozenset({Tag.SED, Tag.SEIPD, Tag.OCB})
FIRST_NON_CRITICAL = 40
"""Unknown packets from here on are passed over, those below are an error (RFC 9580 §4.3)."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet: `tag` 1 to 63, its body, and where in the buffer it stood, header included."""

    tag: int
    body: memoryview = field(repr=False)
    start: int
    end: int

    @property
    def octets(self) -> bytes:
        """A copy of the body; for small ones."""
        return bytes(self.body)

    @property
    def ignored(self) -> bool:
        """Whether it means nothing wherever it stands: marker, padding, trust, unknown and not critical."""
        return self.tag in (Tag.MARKER, Tag.PADDING, Tag.TRUST) or self.tag >= FIRST_NON_CRITICAL


def read_packets(octets: Octets, *, max_packets: int = MAX_PACKETS) -> Iterator[Packet]:
    """The packets that fill the buffer, one after the other, in either format; raises PgpError."""
    data = memoryview(octets)
    position, count = 0, 0
    while position < len(data):
        count += 1
        if count > max_packets:
            raise PgpError(ReasonCode.TOO_LARGE, "there are too many packets")
        packet = read_packet(data, position)
        yield packet
        position = packet.end


def read_packet(data: memoryview, start: int) -> Packet:
    """The packet that begins at `start`; raises PgpError."""
    first = data[start]
    if not first & 0x80:
        raise malformed("this is no OpenPGP packet")
    if first & 0x40:
        return _new_format(data, start, first & 0x3F)
    return _old_format(data, start, first >> 2 & 0x0F, first & 0x03)


def _old_format(data: memoryview, start: int, tag: int, length_type: int) -> Packet:
    """RFC 9580 §4.2.2."""
    body = start + 1 + (1, 2, 4, 0)[length_type]
    if body > len(data):
        raise malformed("a packet's header ends too early")
    if length_type == 3:
        if tag not in DATA_TAGS:
            raise malformed("a packet other than of data has no length")
        return Packet(tag, data[body:], start, len(data))
    return _whole(data, tag, start, body, int.from_bytes(data[start + 1 : body], "big"))


def _new_format(data: memoryview, start: int, tag: int) -> Packet:
    """RFC 9580 §4.2.1."""
    length, body, partial = _new_length(data, start + 1)
    if not partial:
        return _whole(data, tag, start, body, length)
    if tag not in DATA_TAGS:
        raise malformed("a packet other than of data has partial lengths")
    pieces = []
    # Old writers cut each of their writes into powers of two; more pieces than this only cost time.
    room = MAX_PACKETS + len(data) // 64
    while True:
        if body + length > len(data):
            raise malformed("a packet is cut off")
        pieces.append(data[body : body + length])
        body += length
        if not partial:
            return Packet(tag, memoryview(b"".join(pieces)), start, body)
        if len(pieces) > room:
            raise PgpError(ReasonCode.TOO_LARGE, "a packet is in too many pieces")
        length, body, partial = _new_length(data, body)


def _whole(data: memoryview, tag: int, start: int, body: int, length: int) -> Packet:
    end = body + length
    if end > len(data):
        raise malformed("a packet is cut off")
    if not tag:
        raise malformed("packet type 0 is reserved")
    return Packet(tag, data[body:end], start, end)


def _new_length(data: memoryview, at: int) -> tuple[int, int, bool]:
    """A length, where it ends, and whether more follow (RFC 9580 §4.2.1.1 to §4.2.1.4)."""
    try:
        first = data[at]
        if first < 192:
            return first, at + 1, False
        if first < 224:
            return (first - 192 << 8) + data[at + 1] + 192, at + 2, False
        if first < 255:
            return 1 << (first & 0x1F), at + 1, True
    except IndexError:
        raise malformed("a packet's header ends too early") from None
    if at + 5 > len(data):
        raise malformed("a packet's header ends too early")
    return int.from_bytes(data[at + 1 : at + 5], "big"), at + 5, False


def packet_header(tag: int, length: int) -> bytes:
    """The header of a packet in the new format, with the shortest length (RFC 9580 §4.2.1)."""
    first = 0xC0 | tag
    if length < 192:
        return bytes((first, length))
    if length < 8384:
        return bytes((first, (length - 192 >> 8) + 192, length - 192 & 0xFF))
    return bytes((first, 0xFF)) + length.to_bytes(4, "big")


def write_packet(tag: int, body: bytes) -> bytes:
    """A packet in the new format."""
    return packet_header(tag, len(body)) + body
