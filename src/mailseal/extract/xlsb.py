"""Binary workbooks of Office Open XML ([MS-XLSB]): cells with shared strings and formats, strings of other records."""

import struct
from collections.abc import Iterator

from mailseal.extract.cell_values import MAX_FORMATS, render
from mailseal.extract.row_text import RowText, lines
from mailseal.extract.string_sweep import sweep
from mailseal.extract.walk import Walk
from mailseal.extract.xls import unpacked
from mailseal.extract.xlsx import MAX_STRINGS, Workbook

SHEET, BOOK, STRINGS, STYLES, COMMENTS = 129, 131, 159, 278, 628
"""The first record of a part tells what it is."""

_ROW, _STRING_ITEM, _FORMAT, _STYLE, _BOOK_PROPERTIES = 0, 19, 44, 47, 153
_CELL_STYLES_BEGIN, _CELL_STYLES_END = 617, 618
_RK, _REAL, _STRING, _SHARED, _FORMULA_STRING, _FORMULA_NUMBER, _RICH_STRING = 2, 5, 6, 7, 8, 9, 62
_SHORT_RK, _SHORT_REAL, _SHORT_STRING, _SHORT_SHARED = 13, 16, 17, 18
_CELLS = {
    _RK: 8,
    _REAL: 8,
    _STRING: 8,
    _SHARED: 8,
    _FORMULA_STRING: 8,
    _FORMULA_NUMBER: 8,
    _RICH_STRING: 8,
    _SHORT_RK: 4,
    _SHORT_REAL: 4,
    _SHORT_STRING: 4,
    _SHORT_SHARED: 4,
}
"""Records of cells, and where their value begins: after the column, which short ones leave out, and the style."""


def first_record(part: bytes) -> int:
    """The number of a part's first record; -1 if it has none."""
    return next((kind for kind, _ in _records(part[:16])), -1)


def read_part(part: bytes, book: Workbook) -> None:
    """Strings, formats and properties. Raises struct.error where the part is broken."""
    of_cells = False
    for kind, body in _records(part):
        if kind == _STRING_ITEM and len(book.strings) < MAX_STRINGS:
            book.strings.append(_string(body, 1))
        elif kind == _FORMAT and len(book.formats.codes) < MAX_FORMATS:
            book.formats.codes[struct.unpack_from("<H", body)[0]] = _string(body, 2)
        elif kind in (_CELL_STYLES_BEGIN, _CELL_STYLES_END):
            of_cells = kind == _CELL_STYLES_BEGIN
        elif kind == _STYLE and of_cells and len(book.formats.styles) < MAX_FORMATS:
            book.formats.styles.append(struct.unpack_from("<H", body, 2)[0])
        elif kind == _BOOK_PROPERTIES:
            book.formats.since_1904 = bool(body[:1] > b"\0" and body[0] & 1)


def read_sheet(part: bytes, book: Workbook, rows: RowText) -> None:
    """The cells of a sheet. Raises struct.error, OverBudgetError."""
    for kind, body in _records(part):
        if kind == _ROW:
            rows.end_row()
        elif kind in _CELLS:
            rows.cell(_value(kind, body, _CELLS[kind], book))


def say_rest(part: bytes, walk: Walk) -> None:
    """The strings of records that are no cells: comments, headers, links, formulas, names."""
    formulas = (_FORMULA_STRING, _FORMULA_NUMBER)
    walk.say(lines(sweep(body) for kind, body in _records(part) if kind not in _CELLS or kind in formulas), "strings")


def _value(kind: int, body: bytes, at: int, book: Workbook) -> str:
    style = struct.unpack_from("<I", body, at - 4)[0] & 0xFFFFFF
    if kind in (_RK, _SHORT_RK):
        return render(unpacked(struct.unpack_from("<I", body, at)[0]), style, book.formats)
    if kind in (_REAL, _SHORT_REAL, _FORMULA_NUMBER):
        return render(struct.unpack_from("<d", body, at)[0], style, book.formats)
    if kind in (_SHARED, _SHORT_SHARED):
        (index,) = struct.unpack_from("<I", body, at)
        return book.strings[index] if index < len(book.strings) else ""
    return _string(body, at + (kind == _RICH_STRING))


def _string(body: bytes, at: int) -> str:
    (count,) = struct.unpack_from("<I", body, at)
    return body[at + 4 : at + 4 + 2 * count].decode("utf-16-le", "replace")


def _records(part: bytes) -> Iterator[tuple[int, bytes]]:
    """(number, octets) of each; one that is cut short is the last (§2.1.4)."""
    at = 0
    while at < len(part):
        kind, at = _variable(part, at, 2)
        size, at = _variable(part, at, 4)
        yield kind, part[at : at + size]
        at += size


def _variable(part: bytes, at: int, most: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 7 * most, 7):
        octet = part[at] if at < len(part) else 0
        at += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            break
    return value, at
