"""Spreadsheets of OpenDocument (ODF 1.3 part 3 §9.1): rows, and values in full where a cell shows them otherwise."""

from collections.abc import Iterable

from mailseal.extract.cell_values import digits
from mailseal.extract.row_text import RowText
from mailseal.extract.xml_events import local, tell

_VALUES = ("date-value", "time-value", "string-value", "boolean-value")


def read_content(chunks: Iterable[bytes], rows: RowText) -> None:
    """A part with the root `document-content`. Raises XmlError, OverBudgetError."""
    tell(chunks, _Tables(rows))


class _Tables:
    def __init__(self, rows: RowText) -> None:
        self._rows = rows
        self._values: list[str] = []
        self._pieces: list[str] = []
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in ("table-cell", "covered-table-cell"):
            self._depth += 1
            values = {local(key): value for key, value in attributes.items()}
            self._values = [values[key] for key in _VALUES if key in values]
            if "value" in values:
                self._values.append(_in_full(values["value"]))
        elif name in ("p", "line-break", "s", "tab"):
            self.text(" ")

    def end(self, name: str) -> None:
        if name == "table-row":
            self._rows.end_row()
        elif name in ("table-cell", "covered-table-cell"):
            self._depth -= 1
            shown = "".join(self._pieces).strip()
            self._rows.cell(shown)
            for value in self._values:
                if value != shown:
                    self._rows.cell(value)
            self._pieces, self._values = [], []

    def text(self, text: str) -> None:
        if self._depth:
            self._pieces.append(text)


def _in_full(value: str) -> str:
    try:
        return value if value.isdigit() else digits(float(value))
    except ValueError:
        return value
