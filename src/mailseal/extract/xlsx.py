"""Workbooks of Office Open XML (ECMA-376 part 1, §18): the cells of worksheets, with shared strings and formats."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from mailseal.extract.cell_values import MAX_FORMATS, Formats, digits, render
from mailseal.extract.row_text import RowText
from mailseal.extract.xml_events import tell

MAX_STRINGS = 2_000_000


@dataclass(slots=True)
class Workbook:
    """What the cells refer to."""

    strings: list[str] = field(default_factory=list)
    formats: Formats = field(default_factory=Formats)


def read_strings(chunks: Iterable[bytes], book: Workbook) -> None:
    """The part with the root `sst`. Raises XmlError."""
    tell(chunks, _Strings(book.strings))


def read_styles(chunks: Iterable[bytes], book: Workbook) -> None:
    """The part with the root `styleSheet`. Raises XmlError."""
    tell(chunks, _Styles(book.formats))


def read_workbook(chunks: Iterable[bytes], book: Workbook) -> None:
    """The part with the root `workbook`. Raises XmlError."""
    tell(chunks, _Properties(book.formats))


def read_sheet(chunks: Iterable[bytes], book: Workbook, rows: RowText) -> None:
    """A part with the root `worksheet`. Raises XmlError, OverBudgetError."""
    tell(chunks, _Sheet(book, rows))


class _Strings:
    def __init__(self, strings: list[str]) -> None:
        self._strings = strings
        self._pieces: list[str] = []
        self._in_text = False
        self._phonetic = 0

    def start(self, name: str, _: dict[str, str]) -> None:
        self._in_text = name == "t" and not self._phonetic
        self._phonetic += name == "rPh"

    def end(self, name: str) -> None:
        self._in_text = False
        self._phonetic -= name == "rPh"
        if name == "si":
            if len(self._strings) < MAX_STRINGS:
                self._strings.append("".join(self._pieces))
            self._pieces = []

    def text(self, text: str) -> None:
        if self._in_text:
            self._pieces.append(text)


class _Styles:
    def __init__(self, formats: Formats) -> None:
        self._formats = formats
        self._of_cells = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        number = _number(attributes.get("numFmtId", ""))
        if name == "cellXfs":
            self._of_cells = True
        elif name == "numFmt" and len(self._formats.codes) < MAX_FORMATS:
            self._formats.codes[number] = attributes.get("formatCode", "")
        elif name == "xf" and self._of_cells and len(self._formats.styles) < MAX_FORMATS:
            self._formats.styles.append(number)

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self._of_cells = False

    def text(self, text: str) -> None:
        pass


class _Properties:
    def __init__(self, formats: Formats) -> None:
        self._formats = formats

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "workbookPr":
            self._formats.since_1904 = attributes.get("date1904", "") in ("1", "true")

    def end(self, name: str) -> None:
        pass

    def text(self, text: str) -> None:
        pass


class _Sheet:
    def __init__(self, book: Workbook, rows: RowText) -> None:
        self._book = book
        self._rows = rows
        self._kind = ""
        self._style = 0
        self._pieces: list[str] = []
        self._in_value = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._in_value = name in ("v", "t")
        if name == "c":
            self._kind = attributes.get("t", "n")
            self._style = _number(attributes.get("s", ""))
            self._pieces = []

    def end(self, name: str) -> None:
        self._in_value = False
        if name == "row":
            self._rows.end_row()
        elif name == "c":
            self._rows.cell(self._value("".join(self._pieces)))
            self._pieces = []

    def text(self, text: str) -> None:
        if self._in_value:
            self._pieces.append(text)

    def _value(self, text: str) -> str:
        if self._kind == "s":
            index = _number(text)
            return self._book.strings[index] if index < len(self._book.strings) else ""
        if self._kind != "n":
            return text
        try:
            value = float(text)
        except ValueError:
            return text
        exact = text.strip() if text.strip().isdigit() else digits(value)
        return render(value, self._style, self._book.formats, exact)


def _number(text: str) -> int:
    text = text.strip()
    return int(text) if text.isdecimal() and len(text) < 10 else 0
