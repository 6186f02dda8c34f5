"""Property sets ([MS-OLEPS]): title, author, keywords, comments and custom properties of OLE documents."""

import struct
from collections.abc import Iterator
from itertools import islice

from mailseal.extract.codepage import LATIN, decode

MAX_SETS = 16
MAX_PROPERTIES = 10_000
"""Of a stream, however often its properties point at one another; the sweep of strings reads on."""

_CODEPAGE, _DICTIONARY = 1, 0
_I2, _I4, _R8, _BSTR, _UI4, _I8, _UI8, _LPSTR, _LPWSTR = 0x02, 0x03, 0x05, 0x08, 0x13, 0x14, 0x15, 0x1E, 0x1F
_VARIANT, _VECTOR = 0x0C, 0x1000
_NUMBERS = {_I2: "<h", _I4: "<i", _R8: "<d", _UI4: "<I", _I8: "<q", _UI8: "<Q"}


def property_texts(octets: bytes) -> Iterator[str]:
    """The texts and numbers of a property set stream, names of custom properties included; what is broken ends it."""
    return islice(_texts(octets), MAX_PROPERTIES)


def _texts(octets: bytes) -> Iterator[str]:
    try:
        (count,) = struct.unpack_from("<I", octets, 24)
        for at in range(min(count, MAX_SETS)):
            (offset,) = struct.unpack_from("<I", octets, 28 + 20 * at + 16)
            yield from _set_texts(octets[offset:])
    except struct.error:
        return


def _set_texts(octets: bytes) -> Iterator[str]:
    (count,) = struct.unpack_from("<I", octets, 4)
    offsets: dict[int, int] = {}
    for at in range(min(count, MAX_PROPERTIES)):
        identifier, offset = struct.unpack_from("<II", octets, 8 + 8 * at)
        offsets.setdefault(identifier, offset)
    codepage = LATIN
    if _CODEPAGE in offsets:
        (codepage,) = struct.unpack_from("<H", octets, offsets[_CODEPAGE] + 4)
    for identifier, offset in offsets.items():
        if identifier == _DICTIONARY:
            yield from _dictionary(octets, offset, codepage)
        elif identifier != _CODEPAGE:
            yield from _values(octets, offset, codepage)


def _values(octets: bytes, at: int, codepage: int) -> Iterator[str]:
    (kind,) = struct.unpack_from("<H", octets, at)
    at += 4
    count = 1
    if kind & _VECTOR:
        (count,) = struct.unpack_from("<I", octets, at)
        at += 4
    for _ in range(min(count, MAX_PROPERTIES)):
        inner = kind & 0xFFF
        if inner == _VARIANT:
            (inner,) = struct.unpack_from("<H", octets, at)
            at += 4
        if inner in _NUMBERS:
            (number,) = struct.unpack_from(_NUMBERS[inner], octets, at)
            at += max(4, struct.calcsize(_NUMBERS[inner]))
            yield str(number)
        elif inner in (_BSTR, _LPSTR, _LPWSTR):
            text, at = _string(octets, at, inner, codepage)
            yield text
        else:
            return


def _string(octets: bytes, at: int, kind: int, codepage: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<I", octets, at)
    size = 2 * length if kind == _LPWSTR else length
    text = decode(octets[at + 4 : at + 4 + size], 1200 if kind == _LPWSTR else codepage)
    return text.rstrip("\0"), at + 4 + (size + 3) // 4 * 4


def _dictionary(octets: bytes, at: int, codepage: int) -> Iterator[str]:
    (count,) = struct.unpack_from("<I", octets, at)
    at += 4
    for _ in range(min(count, MAX_PROPERTIES)):
        _, length = struct.unpack_from("<II", octets, at)
        size = 2 * length if codepage == 1200 else length
        yield decode(octets[at + 8 : at + 8 + size], codepage).rstrip("\0")
        at += 8 + (size + 3) // 4 * 4 if codepage == 1200 else 8 + size
