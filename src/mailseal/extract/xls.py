"""Excel workbooks of before 2007 ([MS-XLS]): cells in row order, comments, text boxes, headers, names, formulas."""

import struct
from collections.abc import Callable, Iterator, Mapping

from mailseal.extract.biff import Cursor, Record, records, shared_strings, text_at
from mailseal.extract.cell_values import MAX_FORMATS, Formats, render
from mailseal.extract.codepage import LATIN
from mailseal.extract.row_text import border, lines
from mailseal.extract.string_sweep import sweep

MAX_LINE = 100_000
"""Characters of cells that are joined before they are given out."""

_FILEPASS = 0x2F
_BIFF8 = 0x600
_NO_NUMBER = 0xFFFF
"""In the last octets of a formula's value: it is no number (§2.5.133)."""
_PICTURES = (0xEB, 0x7F, 0xE9)
"""Drawing groups and bitmaps: their strings are noise."""

Texts = Iterator[tuple[str, str]]


class XlsEncrypted(Exception):  # noqa: N818 - a state of the document, not an error of its reader
    """All that follows is encrypted."""


class Workbook:
    """Reads a stream "Workbook" or "Book" once; `broken` says whether a record was not as it should be.

    Each method that takes a record reads records of one kind.
    """

    def __init__(self) -> None:
        self.broken = False
        self._codepage: int | None = LATIN
        self._strings: list[str] = []
        self._used: set[int] = set()
        self._formats = Formats()
        self._row = self._string_row = -1
        self._line: list[str] = []
        self._length = 0

    def texts(self, stream: bytes) -> Texts:
        """(place, text) pairs. Raises XlsEncrypted at a FILEPASS record (§2.4.117)."""
        rest = []
        for record in records(stream):
            if record.kind == _FILEPASS:
                raise XlsEncrypted
            reader = _READERS.get(record.kind)
            try:
                if reader is not None:
                    yield from reader(self, record)
            except (struct.error, OverflowError, ValueError):
                self.broken = True
            if record.kind not in _PICTURES and (reader is None or record.kind in _FORMULAS):
                rest.append(record.body)
        yield from self._flush()
        unused = [text for at, text in enumerate(self._strings) if at not in self._used]
        yield "strings of no cell", lines(unused)
        yield "other records", sweep(b"\n".join(rest))

    def _cell(self, row: int, text: str) -> Texts:
        if not text:
            return
        parting = "\t" if row == self._row else "\n"
        self._line += (border(self._line[-1], text, parting) if self._line else "", text)
        self._row = row
        self._length += len(text)
        if self._length > MAX_LINE:
            yield from self._flush()

    def _flush(self) -> Texts:
        if self._line:
            yield "cells", "".join(self._line)
        self._line, self._length = [], 0

    def bof(self, record: Record) -> Texts:
        (version,) = struct.unpack_from("<H", record.body)
        if record.kind == _BOF and version == _BIFF8:
            self._codepage = None
        yield from self._flush()

    def set_codepage(self, record: Record) -> Texts:
        if self._codepage is not None:
            (self._codepage,) = struct.unpack_from("<H", record.body)
        yield from ()

    def since_1904(self, record: Record) -> Texts:
        self._formats.since_1904 = record.body[:1] == b"\x01"
        yield from ()

    def format(self, record: Record) -> Texts:
        (number,) = struct.unpack_from("<H", record.body)
        length_octets = 2 if self._codepage is None else 1
        if len(self._formats.codes) < MAX_FORMATS:
            self._formats.codes[number] = self._text(record, 2, length_octets)
        yield from ()

    def style(self, record: Record) -> Texts:
        self._formats.styles.append(struct.unpack_from("<H", record.body, 2)[0])
        yield from ()

    def _text(self, record: Record, at: int, length_octets: int = 2) -> str:
        return text_at(record, at, length_octets=length_octets, codepage=self._codepage)

    def shared(self, record: Record) -> Texts:
        self._strings.extend(shared_strings(record))
        yield from ()

    def sheet(self, record: Record) -> Texts:
        yield "sheet name", self._text(record, 6, 1)

    def header(self, record: Record) -> Texts:
        if record.body:
            yield "header or footer", self._text(record, 0, 2 if self._codepage is None else 1)

    def label(self, record: Record) -> Texts:
        yield from self._cell(struct.unpack_from("<H", record.body)[0], self._text(record, 6))

    def shared_label(self, record: Record) -> Texts:
        row, _, _, index = struct.unpack_from("<HHHI", record.body)
        if index >= len(self._strings):
            self.broken = True
            return
        self._used.add(index)
        yield from self._cell(row, self._strings[index])

    def formula_string(self, record: Record) -> Texts:
        yield from self._cell(self._string_row, self._text(record, 0))

    def number(self, record: Record) -> Texts:
        row, _, style, value = struct.unpack_from("<HHHd", record.body)
        yield from self._cell(row, render(value, style, self._formats))

    def rk(self, record: Record) -> Texts:
        row, _, style, packed = struct.unpack_from("<HHHI", record.body)
        yield from self._cell(row, render(unpacked(packed), style, self._formats))

    def many_rk(self, record: Record) -> Texts:
        (row,) = struct.unpack_from("<H", record.body)
        for at in range(4, len(record.body) - 7, 6):
            style, packed = struct.unpack_from("<HI", record.body, at)
            yield from self._cell(row, render(unpacked(packed), style, self._formats))

    def formula(self, record: Record) -> Texts:
        (kind,) = struct.unpack_from("<H", record.body, 12)
        if kind != _NO_NUMBER:
            yield from self.number(record)
        else:  # its text, if it is one, is in the next record
            (self._string_row,) = struct.unpack_from("<H", record.body)

    def text_box(self, record: Record) -> Texts:
        (count,) = struct.unpack_from("<H", record.body, 10)
        if len(record.parts) > 1:
            cursor = Cursor(record.parts[1:])
            yield "comment or text box", cursor.characters(count, wide=bool(cursor.number(1) & 1))

    def note(self, record: Record) -> Texts:
        if self._codepage is not None:
            yield "comment", self._text(record, 4)
        else:
            yield "author of a comment", self._text(record, 8)


def unpacked(packed: int) -> float:
    """An RK number (§2.5.217): an integer of 30 bits or the upper half of a double, perhaps of hundredths."""
    if packed & 2:
        value = float((packed >> 2) - (1 << 30 if packed & 0x80000000 else 0))
    else:
        (value,) = struct.unpack("<d", bytes(4) + struct.pack("<I", packed & 0xFFFFFFFC))
    return value / 100 if packed & 1 else value


_BOF = 0x809
_FORMULAS = (0x06, 0x206, 0x406)
_READERS: Mapping[int, Callable[[Workbook, Record], Texts]] = {
    _BOF: Workbook.bof,
    0x409: Workbook.bof,
    0x209: Workbook.bof,
    0x42: Workbook.set_codepage,
    0x22: Workbook.since_1904,
    0x41E: Workbook.format,
    0xE0: Workbook.style,
    0xFC: Workbook.shared,
    0x85: Workbook.sheet,
    0x14: Workbook.header,
    0x15: Workbook.header,
    0x204: Workbook.label,
    0xD6: Workbook.label,
    0xFD: Workbook.shared_label,
    0x207: Workbook.formula_string,
    0x203: Workbook.number,
    0x27E: Workbook.rk,
    0xBD: Workbook.many_rk,
    0x06: Workbook.formula,
    0x206: Workbook.formula,
    0x406: Workbook.formula,
    0x1B6: Workbook.text_box,
    0x1C: Workbook.note,
}
