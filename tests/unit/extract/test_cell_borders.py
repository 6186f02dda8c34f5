"""Figures of two cells are no number together, in any workbook; words of two cells may be a phrase."""

import random
import struct
from collections.abc import Callable, Sequence

import pytest

from documents.office_writer import biff_string, cell, xls
from documents.reading import read
from documents.workbook_writer import binary_cell, binary_record, ods, package, wide, xlsx
from mailseal.extract.row_text import lines
from mailseal.policy.dlp.library import starters
from mailseal.policy.dlp.model import Kind, Pattern
from mailseal.policy.dlp.scanner import Scanner
from mailseal.policy.model import Action

Rows = Sequence[Sequence[int | str]]
CARD = 4111111111111111
WORDS = Pattern("w", 1, "words", Kind.KEYWORDS, "project nautilus", Action.WARN)
SCANNER = Scanner([next(one.pattern for one in starters() if one.pattern.id == "card"), WORDS])
RELATIONS = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'


def as_xlsx(rows: Rows) -> bytes:
    """Numbers as numbers, texts in the line; named as Excel does, so that the sheet is read apart as well."""
    texts = [
        [
            f"<c><v>{one}</v></c>" if isinstance(one, int) else f'<c t="inlineStr"><is><t>{one}</t></is></c>'
            for one in row
        ]
        for row in rows
    ]
    said = "".join(f"<row>{''.join(row)}</row>" for row in texts)
    sheet = f"<worksheet {RELATIONS}><sheetData>{said}</sheetData></worksheet>"
    return xlsx("", **{"xl/worksheets/sheet1.xml": sheet})


def as_shared(rows: Rows) -> bytes:
    """All as texts of their own part."""
    numbers = iter(range(1_000_000))
    cells = [[f'<c t="s"><v>{next(numbers)}</v></c>' for _ in row] for row in rows]
    said = "".join(f"<row>{''.join(row)}</row>" for row in cells)
    return xlsx(said, strings="".join(f"<si><t>{one}</t></si>" for row in rows for one in row))


def as_xlsb(rows: Rows) -> bytes:
    said, strings = binary_record(129), binary_record(159, bytes(8))
    for row in rows:
        said += binary_record(0, bytes(12))
        for column, one in enumerate(row):
            if isinstance(one, int):
                said += binary_cell(column, 5, struct.pack("<d", one))
            else:
                said += binary_cell(column, 6, wide(one))
            strings += binary_record(19, b"\0" + wide(str(one)))
    parts = {"xl/worksheets/sheet1.bin": said, "xl/sharedStrings.bin": strings}
    return package({"[Content_Types].xml": "<Types/>", **parts})


def as_xls(rows: Rows) -> bytes:
    said = []
    for at, row in enumerate(rows):
        for column, one in enumerate(row):
            if isinstance(one, int):
                said.append(cell(at, column, 0x203, struct.pack("<d", one)))
            else:
                said.append(cell(at, column, 0x204, biff_string(one)))
    return xls(*said)


def as_ods(rows: Rows) -> bytes:
    said = ""
    for row in rows:
        kind = 'office:value-type="float"'
        cells = [
            f'<table:table-cell {kind} office:value="{one}"><text:p>{one}</text:p></table:table-cell>' for one in row
        ]
        said += f"<table:table-row>{''.join(cells)}</table:table-row>"
    return ods(said)


FORMS = {"xlsx": as_xlsx, "shared": as_shared, "xlsb": as_xlsb, "xls": as_xls, "ods": as_ods}
Form = Callable[[Rows], bytes]


def found(octets: bytes) -> dict[str, int]:
    return {one.name: one.count for one in SCANNER.findings(read(octets))}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(
    "rows", [[[41111111, 11111111]], [[41111111], [11111111]], [[4111, 1111, 1111, 1111]], [[411111111111, -1111]]]
)
def test_figures_of_two_cells_are_no_number(form: Form, rows: Rows) -> None:
    assert found(form(rows)) == {}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_cell_is_looked_through_whatever_is_beside_it(form: Form) -> None:
    assert found(form([[2024, CARD, 17], ["4012 8888 8888 1881", 5]])) == {"Payment card number": 2}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_phrase_may_stand_in_two_cells(form: Form) -> None:
    assert found(form([["a", "project", "nautilus"]])) == {"words": 1}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_large_workbook_of_figures_has_no_card_by_chance(form: Form) -> None:
    chance = random.Random(7)
    rows = [[chance.randrange(10 ** chance.randint(1, 9)) for _ in range(12)] for _ in range(250)]
    assert found(form(rows)) == {}


def test_strings_of_no_cell() -> None:
    assert lines(["a", "", "41", "11 b", "c"]) == "a\n41\n|\n11 b\nc"
