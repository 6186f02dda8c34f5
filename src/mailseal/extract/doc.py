"""Word documents ([MS-DOC]): all text of the piece table, which is body, footnotes, headers, comments and text boxes.

Deleted and hidden text is text of the piece table too. Of a field (a link, a form field) both what a reader sees and
its instruction are read: the first in its place in the line, the second apart.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from mailseal.extract.codepage import LATIN, decode

_IDENTS = (0xA5EC, 0xA5DC)
_WORD_97 = 0xC1
_ENCRYPTED, _OTHER_TABLE = 0x0100, 0x0200
_PIECE_TABLE = 0x01A2
"""Where the place and length of the Clx stand in the file information block of Word 97 and later (§2.5.6)."""
_COMPRESSED = 1 << 30

_FIELD = re.compile("[\x13\x14\x15]")
_LINES = str.maketrans({"\x07": "\t", "\x0b": "\n", "\x0c": "\n", "\x0d": "\n", "\x0e": "\n", "\x1e": "-", "\xa0": " "})
_NOTHING = dict.fromkeys([*range(9), 0x0F, *range(0x10, 0x13), *range(0x16, 0x1E), 0x1F])
"""Anchors of pictures, notes and comments, optional hyphens: nothing that a reader sees."""
_NOTHING.pop(0x07)


class DocError(ValueError):
    """No file information block, or no piece table where it says."""


def is_encrypted(main: bytes) -> bool:
    """Whether the stream "WordDocument" says that it is encrypted or obfuscated (§2.5.2)."""
    if len(main) < 12 or struct.unpack_from("<H", main)[0] not in _IDENTS:
        return False
    return bool(struct.unpack_from("<H", main, 10)[0] & _ENCRYPTED)


def table_name(main: bytes) -> str:
    """The name of the stream with the tables of this document."""
    return "1Table" if len(main) >= 12 and struct.unpack_from("<H", main, 10)[0] & _OTHER_TABLE else "0Table"


@dataclass(frozen=True, slots=True)
class Piece:
    """Octets `start` to `stop` of the main stream: text of a code page, or of UTF-16."""

    start: int
    stop: int
    codepage: int

    def text(self, main: bytes) -> str:
        """The text as stored: with field marks and other control characters."""
        return decode(main[self.start : self.stop], self.codepage)


def pieces(main: bytes, table: bytes) -> list[Piece]:
    """The pieces of the text, in its order. Raises DocError."""
    try:
        ident, version = struct.unpack_from("<HH", main)
        if ident not in _IDENTS:
            raise DocError("not a Word document")
        if version < _WORD_97:
            start, stop = struct.unpack_from("<II", main, 0x18)
            return [Piece(start, min(stop, len(main)), LATIN)]
        offset, length = struct.unpack_from("<II", main, _PIECE_TABLE)
        return list(_pieces(len(main), table[offset : offset + length]))
    except struct.error:
        raise DocError("the file information block or piece table is cut short") from None


def _pieces(size: int, clx: bytes) -> Iterator[Piece]:
    at = 0
    while clx[at : at + 1] == b"\x01":
        at += 3 + struct.unpack_from("<H", clx, at + 1)[0]
    if clx[at : at + 1] != b"\x02":
        raise DocError("no piece table")
    (length,) = struct.unpack_from("<I", clx, at + 1)
    plc = clx[at + 5 : at + 5 + length]
    count = (len(plc) - 4) // 12
    if len(plc) < length or count < 0:
        raise DocError("no piece table")
    positions = struct.unpack_from(f"<{count + 1}I", plc)
    left = 2 * size
    for number in range(count):
        (where,) = struct.unpack_from("<I", plc, 4 * (count + 1) + 8 * number + 2)
        narrow = bool(where & _COMPRESSED)
        start = (where & (_COMPRESSED - 1)) // (2 if narrow else 1)
        wanted = (positions[number + 1] - positions[number]) * (1 if narrow else 2)
        stop = min(start + wanted, size)
        left -= max(0, stop - start)
        if wanted < 0 or left < 0 or stop < start + wanted:
            raise DocError("the piece table points outside the text")
        yield Piece(start, stop, LATIN if narrow else 1200)


def shown(text: str) -> str:
    """What a reader sees: results of fields, no instructions; cells and paragraphs apart, words whole."""
    return _tidy("".join(part for part, hidden in _fields(text) if not hidden))


def instructions(text: str) -> str:
    """The instructions of the fields: addresses of links, form fields, formulas."""
    return _tidy("\n".join(part for part, hidden in _fields(text) if hidden))


def _fields(text: str) -> Iterator[tuple[str, bool]]:
    """Pieces of text, each with whether it stands in the instruction of a field or of one around it."""
    open_fields: list[bool] = []
    hidden = at = 0
    for mark in _FIELD.finditer(text):
        if mark.start() > at:
            yield text[at : mark.start()], hidden > 0
        at = mark.end()
        if mark.group() == "\x13":
            open_fields.append(True)
            hidden += 1
        elif open_fields:
            hidden -= open_fields.pop()
            if mark.group() == "\x14":
                open_fields.append(False)
    yield text[at:], hidden > 0


def _tidy(text: str) -> str:
    return text.translate(_LINES).translate(_NOTHING)
