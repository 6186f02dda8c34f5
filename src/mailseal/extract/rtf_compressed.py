"""Compressed RTF ([MS-OXRTFCP]): the body of messages in .msg files and TNEF.

The length and checksum that the header claims are not believed: what can be decompressed is.
"""

import struct

HEADER_OCTETS = 16
_COMPRESSED, _RAW = b"LZFu", b"MELA"
_DICTIONARY = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor "
    b"MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
_WINDOW = 4096


class CompressedRtfError(ValueError):
    """No header of compressed RTF."""


def decompressed(octets: bytes) -> bytes:
    """The RTF; at most eight times as long. Raises CompressedRtfError."""
    if len(octets) < HEADER_OCTETS:
        raise CompressedRtfError("no header")
    (size,) = struct.unpack_from("<I", octets, 4)
    match octets[8:12]:
        case b"MELA":
            return octets[HEADER_OCTETS:][:size]
        case b"LZFu":
            return _inflate(octets[HEADER_OCTETS:])
        case _:
            raise CompressedRtfError("an unknown compression")


def _inflate(octets: bytes) -> bytes:
    window = bytearray(_DICTIONARY.ljust(_WINDOW, b" "))
    write = len(_DICTIONARY)
    result = bytearray()
    at = 0
    while at < len(octets):
        control = octets[at]
        at += 1
        for bit in range(8):
            if not control >> bit & 1:
                piece = octets[at : at + 1]
                at += 1
                read, length = 0, len(piece)
            else:
                if at + 2 > len(octets):
                    return bytes(result)
                token = octets[at] << 8 | octets[at + 1]
                at += 2
                read, length = token >> 4, (token & 0xF) + 2
                if read == write:
                    return bytes(result)
                piece = b""
            for step in range(length):
                octet = piece[0] if piece else window[(read + step) % _WINDOW]
                window[write] = octet
                write = (write + 1) % _WINDOW
                result.append(octet)
    return bytes(result)
