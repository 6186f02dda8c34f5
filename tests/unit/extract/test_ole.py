"""Every place of .doc, .xls, .ppt and what is embedded in them is read; hostile compound files end."""

import io
import struct

import olefile
import pytest

from documents.cfb_writer import compound
from documents.office_writer import (
    atom,
    biff_string,
    cell,
    container,
    doc_streams,
    ppt,
    property_set,
    record,
    workbook,
    xls,
)
from documents.reading import read, text_of
from mailseal.extract.cfb import CompoundFile, CompoundFileError
from mailseal.policy.inspection import GapReason, GapStatus


def test_the_writer_of_these_tests_is_understood_by_others() -> None:
    big = bytes(range(256)) * 100
    tree = {"A": b"short", "St": {"big": big, "In": {"b": b"deep"}}}
    other = olefile.OleFileIO(io.BytesIO(compound(tree)))
    assert sorted(other.listdir()) == [["A"], ["St", "In", "b"], ["St", "big"]]
    assert other.openstream("St/big").read() == big
    root = CompoundFile(compound(tree)).root
    assert root.first("a") == b"short"
    assert root.storages[0].first("big") == big
    assert root.storages[0].storages[0].first("b") == b"deep"


def test_a_file_that_is_larger_than_its_header_can_tell() -> None:
    big = bytes(range(256)) * 32_000
    file = compound({"WordDocument": b"", "big": big, "small": b"needle"})
    other = olefile.OleFileIO(io.BytesIO(file))
    assert other.openstream("big").read() == big
    root = CompoundFile(file).root
    assert root.first("big") == big
    assert root.first("small") == b"needle"


DOC = (
    'Body Needle01 4111 \x13 HYPERLINK "http://needle02.example/" \x14Needle03\x15 spl\x13X\x14it\x15 4111 \x05\x02\r'
    "cell Needle04\x07cell Needle05\x07\x07 soft\x1fhyphen hard\x1ehyphen\r"
)


def doc_file() -> bytes:
    pieces = [
        (DOC, True),
        ("Überschrift Needle06 機密\r", False),
        ("Foot Needle07\r", True),
        ("Header Needle08\rComment Needle09\r", True),
        ("Text box Needle10 сек\r", False),
    ]
    streams = doc_streams(pieces, extra=b"\0\0Left over Needle11\0\0" + "Wide Needle12".encode("utf-16-le"))
    streams["Data"] = bytes(68) + "http://needle13.example/ü".encode("utf-16-le")
    streams["\x05SummaryInformation"] = property_set({2: "Title Needle14", 5: "Schlüssel Needle15"})
    streams["\x05DocumentSummaryInformation"] = property_set({14: "機密 Needle16"}, codepage=1200)
    label = b"packed.txt\0C:\\packed.txt\0\0\0\3\0" + struct.pack("<I", 4) + b"C:\\\0"
    native = b"\2\0" + label + struct.pack("<I", 15) + b"packed Needle17"
    streams["ObjectPool"] = {
        "_1": {"\x01Ole10Native": struct.pack("<I", len(native)) + native},
        "_2": {"Package": b"{\\rtf1 Needle18}"},
        "_3": {"Workbook": workbook(cell(0, 0, 0x204, biff_string("Needle19")))},
    }
    return compound(streams)


def test_every_place_of_a_doc() -> None:
    found = read(doc_file())
    text = text_of(found)
    missing = [number for number in range(1, 20) if f"needle{number:02}" not in text.lower()]
    assert not missing
    for whole in ("機密", "Überschrift", "сек", "softhyphen", "hard-hyphen", "split 4111", "packed.txt", "ü"):
        assert whole in text
    assert text.count("Needle01") == 1, "the sweep does not repeat the text"
    shown = next(passage.text for passage in found.passages if "Needle01" in passage.text)
    assert "HYPERLINK" not in shown
    assert "Needle04\tcell Needle05" in shown
    assert not found.gaps


def test_the_doc_of_an_older_word() -> None:
    main = bytearray(struct.pack("<HH", 0xA5DC, 0x68).ljust(0x300, b"\0")) + b"old needle\r"
    struct.pack_into("<II", main, 0x18, 0x300, len(main))
    assert "old needle" in text_of(read(compound({"WordDocument": bytes(main)})))


def sst(*strings: str) -> bytes:
    body = struct.pack("<II", len(strings), len(strings)) + b"".join(biff_string(text) for text in strings)
    return record(0xFC, body)


def test_every_place_of_an_xls() -> None:
    text_box = (
        record(0x1B6, struct.pack("<HH6xHH4x", 0, 0, 8, 0)) + record(0x3C, b"\0Needle06") + record(0x3C, bytes(16))
    )
    file = xls(
        record(0x41E, struct.pack("<H", 170) + biff_string("000000000")),
        *[record(0xE0, struct.pack("<HH16x", 0, number)) for number in (0, 14, 170)],
        record(0x85, struct.pack("<IBB", 0, 2, 0) + biff_string("Needle01", length="<B")),
        sst("Needle02 機密", "Needle03 of no cell"),
        record(0x14, biff_string("&LNeedle04")),
        record(0x15, biff_string("&LNeedle05")),
        cell(0, 0, 0xFD, struct.pack("<I", 0)),
        cell(0, 1, 0x203, struct.pack("<d", 4111111111111111)),
        cell(0, 2, 0x27E, struct.pack("<i", 123456 << 2 | 2)),
        cell(0, 3, 0x27E, struct.pack("<i", -123456 * 4 | 2 | 1)),
        cell(0, 4, 0x203, struct.pack("<d", 45000), 1),
        cell(0, 5, 0x203, struct.pack("<d", 12345678), 2),
        record(0xBD, struct.pack("<HHHiHiH", 1, 0, 0, 77001 << 2 | 2, 0, 77002 << 2 | 2, 1)),
        cell(2, 0, 0x06, b"\0\0\0\0\0\0\xff\xff" + bytes(6) + struct.pack("<H", 10) + b"\x17\x08\0Needle07"),
        record(0x207, biff_string("Needle08 of a formula")),
        cell(2, 1, 0x06, struct.pack("<d", 99123) + bytes(6)),
        text_box,
        record(0x1C, struct.pack("<HHHH", 0, 0, 0, 1) + biff_string("Needle09")),
        record(0x1B8, bytes(40) + "http://needle10.example".encode("utf-16-le")),
        record(0x204, struct.pack("<HHH", 3, 0, 0) + biff_string("Needle11", wide=False)),
    )
    found = read(file)
    text = text_of(found)
    missing = [number for number in range(1, 12) if f"needle{number:02}" not in text.lower()]
    assert not missing
    assert not found.gaps
    row = "Needle02 機密\t4111111111111111\t123456\t-1234.56\t2023-03-15\t12345678\t012345678\n77001\t77002\n"
    bars = text.replace("\t|\t", "\t").replace("\n|\n", "\n")
    assert row + "Needle08 of a formula\t99123" in bars


def test_a_string_that_goes_on_over_records() -> None:
    body = struct.pack("<IIH", 1, 1, 12) + b"\0" + b"Needl"
    file = xls(record(0xFC, body), record(0x3C, b"\1" + "e-機密!4".encode("utf-16-le")), cell(0, 0, 0xFD, bytes(4)))
    assert "Needle-機密!4" in text_of(read(file))


def test_the_xls_of_an_older_excel() -> None:
    head = record(0x809, struct.pack("<HHHH", 0x500, 0x10, 0, 0)) + record(0x42, struct.pack("<H", 1251))
    label = cell(0, 0, 0x204, struct.pack("<H", 6) + "секрет".encode("cp1251"))
    assert "секрет" in text_of(read(compound({"Book": head + label + record(0x0A)})))


def test_every_place_of_a_ppt() -> None:
    inner = doc_streams([("Needle07\r", True)])
    import zlib  # noqa: PLC0415

    packed = zlib.compress(compound(inner))
    file = ppt(
        container(0x3E8, container(0x3EE, atom(0xFA0, "Needle01\r機密".encode("utf-16-le")), atom(0xFA8, b"Needle02"))),
        container(0x3F0, atom(0xFA0, "Needle03 of notes".encode("utf-16-le"))),
        container(0xFD9, atom(0xFBA, "Needle04 footer".encode("utf-16-le"))),
        container(0x1388, atom(0x138B, container(0x2EE0, atom(0xFBA, "Needle05 comment".encode("utf-16-le"))))),
        atom(0xF00B, bytes(6) + "Needle06 alternate".encode("utf-16-le")),
        atom(0x1011, struct.pack("<I", 9000) + packed, 1),
        Pictures=b"Needle99 is noise" * 10,
    )
    found = read(file)
    text = text_of(found)
    assert [number for number in range(1, 8) if f"Needle{number:02}" not in text] == []
    assert "Needle01\n機密" in text
    assert "Needle99" not in text
    assert not found.gaps


def test_the_source_of_macros() -> None:
    source = b'Attribute VB_Name = "M"\r\nPassword = "needle-of-a-macro"\r\n'
    chunk = b"".join(b"\0" + source[at : at + 8] for at in range(0, len(source), 8))
    # then a copy of "needle", 26 octets back
    module = bytes(30) + b"\1" + struct.pack("<H", 0xB000 | len(chunk) - 1) + chunk
    found = read(compound({"PROJECT": b"", "VBA": {"M": module}}))
    assert "needle-of-a-macro" in text_of(found)
    assert not found.gaps


@pytest.mark.parametrize(
    "tree",
    [
        {"EncryptionInfo": b"\4\0\4\0", "EncryptedPackage": bytes(range(256)) * 20},
        doc_streams([("secret", True)], flags=0x100),
        {"Workbook": workbook(record(0x2F, bytes(54)), cell(0, 0, 0x204, b"\0" * 20))},
        {"PowerPoint Document": atom(0xFA8, b"secret"), "Current User": bytes(12) + struct.pack("<I", 0xF3D1C4DF)},
        {"PowerPoint Document": container(0x2F14, atom(0xFA8, b"secret"))},
        {"\x09DRMContent": bytes(5000)},
    ],
    ids=["ooxml", "doc", "xls", "ppt by its user", "ppt by its records", "rights management"],
)
def test_what_has_a_password_is_a_gap(tree: dict[str, bytes]) -> None:
    gaps = read(compound(tree)).gaps
    assert (GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED) in [(gap.status, gap.reason) for gap in gaps]


def test_the_compound_file_of_an_unknown_program() -> None:
    found = read(compound({"VisioDocument": b"needle of strings" + bytes(100)}))
    assert "needle of strings" in text_of(found)
    assert [gap.reason for gap in found.gaps] == [GapReason.UNKNOWN_FORMAT]


def patched(octets: bytes, at: int, value: int) -> bytes:
    return octets[:at] + struct.pack("<I", value) + octets[at + 4 :]


def test_streams_without_a_storage_and_with_one_name_are_read() -> None:
    file = compound({"WordDocument": b"", "a": b"needle one", "A": b"needle two", "lost": b"needle three"})
    directory = struct.unpack_from("<I", file, 48)[0]
    orphaned = patched(file, (directory + 1) * 512 + 3 * 128 + 72, 0xFFFFFFFF)  # "A" has no right sibling any more
    text = text_of(read(orphaned))
    assert [word for word in ("one", "two", "three") if word not in text] == []


def test_a_chain_that_is_a_circle_ends() -> None:
    file = compound({"WordDocument": b"needle" * 2000})
    fat = (len(file) - 512) // 512 - 1
    circle = patched(file, (fat + 1) * 512 + 4 * 3, 0)
    found = read(circle)
    assert "needle" in text_of(found)


def test_a_claim_of_huge_streams_costs_nothing_and_is_a_gap() -> None:
    file = compound({"WordDocument": b"x" * 5000})
    directory = struct.unpack_from("<I", file, 48)[0]
    found = read(patched(file, (directory + 1) * 512 + 128 + 120, 0x7FFFFFFF))
    assert GapReason.BROKEN in [gap.reason for gap in found.gaps]


def test_streams_that_share_their_sectors_are_a_gap() -> None:
    tree = {f"s{number}": b"y" * 50_000 for number in range(4)}
    file = bytearray(compound({"WordDocument": b"", **tree}))
    directory = struct.unpack_from("<I", file, 48)[0]
    many = compound({"WordDocument": b"", **{f"s{number}": b"" for number in range(50)}, "big": b"needle " * 20_000})
    directory = struct.unpack_from("<I", many, 48)[0]
    shared = bytearray(many)
    big = (directory + 1) * 512 + 52 * 128
    for number in range(2, 52):
        at = (directory + 1) * 512 + number * 128 + 116
        shared[at : at + 12] = many[big + 116 : big + 128]
    found = read(bytes(shared))
    assert len(text_of(found)) < 4 * len(many)
    assert GapReason.BROKEN in [gap.reason for gap in found.gaps]


def test_a_directory_in_circles_and_one_very_deep() -> None:
    file = bytearray(compound({"WordDocument": b"", "a": b"needle", "b": {}}))
    directory = (struct.unpack_from("<I", file, 48)[0] + 1) * 512
    file[directory + 3 * 128 + 76 : directory + 3 * 128 + 80] = struct.pack("<I", 1)
    assert "needle" in text_of(read(bytes(file)))
    tree: dict[str, object] = {"deep": b"needle of the deep"}
    for _ in range(500):
        tree = {"s": tree}
    found = read(compound({"WordDocument": b"", **tree}))
    assert "needle of the deep" in text_of(found)


@pytest.mark.parametrize("octets", [b"", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", bytes(512), compound({})[:600]])
def test_what_is_no_compound_file(octets: bytes) -> None:
    with pytest.raises(CompoundFileError):
        CompoundFile(octets)
