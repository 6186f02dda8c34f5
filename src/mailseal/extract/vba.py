"""The source of macros ([MS-OVBA] §2.4.1): the compressed containers in the streams of a storage "VBA"."""

import struct
from collections.abc import Iterator

_BEGIN = b"\0Attribut\0e "
"""How the first chunk of a module begins, after the mark of a container and the head of the chunk."""
_HEAD_OCTETS = 3
_CHUNK_OCTETS = 4096


def sources(stream: bytes) -> Iterator[bytes]:
    """The source of each module in a stream, in the code page of the project; what is broken ends one."""
    at = stream.find(_BEGIN)
    while at >= _HEAD_OCTETS:
        yield _decompressed(stream, at - _HEAD_OCTETS + 1)
        at = stream.find(_BEGIN, at + len(_BEGIN))


def _decompressed(octets: bytes, at: int) -> bytes:
    out = bytearray()
    while at + 2 <= len(octets):
        (head,) = struct.unpack_from("<H", octets, at)
        if head >> 12 & 7 != 3:
            break
        end = min(at + (head & 0xFFF) + 3, len(octets))
        if head & 0x8000:
            out += _chunk(octets[at + 2 : end])
        else:
            out += octets[at + 2 : at + 2 + _CHUNK_OCTETS]
        at = end
    return bytes(out)


def _chunk(octets: bytes) -> bytes:
    """Flags of eight, each for a literal octet or a copy of what the chunk has given so far (§2.4.1.3.2)."""
    out = bytearray()
    at = 0
    while at < len(octets) and len(out) < _CHUNK_OCTETS:
        flags = octets[at]
        at += 1
        for bit in range(8):
            if not flags >> bit & 1:
                out += octets[at : at + 1]
                at += 1
                continue
            if at + 2 > len(octets):
                return bytes(out)
            (token,) = struct.unpack_from("<H", octets, at)
            at += 2
            offset_bits = max((max(len(out), 1) - 1).bit_length(), 4)
            length = (token & (0xFFFF >> offset_bits)) + 3
            start = len(out) - (token >> (16 - offset_bits)) - 1
            if start < 0:
                return bytes(out)
            for step in range(length):
                out.append(out[start + step])
    return bytes(out)
