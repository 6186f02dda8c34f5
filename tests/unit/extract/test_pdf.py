"""Every place of a PDF is read, whatever hides it; what cannot be read is a gap with its reason."""

import hashlib
import zlib

import pypdfium2 as pdfium
import pytest

from documents.pdf_writer import line, page_objects, pdf, stream, text
from documents.reading import read, reasons, text_of
from mailseal.extract.budget import Budget
from mailseal.extract.pdf_objects import object_strings
from mailseal.policy.inspection import GapReason, GapStatus

PAGE = b"".join(
    [
        line("Needle01", 50, 700),
        line("Needle02 invisible", 50, 680, before="3 Tr"),
        line("Needle03 white", 50, 660, before="1 g"),
        line("Needle04 beside the page", 9000, -9000),
        b"/OC /Hidden BDC " + line("Needle05 of a layer", 50, 640) + b"EMC\n",
        line("4111 1111", 50, 600) + line("1111 1111", 50, 585),
        line("confi-", 50, 560) + line("dential", 50, 545),
    ]
)


def needles_file() -> bytes:
    objects = page_objects(
        [PAGE, line("Needle06 on page two")],
        catalog=b"/AcroForm<</Fields[20 0 R]/DA(/F 12 Tf)>>/Outlines 50 0 R/Metadata 61 0 R"
        b"/Names<</EmbeddedFiles<</Names[(Needle08.txt) 30 0 R]>>/JavaScript<</Names[(j) 40 0 R]>>>>",
        page=b"/Annots[20 0 R 21 0 R 22 0 R 23 0 R 24 0 R]",
    )
    objects |= {
        20: b"<</Type/Annot/Subtype/Widget/FT/Tx/T(field)/V(value Needle07)/Rect[0 0 100 20]>>",
        21: b"<</Type/Annot/Subtype/Link/Rect[0 0 100 20]/A<</S/URI/URI(http://needle09.example/)>>>>",
        22: b"<</Type/Annot/Subtype/Text/Contents " + text("Needle10 機密") + b"/T(Needle11)/Rect[0 0 10 10]>>",
        23: b"<</Type/Annot/Subtype/Stamp/Rect[0 0 200 200]/AP<</N 60 0 R>>/F 4>>",
        24: b"<</Type/Annot/Subtype/FileAttachment/Rect[0 0 200 200]/FS 31 0 R>>",
        30: b"<</Type/Filespec/F(Needle08.txt)/UF(Needle08.txt)/EF<</F 32 0 R>>>>",
        31: b"<</Type/Filespec/F(Needle12.txt)/UF(Needle12.txt)/EF<</F 33 0 R>>>>",
        32: stream(b"attached Needle13", deflate=True),
        33: stream(b"attached Needle14", deflate=True),
        40: b"<</S/JavaScript/JS(app.alert\\('Needle15'\\))>>",
        50: b"<</First 51 0 R/Last 51 0 R/Count 1>>",
        51: b"<</Title(Needle16)/Parent 50 0 R/Next 51 0 R>>",
        60: stream(
            line("Needle17 of a stamp", 1, 1),
            entries=b"/Type/XObject/Subtype/Form/BBox[0 0 200 200]/Resources<</Font<</F 3 0 R>>>>",
        ),
        61: stream(b"<x:xmpmeta><a>Needle18</a></x:xmpmeta>", entries=b"/Type/Metadata/Subtype/XML", deflate=True),
        70: b"<</Title(Needle19)/Custom(Needle20 \\(in \\216 parentheses\\))>>",
        71: stream(b"80 0 81 20 <</A(Needle21)>> (Needle22)", entries=b"/Type/ObjStm/N 2/First 11", deflate=True),
    }
    return pdf(objects, b"/Root 1 0 R/Info 70 0 R")


def test_every_place_of_a_pdf() -> None:
    found = read(needles_file())
    all_text = text_of(found)
    assert [number for number in range(1, 23) if f"needle{number:02}" not in all_text.lower()] == []
    assert not found.gaps
    assert "confidential" in all_text
    assert "confi-dential" in all_text
    assert " ".join(all_text.split()).count("4111 1111 1111 1111") == 1
    assert "Needle10 機密" in all_text
    assert "file > Needle08.txt" in {passage.place for passage in found.passages}


def md5(*parts: bytes) -> bytes:
    return hashlib.md5(b"".join(parts), usedforsecurity=False).digest()


def rc4(key: bytes, data: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out, i, j = bytearray(), 0, 0
    for octet in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(octet ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


PAD = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")


def encrypted(password: bytes) -> bytes:
    """A file with the security handler of revision 2 (ISO 32000-1 §7.6.3), 40 bits of RC4."""
    padded = (password + PAD)[:32]
    owner = rc4(md5((b"owner" + PAD)[:32])[:5], padded)
    permissions = (-4 & 0xFFFFFFFF).to_bytes(4, "little")
    key = md5(padded, owner, permissions, b"0123456789abcdef")[:5]

    def sealed(number: int, data: bytes) -> bytes:
        return rc4(md5(key, number.to_bytes(3, "little"), b"\0\0")[:10], data)

    objects = page_objects([b""])
    objects[5] = stream(sealed(5, line("Needle01")))
    objects[70] = b"<</Custom<" + sealed(70, b"Needle02").hex().encode() + b">>>"
    objects[90] = b"<</Filter/Standard/V 1/R 2/P -4/O<%b>/U<%b>>>" % (
        owner.hex().encode(),
        rc4(key, PAD).hex().encode(),
    )
    identity = b"<" + b"0123456789abcdef".hex().encode() + b">"
    return pdf(objects, b"/Root 1 0 R/Info 70 0 R/Encrypt 90 0 R/ID[" + identity + identity + b"]")


def test_with_a_password_it_is_a_gap() -> None:
    found = read(encrypted(b"secret"))
    assert [(gap.status, gap.reason) for gap in found.gaps] == [(GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED)]
    assert "Needle" not in text_of(found)


def test_the_referee_opens_it_with_the_password() -> None:
    with pdfium.PdfDocument(encrypted(b"secret"), password="secret") as document:
        assert document.get_metadata_value("Custom") == "Needle02"


def test_what_any_reader_opens_is_read_though_encrypted() -> None:
    found = read(encrypted(b""))
    assert [one for one in ("Needle01", "Needle02") if one not in text_of(found)] == []
    assert not found.gaps


def test_attached_files_that_are_empty_or_broken() -> None:
    objects = page_objects([line("Needle01")], page=b"/Annots[24 0 R]")
    objects[24] = b"<</Type/Annot/Subtype/FileAttachment/Rect[0 0 9 9]/FS 31 0 R>>"
    objects[31] = b"<</Type/Filespec/F(empty.txt)/EF<</F 33 0 R>>>>"
    objects[33] = stream(b"")
    found = read(pdf(objects))
    assert "empty.txt" in text_of(found)
    assert not found.gaps
    objects[33] = b"(no stream)"
    assert reasons(read(pdf(objects))) == {GapReason.BROKEN}


def test_a_page_that_is_a_picture() -> None:
    objects = page_objects([b"q 600 0 0 800 0 0 cm /I Do Q", line("text")])
    objects[4] = objects[4].replace(b"/Font", b"/XObject<</I 9 0 R>>/Font")
    objects[9] = stream(
        b"\0", entries=b"/Type/XObject/Subtype/Image/Width 1/Height 1/BitsPerComponent 8/ColorSpace/DeviceGray"
    )
    gaps = read(pdf(objects)).gaps
    assert [(gap.status, gap.reason) for gap in gaps] == [(GapStatus.PARTIAL, GapReason.UNKNOWN_FORMAT)]


def test_fonts_that_do_not_tell_their_characters() -> None:
    objects = page_objects([b"BT /F 12 Tf 50 700 Td <0001000200030004> Tj ET"])
    objects[3] = b"<</Type/Font/Subtype/Type0/BaseFont/A/Encoding/Identity-H/DescendantFonts[10 0 R]>>"
    objects[10] = (
        b"<</Type/Font/Subtype/CIDFontType2/BaseFont/A/FontDescriptor 11 0 R/DW 1000"
        b"/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>>>"
    )
    objects[11] = (
        b"<</Type/FontDescriptor/FontName/A/Flags 4/FontBBox[0 0 1000 1000]/ItalicAngle 0"
        b"/Ascent 800/Descent -200/CapHeight 700/StemV 80>>"
    )
    assert reasons(read(pdf(objects))) == {GapReason.UNSUPPORTED}


@pytest.mark.parametrize(
    "octets",
    [b"%PDF-1.7\n", needles_file()[:100], needles_file().replace(b"/Pages", b"/Paged"), b"%PDF-1.4" + b"<<" * 200_000],
    ids=["head", "cut", "no pages", "200,000 deep"],
)
def test_what_is_broken_is_a_gap(octets: bytes) -> None:
    assert GapReason.BROKEN in reasons(read(octets))


def test_a_wrong_cross_reference_table_hides_nothing() -> None:
    wrong = needles_file().replace(b"00000 n", b"00001 n").replace(b"startxref\n", b"startxref\n9")
    found = read(wrong)
    assert found.gaps or "Needle01" in text_of(found)
    assert "Needle10 機密" in text_of(found)


def test_objects_200_000_deep() -> None:
    objects = page_objects([line("Needle01")])
    objects[8] = b"<</A " + b"[" * 200_000 + b"(Needle02)" + b"]" * 200_000 + b">>"
    assert "Needle02" in text_of(read(pdf(objects)))


@pytest.mark.parametrize("count", [b"1", b"0", b"-1", b"2000000000"])
def test_more_pages_or_fewer_than_it_says(count: bytes) -> None:
    objects = page_objects([line("Needle01"), line("Needle02"), line("Needle03")])
    objects[2] = objects[2].replace(b"/Count 3", b"/Count " + count)
    found = text_of(read(pdf(objects)))
    assert [number for number in range(1, 4) if f"Needle0{number}" not in found] == []


def test_a_page_tree_in_circles() -> None:
    objects = page_objects([line("Needle01")])
    objects[2] = b"<</Type/Pages/Count 3/Kids[4 0 R 2 0 R 2 0 R]>>"
    assert "Needle01" in text_of(read(pdf(objects)))


def test_a_bomb_in_objects_is_over_the_budget() -> None:
    objects = page_objects([line("Needle01")])
    packed = zlib.compress(b"(" + b" " * 30_000_000 + b")")
    objects[8] = b"<</Type/ObjStm/N 1/First 4/Filter/FlateDecode/Length %d>>stream\n%b\nendstream" % (
        len(packed),
        packed,
    )
    found = read(pdf(objects), Budget(octets=10_000_000))
    assert "Needle01" in text_of(found)
    assert reasons(found) == {GapReason.TOO_LARGE}


def test_objects_in_a_rare_compression_are_a_gap() -> None:
    objects = page_objects([line("Needle01")])
    objects[8] = stream(
        b"(Needle02)".hex().encode() + b">", entries=b"/Type/Obj#53tm/N 1/First 4/Filter/ASCIIHexDecode"
    )
    assert reasons(read(pdf(objects))) == {GapReason.UNSUPPORTED}


@pytest.mark.parametrize(
    ("octets", "strings"),
    [
        (rb"(plain text)", ["plain text"]),
        (rb"(in (one (more)))(next one)", ["in (one (more))", "next one"]),
        (rb"(es\(c\)aped \101\102 \\)", ["es(c)aped AB \\"]),
        (b"(line\\\nend)", ["lineend"]),
        (b"<48656c6c6f20>", ["Hello "]),
        (b"<<</K(never ends", ["never ends"]),
        (b"<feff4e2d65875b57" + b"0041>", ["中文字A"]),
        (b"\\(", []),
        (b"(" * 5, ["(" * 4]),
    ],
)
def test_strings_of_objects(octets: bytes, strings: list[str]) -> None:
    assert list(object_strings(octets)) == strings
