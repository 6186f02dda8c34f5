"""Files that people attach: a spreadsheet and a text (ECMA-376) of as few parts as they need, a zip with a password."""

import io
import zipfile
import zlib
from collections.abc import Sequence

_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_WORDS = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_FORM = "application/vnd.openxmlformats-officedocument"
_ENCRYPTED = b"\x01"
_WORD_32 = 0xFFFFFFFF


def spreadsheet(rows: Sequence[Sequence[str]]) -> bytes:
    """An .xlsx of one sheet."""
    lines = ("".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in row) for row in rows)
    cells = "".join(f"<row>{line}</row>" for line in lines)
    return _package(
        "xl/workbook.xml",
        f"{_FORM}.spreadsheetml.sheet.main+xml",
        {
            "xl/workbook.xml": f'<workbook xmlns="{_SHEET}" xmlns:r="{_OFFICE}"><sheets>'
            '<sheet name="Customers" sheetId="1" r:id="rId1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": _relationship("worksheet", "worksheets/sheet1.xml"),
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{_SHEET}"><sheetData>{cells}</sheetData></worksheet>',
        },
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_FORM}.spreadsheetml.worksheet+xml"/>',
    )


def text_document(paragraphs: Sequence[str]) -> bytes:
    """A .docx."""
    text = "".join(f"<w:p><w:r><w:t>{one}</w:t></w:r></w:p>" for one in paragraphs)
    document = f'<w:document xmlns:w="{_WORDS}"><w:body>{text}</w:body></w:document>'
    return _package("word/document.xml", f"{_FORM}.wordprocessingml.document.main+xml", {"word/document.xml": document})


def _package(main: str, form: str, parts: dict[str, str], more_types: str = "") -> bytes:
    types = (
        f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="xml" ContentType="application/xml"/>'
        f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/{main}" ContentType="{form}"/>{more_types}</Types>'
    )
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("[Content_Types].xml", types)
        package.writestr("_rels/.rels", _relationship("officeDocument", main))
        for name, part in parts.items():
            package.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{part}')
    return made.getvalue()


def _relationship(kind: str, target: str) -> str:
    return (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/{kind}" Target="{target}"/></Relationships>'
    )


def locked_zip(name: str, octets: bytes, password: bytes) -> bytes:
    """A zip of one file with a password, as every zip program opens it (APPNOTE.TXT 6.1); zipfile writes none."""
    check = zlib.crc32(octets)
    sealed = _sealed(bytes(11) + check.to_bytes(4, "big")[:1] + octets, password)
    facts = bytes.fromhex("1400") + _ENCRYPTED + bytes(7) + b"".join(
        number.to_bytes(4, "little") for number in (check, len(sealed), len(octets))
    ) + len(name).to_bytes(2, "little") + bytes(2)  # fmt: skip
    local = b"PK\x03\x04" + facts + name.encode() + sealed
    central = b"PK\x01\x02" + bytes.fromhex("1400") + facts + bytes(14) + name.encode()
    end = bytes(4) + b"\x01\x00" * 2 + len(central).to_bytes(4, "little") + len(local).to_bytes(4, "little") + bytes(2)
    return local + central + b"PK\x05\x06" + end


def _sealed(plain: bytes, password: bytes) -> bytes:
    """The zip format's own stream cipher: old and weak, and what people have."""
    keys = [0x12345678, 0x23456789, 0x34567890]

    def update(octet: int) -> None:
        keys[0] = _crc(keys[0], octet)
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & _WORD_32
        keys[2] = _crc(keys[2], keys[1] >> 24)

    for octet in password:
        update(octet)
    sealed = bytearray()
    for octet in plain:
        pair = (keys[2] | 2) & 0xFFFF
        sealed.append(octet ^ (pair * (pair ^ 1) >> 8) & 0xFF)
        update(octet)
    return bytes(sealed)


def _crc(before: int, octet: int) -> int:
    return zlib.crc32(bytes((octet,)), before ^ _WORD_32) ^ _WORD_32
