"""Messages of Outlook: .msg and TNEF, every property, attachments and messages in messages."""

import struct

import pytest
from tnefparse import TNEF

from documents.cfb_writer import compound
from documents.message_writer import (
    BINARY,
    OBJECT,
    STRING8,
    attribute,
    compressed_rtf,
    message,
    property_list,
    tnef,
    unicode,
)
from documents.reading import read, text_of
from mailseal.extract.rtf_compressed import CompressedRtfError, decompressed
from mailseal.policy.inspection import GapReason

RTF = rb"{\rtf1 Needle03 of the RTF body}"


def msg_tree() -> dict[str, object]:
    inner = message(
        {**unicode(0x0037, "Needle11"), **unicode(0x1000, "Needle12 機密")}, header=24, numbers={0x3FFD: 1251}
    )
    return message(
        {
            **unicode(0x0037, "Needle01 機密"),
            **unicode(0x1000, "Needle02"),
            (0x1009, BINARY): compressed_rtf(RTF),
            (0x1013, BINARY): "<p>Needle04 секрет</p>".encode("cp1251"),
            **unicode(0x007D, "From: needle05@a.example"),
            (0x8001, STRING8): "Needle06 секрет".encode("cp1251"),
            (0x8002, BINARY): b"\0\1\2Needle07\0\1",
            (0x1A, 0x101F): b"\x14\0\0\0",
        },
        numbers={0x3FFD: 1251, 0x3FDE: 1251},
        **{
            "__substg1.0_8003101F-00000000": "Needle08".encode("utf-16-le"),
            "__recip_version1.0_#00000000": message(unicode(0x3003, "needle09@b.example"), header=8),
            "__attach_version1.0_#00000000": message(
                {**unicode(0x3707, "Needle10.txt"), (0x3701, BINARY): b"attached Needle13"}, header=8
            ),
            "__attach_version1.0_#00000001": message(
                unicode(0x3001, "a message"), header=8, **{"__substg1.0_3701000D": inner}
            ),
            "__nameid_version1.0": {"__substg1.0_00040102": "Needle14".encode("utf-16-le")},
        },
    )


def test_every_place_of_a_msg() -> None:
    found = read(compound(msg_tree()))
    text = text_of(found)
    assert [number for number in range(1, 15) if f"needle{number:02}" not in text.lower()] == []
    assert "Needle01 機密" in text
    assert "Needle12 機密" in text
    assert "Needle06 секрет" in text
    assert not found.gaps
    places = {passage.place for passage in found.passages}
    assert "file > Needle10.txt" in places
    assert "file > a message: subject" in places


def tnef_file() -> bytes:
    inner = tnef(attribute(1, 0x8004, b"Needle10\0"))
    message_id = bytes.fromhex("0703020000000000c000000000000046")
    return tnef(
        attribute(1, 0x8004, b"Needle01\0"),
        attribute(1, 0x800C, "Needle02 é".encode("cp1252")),
        attribute(
            1,
            0x9003,
            property_list(
                {(0x1009, BINARY): compressed_rtf(RTF), **unicode(0x1000, "Needle04 機密"), (3, 3): bytes(4)}
            ),
        ),
        attribute(
            1,
            0x9004,
            struct.pack("<I", 2)
            + property_list(unicode(0x3003, "a@a.example"))
            + property_list(unicode(0x3003, "needle05@b.example")),
        ),
        attribute(2, 0x9002, bytes(14)),
        attribute(2, 0x8010, b"NEEDLE06.TXT\0"),
        attribute(2, 0x800F, b"attached Needle07"),
        attribute(2, 0x8011, b"Needle99 in a picture" * 3),
        attribute(2, 0x9002, bytes(14)),
        attribute(2, 0x8010, b"Inner"),
        attribute(
            2,
            0x9005,
            property_list({**unicode(0x3707, "Needle08.msg"), (0x3701, OBJECT): message_id + inner}),
        ),
        attribute(1, 0x8006, b"\0\0\0Needle09"),
    )


def test_every_place_of_tnef() -> None:
    found = read(tnef_file())
    text = text_of(found)
    assert [number for number in range(1, 11) if f"needle{number:02}" not in text.lower()] == []
    assert "Needle04 機密" in text
    assert "Needle02 é" in text
    assert "Needle99" not in text
    assert not found.gaps


def test_the_writer_of_these_tests_is_understood_by_others() -> None:
    other = TNEF(tnef_file())
    assert [one.name for one in other.attachments] == ["NEEDLE06.TXT", "Inner"]
    assert bytes(other.attachments[0].data) == b"attached Needle07"


def test_named_properties() -> None:
    by_name = struct.pack("<HH16sII", 0x1F, 0x8001, bytes(16), 1, 12) + "Needle".encode("utf-16-le")
    by_name += struct.pack("<II", 1, 6) + "abc".encode("utf-16-le") + bytes(2)
    by_number = struct.pack("<HH16sII", 0x101E, 0x8002, bytes(16), 0, 77)
    by_number += struct.pack("<II4sI", 2, 3, b"one\0", 3) + b"two\0"
    text = text_of(read(tnef(attribute(1, 0x9003, struct.pack("<I", 2) + by_name + by_number))))
    assert [word for word in ("Needle", "abc", "one", "two") if word not in text] == []


@pytest.mark.parametrize("cut", [10, 60, 100, 400])
def test_tnef_that_is_cut_short_is_read_to_there(cut: int) -> None:
    found = read(tnef_file()[:-cut])
    assert "Needle01" in text_of(found)
    assert GapReason.BROKEN in [gap.reason for gap in found.gaps]


def test_a_list_of_properties_that_lies_about_its_lengths() -> None:
    lying = struct.pack("<IHHII", 0xFFFFFFFF, 0x1F, 0x1000, 1, 0xFFFFFFF0) + b"xx"
    found = read(tnef(attribute(1, 0x9003, lying), attribute(1, 0x8004, b"Needle")))
    assert "Needle" in text_of(found)
    assert [gap.reason for gap in found.gaps] == [GapReason.BROKEN]


def test_compressed_rtf_of_the_standard() -> None:
    octets = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
    )
    assert decompressed(octets) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    assert decompressed(octets[:-8]).startswith(b"{\\rtf1\\ansi\\ansicpg1252\\pard hel")
    assert decompressed(b"\0\0\0\0\3\0\0\0MELA\0\0\0\0abcdef") == b"abc"
    for bad in (b"", bytes(16)):
        with pytest.raises(CompressedRtfError):
            decompressed(bad)
