"""Documents that were good until somebody changed or cut their octets: each is read to some end, no reader raises."""

import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents.cfb_writer import compound
from documents.message_writer import attribute, compressed_rtf, message, property_list, tnef, unicode
from documents.office_writer import (
    atom,
    biff_string,
    cell,
    container,
    doc_streams,
    ppt,
    property_set,
    record,
    xls,
)
from documents.pdf_writer import line, page_objects, pdf, stream
from documents.reading import read
from documents.workbook_writer import binary_cell, binary_record, package, wide, xlsx
from mailseal.extract.budget import Budget
from mailseal.extract.cells import read_cells
from mailseal.extract.ole import read_ole
from mailseal.extract.pdf import read_pdf
from mailseal.extract.tnef import read_tnef
from mailseal.extract.walk import Handler, Walk

EXAMPLES = 60


def good_doc() -> bytes:
    streams = doc_streams([("text \x13 LINK \x14seen\x15", True), ("more", False)])
    return compound({**streams, "\x05SummaryInformation": property_set({2: "title", 5: "words"})})


def good_xls() -> bytes:
    strings = record(0xFC, struct.pack("<II", 1, 1) + biff_string("shared")[:7]) + record(0x3C, b"\0red")
    numbers = record(0xBD, struct.pack("<HHHiH", 1, 0, 0, 7 << 2 | 2, 0))
    box = record(0x1B6, struct.pack("<HH6xHH4x", 0, 0, 4, 0)) + record(0x3C, b"\0note")
    return xls(
        strings, cell(0, 0, 0xFD, bytes(4)), numbers, box, record(0x85, bytes(6) + biff_string("s", length="<B"))
    )


def good_ppt() -> bytes:
    return ppt(container(0x3E8, atom(0xFA0, b"t\0x\0"), atom(0xFA8, b"text")), atom(0x1011, bytes(4) + b"x\x9c", 1))


def good_msg() -> bytes:
    attached = message({**unicode(0x3707, "name"), (0x3701, 0x102): b"attached"}, header=8)
    properties = {**unicode(0x0037, "subject"), (0x1009, 0x102): compressed_rtf(b"{\\rtf1 x}")}
    return compound(message(properties, numbers={0x3FFD: 1252}, **{"__attach_version1.0_#00000000": attached}))


def good_tnef() -> bytes:
    listed = attribute(1, 0x9003, property_list({**unicode(0x1000, "body"), (3, 3): bytes(4)}))
    people = attribute(1, 0x9004, struct.pack("<I", 1) + property_list(unicode(0x3003, "a@a.example")))
    return tnef(listed, people, attribute(2, 0x9002, bytes(14)), attribute(2, 0x800F, b"attached"))


def good_pdf() -> bytes:
    objects = page_objects([line("text")], catalog=b"/Outlines 50 0 R", page=b"/Annots[20 0 R]")
    objects[20] = b"<</Type/Annot/Subtype/Text/Contents(comment)/Rect[0 0 9 9]/AP<</N 60 0 R>>>>"
    objects[50] = b"<</First 51 0 R/Last 51 0 R>>"
    objects[51] = b"<</Title(bookmark)/Parent 50 0 R/Next 51 0 R>>"
    objects[60] = stream(line("drawn", 1, 1), entries=b"/Subtype/Form/BBox[0 0 9 9]")
    objects[61] = stream(b"9 0 (text)", entries=b"/Type/ObjStm/N 1/First 4", deflate=True)
    return pdf(objects)


def good_xlsx() -> bytes:
    return xlsx('<row><c t="s"><v>0</v></c><c><v>4.1E15</v></c></row>', strings="<si><t>shared</t></si>")


def good_xlsb() -> bytes:
    sheet = binary_record(129) + binary_record(0, bytes(12)) + binary_cell(0, 6, wide("text"))
    return package({"[Content_Types].xml": "<Types/>", "xl/sheet1.bin": sheet + binary_cell(1, 5, bytes(8))})


GOOD: list[tuple[Callable[[], bytes], Handler]] = [
    (good_doc, read_ole),
    (good_xls, read_ole),
    (good_ppt, read_ole),
    (good_msg, read_ole),
    (good_tnef, read_tnef),
    (good_pdf, read_pdf),
    (good_xlsx, read_cells),
    (good_xlsb, read_cells),
]

changes = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(["cut", "repeat", "drop", "0000", "ffff", "octet"]),
        st.integers(0, 255),
    ),
    min_size=1,
    max_size=6,
)


def changed(octets: bytes, how: list[tuple[float, str, int]]) -> bytes:
    for where, what, value in how:
        at = int(where * len(octets))
        match what:
            case "cut":
                octets = octets[:at]
            case "repeat":
                octets = octets[:at] + octets[at : at + value] + octets[at:]
            case "drop":
                octets = octets[:at] + octets[at + value :]
            case "octet":
                octets = octets[:at] + bytes([value]) + octets[at + 1 :]
            case _:
                octets = octets[:at] + bytes.fromhex(what * 2) + octets[at + 4 :]
    return octets


@pytest.mark.parametrize(("good", "handler"), GOOD, ids=[good.__name__ for good, _ in GOOD])
@given(how=changes)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_no_change_makes_a_reader_raise(
    good: Callable[[], bytes], handler: Handler, how: list[tuple[float, str, int]]
) -> None:
    walk = Walk(
        Budget(characters=5_000_000, octets=50_000_000), lambda octets, inner: inner.say(octets.decode("latin-1"))
    )
    handler(changed(good(), how), walk)
    assert sum(len(passage.text) for passage in walk.told.passages) <= 5_000_000


@pytest.mark.parametrize("good", [good for good, _ in GOOD], ids=[good.__name__ for good, _ in GOOD])
def test_what_is_good_has_no_gaps(good: Callable[[], bytes]) -> None:
    gaps = read(good()).gaps
    assert not gaps or good is good_ppt, "whose object is cut short on purpose"
