"""Small writers of .xlsx (ECMA-376), .xlsb ([MS-XLSB]) and .ods (ODF 1.3): parts that are enough for their readers."""

import io
import struct
import zipfile

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_TYPES = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'


def package(parts: dict[str, "str | bytes"]) -> bytes:
    """A ZIP file of parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content, zipfile.ZIP_STORED if name == "mimetype" else None)
    return out.getvalue()


def xlsx(rows: str, *, strings: str = "", styles: str = "", **others: "str | bytes") -> bytes:
    """A workbook with one sheet; `others` are parts by their names."""
    return package(
        {
            "[Content_Types].xml": _TYPES,
            "xl/worksheets/sheet1.xml": f"<worksheet {MAIN}><sheetData>{rows}</sheetData></worksheet>",
            "xl/workbook.xml": f'<workbook {MAIN}><sheets><sheet name="S" sheetId="1"/></sheets></workbook>',
            "xl/sharedStrings.xml": f"<sst {MAIN}>{strings}</sst>",
            "xl/styles.xml": f"<styleSheet {MAIN}>{styles}</styleSheet>",
            **others,
        }
    )


def ods(table: str, **others: "str | bytes") -> bytes:
    """A spreadsheet with the rows of one table."""
    names = "urn:oasis:names:tc:opendocument:xmlns"
    head = f'xmlns:office="{names}:office:1.0" xmlns:table="{names}:table:1.0" xmlns:text="{names}:text:1.0"'
    body = f"<office:body><office:spreadsheet><table:table>{table}</table:table></office:spreadsheet></office:body>"
    return package(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "content.xml": f"<office:document-content {head}>{body}</office:document-content>",
            "META-INF/manifest.xml": "<manifest:manifest/>",
            **others,
        }
    )


def binary_record(kind: int, body: bytes = b"") -> bytes:
    """A record of a binary part."""
    head = bytes([kind]) if kind < 128 else bytes([kind & 0x7F | 0x80, kind >> 7])
    size, length = b"", len(body)
    while True:
        size += bytes([length & 0x7F | (0x80 if length > 0x7F else 0)])
        length >>= 7
        if not length:
            return head + size + body


def wide(text: str) -> bytes:
    """A string of a binary part."""
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def binary_cell(column: int, kind: int, value: bytes, style: int = 0) -> bytes:
    """A cell of a binary sheet."""
    return binary_record(kind, struct.pack("<II", column, style) + value)
