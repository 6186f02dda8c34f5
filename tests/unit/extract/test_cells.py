"""Cells of .xlsx, .xlsb and .ods: in row order, numbers in full, dates; hostile sheets end."""

import io
import struct

import pytest
from python_calamine import CalamineWorkbook

from documents.cfb_writer import compound
from documents.office_writer import biff_string, cell, record
from documents.reading import read, reasons, text_of
from documents.workbook_writer import MAIN, binary_cell, binary_record, ods, package, wide, xlsx
from mailseal.extract.budget import Budget
from mailseal.extract.cell_values import Formats, digits, is_date, render
from mailseal.policy.inspection import GapReason, GapStatus, Inspection

STRINGS = "<si><t>Needle01</t></si><si><r><t>41</t></r><r><t>11 </t></r><rPh><t>phonetic</t></rPh></si>"
STYLES = (
    '<numFmts><numFmt numFmtId="170" formatCode="000\\-00\\-0000"/></numFmts>'
    '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
    '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="170"/></cellXfs>'
)


def cells(found: Inspection) -> str:
    return "".join(passage.text for passage in found.passages if passage.place == "file: cells")


def test_rows_of_an_xlsx() -> None:
    rows = (
        '<row><c t="s"><v>0</v></c><c><v>4.111111111111111E15</v></c><c t="s"><v>1</v></c></row>'
        '<row><c s="1"><v>45000.5</v></c><c s="2"><v>12345678</v></c><c><v>12345678901234567890</v></c></row>'
        '<row><c t="str"><f>"a"</f><v>Needle02</v></c><c t="inlineStr"><is><t>Needle03</t></is></c>'
        '<c t="b"><v>1</v></c><c t="d"><v>2024-02-29</v></c><c><v>1.25</v></c><c><v>no number</v></c></row>'
    )
    assert cells(read(xlsx(rows, strings=STRINGS, styles=STYLES))) == (
        "Needle01\t|\t4111111111111111\t|\t4111 \n|\n"
        "2023-03-15 12:00:00\t|\t12345678\t|\t012-34-5678\t|\t12345678901234567890\n"
        "Needle02\tNeedle03\t|\t1\t|\t2024-02-29\t|\t1.25\tno number"
    )


def test_prefixes_other_names_and_other_charsets_of_parts() -> None:
    sheet = '<?xml version="1.0" encoding="UTF-16"?><x:worksheet xmlns:x="m">'
    sheet += "<x:row><x:c><x:v>4.1E3</x:v></x:c></x:row></x:worksheet>"
    found = read(package({"[Content_Types].xml": "<Types/>", "any/part": sheet.encode("utf-16")}))
    assert cells(found) == "4100"


def test_cells_far_apart_cost_nothing() -> None:
    rows = '<row r="1"><c r="A1"><v>1E3</v></c></row><row r="1048576"><c r="XFD1048576"><v>4.2E3</v></c></row>'
    assert cells(read(xlsx(rows))) == "1000\n|\n4200"


def test_a_string_that_is_used_ever_so_often_is_over_the_budget() -> None:
    rows = "<row>" + '<c t="s"><v>0</v></c>' * 20_000 + "</row>"
    found = read(xlsx(rows, strings=f"<si><t>{'x' * 30_000}</t></si>"), Budget(characters=2_000_000))
    assert GapReason.TOO_LARGE in reasons(found)
    assert len(text_of(found)) < 3_000_000


def test_billion_laughs_and_depth() -> None:
    laughs = '<!DOCTYPE w [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>' + "<worksheet><c><v>&b;</v></c></worksheet>"
    assert reasons(read(package({"xl/worksheets/sheet1.xml": laughs, "[Content_Types].xml": ""})))
    deep = "<worksheet>" + "<d>" * 200_000 + "<c><v>4.2E3</v></c>" + "</d>" * 200_000 + "</worksheet>"
    assert "4200" in cells(read(package({"xl/worksheets/sheet1.xml": deep, "[Content_Types].xml": ""})))


def test_a_sheet_that_breaks_off() -> None:
    sheet = "<worksheet><row><c><v>4.2E3</v></c></row><row><c><v>"
    found = read(package({"xl/worksheets/sheet1.xml": sheet, "[Content_Types].xml": "<Types/>"}))
    assert cells(found) == "4200"
    assert GapReason.BROKEN in reasons(found)


def test_rows_of_an_xlsb() -> None:
    strings = binary_record(159, bytes(8)) + binary_record(19, b"\0" + wide("Needle01 機密"))
    styles = (
        binary_record(278)
        + binary_record(626)
        + binary_record(47, struct.pack("<HH", 0, 170))
        + binary_record(627)
        + binary_record(617)
        + binary_record(47, struct.pack("<HH", 0, 0))
        + binary_record(47, struct.pack("<HH", 0, 14))
        + binary_record(618)
    )
    sheet = (
        binary_record(129)
        + binary_record(0, bytes(12))
        + binary_cell(0, 7, struct.pack("<I", 0))
        + binary_cell(1, 5, struct.pack("<d", 4111111111111111))
        + binary_cell(2, 2, struct.pack("<i", 77 << 2 | 2))
        + binary_cell(3, 5, struct.pack("<d", 45000), 1)
        + binary_record(0, bytes(12))
        + binary_cell(0, 6, wide("Needle02"))
        + binary_cell(1, 8, wide("Needle03") + b"\0\0formula Needle04")
        + binary_cell(2, 62, b"\1" + wide("Needle05"))
        + binary_record(494, bytes(20) + wide("http://needle06.example"))
        + binary_record(479, wide("&LNeedle07"))
    )
    comments = binary_record(628) + binary_record(637, b"\0" + wide("Needle08 of a comment"))
    parts = {"xl/worksheets/sheet1.bin": sheet, "xl/sharedStrings.bin": strings, "xl/styles.bin": styles}
    found = read(package({"[Content_Types].xml": "<Types/>", **parts, "xl/comments1.bin": comments}))
    assert cells(found) == "Needle01 機密\t4111111111111111\t|\t77\t|\t2023-03-15\nNeedle02\tNeedle03\tNeedle05"
    assert [number for number in range(1, 9) if f"needle0{number}" not in text_of(found).lower()] == []


def test_rows_of_an_ods() -> None:
    rows = (
        '<table:table-row><table:table-cell office:value-type="string"><text:p>Needle01</text:p></table:table-cell>'
        '<table:table-cell office:value-type="float" office:value="4.111111111111111E15"><text:p>4.11E+15</text:p>'
        '</table:table-cell><table:table-cell office:value-type="date" office:date-value="1999-12-31">'
        "<text:p>New Year</text:p></table:table-cell></table:table-row>"
        '<table:table-row table:number-rows-repeated="1048576"><table:table-cell table:number-columns-repeated="16384">'
        "<text:p>41<text:span>11</text:span></text:p></table:table-cell></table:table-row>"
    )
    found = read(ods(rows))
    assert cells(found) == "Needle01\t|\t4.11E+15\t|\t4111111111111111\tNew Year\t1999-12-31\n|\n4111"


def test_an_encrypted_ods_is_a_gap() -> None:
    manifest = (
        "<manifest:manifest><manifest:file-entry><manifest:encryption-data/></manifest:file-entry></manifest:manifest>"
    )
    found = read(ods("", **{"META-INF/manifest.xml": manifest}))
    assert (GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED) in [(gap.status, gap.reason) for gap in found.gaps]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(4111111111111111.0, "4111111111111111"), (0.1, "0.1"), (-5.0, "-5"), (1e300, "1e+300"), (float("inf"), "inf")],
)
def test_numbers_in_full(value: float, shown: str) -> None:
    assert digits(value) == shown


@pytest.mark.parametrize(
    ("code", "date"),
    [
        ("yyyy-mm-dd", True), ("[h]:mm", True), ('0.00"d"', False), ("General", False), ("[Red]0", False),
        ("0\\d", False), ("#,##0", False), ("[$-409]mmm d", True),
    ],
)  # fmt: skip
def test_formats_of_dates(code: str, date: bool) -> None:
    assert is_date(200, code) is date


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (123456789, "000-00-0000", "123456789\t|\t123-45-6789"),
        (1, "00000", "1\t|\t00001"),
        (12345678901, "000-00-0000", "12345678901\t|\t12345-67-8901"),
        (5, '"No. "00', "5\tNo. 05"),
        (5, "0.00", "5"),
        (-5, "000", "-5"),
        (44197, "dd/mm/yyyy", "2021-01-01"),
        (1e15, "dd/mm/yyyy", "1000000000000000"),
        (0.5, "hh:mm", "12:00:00"),
    ],
)
def test_values_as_their_format_shows_them(value: float, code: str, shown: str) -> None:
    assert render(value, 0, Formats({200: code}, [200])) == shown


def as_shown(rows: list[list[object]]) -> str:
    """What calamine reads, as we say it."""
    shown = [[digits(value) if isinstance(value, float) else str(value) for value in row] for row in rows]
    return "\n".join("\t".join(filter(None, row)) for row in shown)


def without_bars(text: str) -> str:
    return text.replace("\t|\t", "\t").replace("\n|\n", "\n")


def test_another_reader_of_xlsx_sees_the_same_cells() -> None:
    rows = '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1"><v>4.111111111111111E15</v></c></row>'
    rows += '<row r="2"><c r="A2" s="1"><v>45000</v></c><c r="B2" t="inlineStr"><is><t>Needle</t></is></c></row>'
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    space = "http://schemas.openxmlformats.org/package/2006/relationships"

    def link(kind: str, target: str) -> str:
        one = f'<Relationship Id="r" Type="{relation}/{kind}" Target="{target}"/>'
        return f'<Relationships xmlns="{space}">{one}</Relationships>'

    sheet = '<sheet name="S" sheetId="1" r:id="r"/>'
    parts = {
        "_rels/.rels": link("officeDocument", "xl/workbook.xml"),
        "xl/_rels/workbook.xml.rels": link("worksheet", "worksheets/sheet1.xml"),
        "xl/workbook.xml": f'<workbook {MAIN} xmlns:r="{relation}"><sheets>{sheet}</sheets></workbook>',
    }
    file = xlsx(rows, strings=STRINGS, styles=STYLES, **parts)
    other = CalamineWorkbook.from_filelike(io.BytesIO(file)).get_sheet_by_index(0).to_python()
    assert as_shown(other) == without_bars(cells(read(file))) == "Needle01\t4111111111111111\n2023-03-15\tNeedle"


def test_another_reader_of_xls_sees_the_same_cells() -> None:
    strings = record(0xFC, struct.pack("<II", 1, 1) + biff_string("Needle 機密"))
    styles = b"".join(record(0xE0, struct.pack("<HH16x", 0, number)) for number in (0, 14))
    begin = record(0x809, struct.pack("<HHHHII", 0x600, 5, 0, 0, 0, 0)) + styles + strings
    sheet = record(0x85, struct.pack("<IBB", 0, 0, 0) + biff_string("S", length="<B"))
    at = len(begin) + len(sheet) + 4
    sheet = record(0x85, struct.pack("<IBB", at, 0, 0) + biff_string("S", length="<B")) + record(0x0A)
    values = (
        cell(0, 0, 0xFD, bytes(4))
        + cell(0, 1, 0x203, struct.pack("<d", 4111111111111111))
        + cell(1, 0, 0x27E, struct.pack("<i", -123456 * 4 | 3))
        + cell(1, 1, 0x203, struct.pack("<d", 45000), 1)
        + record(0xBD, struct.pack("<HHHiHiH", 2, 0, 0, 77001 << 2 | 2, 0, 77002 << 2 | 2, 1))
    )
    book = begin + sheet + record(0x809, struct.pack("<HHHHII", 0x600, 0x10, 0, 0, 0, 0)) + values + record(0x0A)
    file = compound({"Workbook": book.ljust(4096, b"\0")})
    other = CalamineWorkbook.from_filelike(io.BytesIO(file)).get_sheet_by_index(0).to_python()
    expected = "Needle 機密\t4111111111111111\n-1234.56\t2023-03-15\n77001\t77002"
    assert as_shown(other) == expected
    assert expected in without_bars(text_of(read(file)))
