"""Small writers of .doc ([MS-DOC]), .xls ([MS-XLS]), .ppt ([MS-PPT]): what their readers need and no more."""

import struct

from documents.cfb_writer import Tree, compound


def property_set(strings: dict[int, str], *, codepage: int = 1252) -> bytes:
    """A property set stream ([MS-OLEPS]) with strings by their numbers; 1200 makes them UTF-16."""
    values = [(1, struct.pack("<II", 2, codepage))]
    for number, string in strings.items():
        data = string.encode("utf-16-le" if codepage == 1200 else f"cp{codepage}") + b"\0\0"
        values.append((number, struct.pack("<II", 30, len(data)) + data.ljust(-(-len(data) // 4) * 4, b"\0")))
    offset, table, body = 8 + 8 * len(values), b"", b""
    for number, value in values:
        table += struct.pack("<II", number, offset + len(body))
        body += value
    section = struct.pack("<II", offset + len(body), len(values)) + table + body
    return struct.pack("<HHI16sI", 0xFFFE, 0, 0, bytes(16), 1) + struct.pack("<16sI", bytes(16), 48) + section


def doc_streams(pieces: list[tuple[str, bool]], *, flags: int = 0, extra: bytes = b"") -> Tree:
    """WordDocument and 1Table: pieces of text, each narrow (cp1252) or wide (UTF-16), and octets of no piece."""
    main = bytearray(struct.pack("<HH", 0xA5EC, 0xC1).ljust(0x400, b"\0"))
    struct.pack_into("<H", main, 10, 0x0200 | flags)
    positions, descriptors = [0], b""
    for text, narrow in pieces:
        data = text.encode("cp1252" if narrow else "utf-16-le")
        where = len(main) * 2 | 1 << 30 if narrow else len(main)
        main += data + b"\0" * (len(data) % 2)
        positions.append(positions[-1] + len(data) // (1 if narrow else 2))
        descriptors += struct.pack("<HIH", 0, where, 0)
    main += extra
    plc = struct.pack(f"<{len(positions)}I", *positions) + descriptors
    clx = b"\x01" + struct.pack("<H", 4) + bytes(4) + b"\x02" + struct.pack("<I", len(plc)) + plc
    table = bytes(64) + clx
    struct.pack_into("<II", main, 0x01A2, 64, len(clx))
    return {"WordDocument": bytes(main).ljust(4096, b"\0"), "1Table": table}


def record(kind: int, body: bytes = b"") -> bytes:
    """A record of a workbook."""
    return struct.pack("<HH", kind, len(body)) + body


def biff_string(text: str, *, length: str = "<H", wide: bool = True) -> bytes:
    """A string with its length and flags."""
    return struct.pack(length, len(text)) + (
        b"\1" + text.encode("utf-16-le") if wide else b"\0" + text.encode("latin-1")
    )


def cell(row: int, column: int, kind: int, value: bytes, style: int = 0) -> bytes:
    """A record of a cell."""
    return record(kind, struct.pack("<HHH", row, column, style) + value)


def workbook(*records: bytes) -> bytes:
    """A stream Workbook of BIFF8 with these records."""
    return record(0x809, struct.pack("<HHHHII", 0x600, 5, 0, 0, 0, 0)) + b"".join(records) + record(0x0A)


def atom(kind: int, body: bytes, instance: int = 0) -> bytes:
    """A record of a presentation."""
    return struct.pack("<HHI", instance << 4, kind, len(body)) + body


def container(kind: int, *inner: bytes) -> bytes:
    """A record of a presentation that holds others."""
    body = b"".join(inner)
    return struct.pack("<HHI", 0xF, kind, len(body)) + body


def xls(*records: bytes, **others: "bytes | Tree") -> bytes:
    """A workbook as a file."""
    return compound({"Workbook": workbook(*records), **others})


def ppt(*records: bytes, **others: "bytes | Tree") -> bytes:
    """A presentation as a file."""
    return compound({"PowerPoint Document": b"".join(records), **others})
