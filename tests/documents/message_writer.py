"""Small writers of .msg ([MS-OXMSG]) and TNEF ([MS-OXTNEF])."""

import struct

from documents.cfb_writer import Tree

STRING8, UNICODE, BINARY, OBJECT = 0x1E, 0x1F, 0x102, 0x0D

Properties = dict[tuple[int, int], bytes]
"""Octets by the number and type of a property."""


def unicode(number: int, text: str) -> Properties:
    """A string."""
    return {(number, UNICODE): text.encode("utf-16-le")}


def message(properties: Properties, *, header: int = 32, numbers: dict[int, int] | None = None, **inner: Tree) -> Tree:
    """A storage with properties as streams; numbers are those of fixed size."""
    fixed = bytes(header)
    for number, value in (numbers or {}).items():
        fixed += struct.pack("<HHIII", 3, number, 6, value, 0)
    streams: Tree = {f"__substg1.0_{number:04X}{kind:04X}": value for (number, kind), value in properties.items()}
    return {"__properties_version1.0": fixed, **streams, **inner}


def compressed_rtf(rtf: bytes) -> bytes:
    """LZFu of literals only."""
    body = b"".join(b"\0" + rtf[at : at + 8] for at in range(0, len(rtf), 8))
    return struct.pack("<II4sI", len(body) + 12, len(rtf), b"LZFu", 0) + body


def attribute(level: int, name: int, value: bytes) -> bytes:
    """An attribute of TNEF."""
    return struct.pack("<BHHI", level, name, 6, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)


def property_list(properties: Properties) -> bytes:
    """Properties as TNEF has them."""
    out = struct.pack("<I", len(properties))
    for (number, kind), value in properties.items():
        out += struct.pack("<HH", kind, number)
        if kind in (STRING8, UNICODE, BINARY, OBJECT):
            out += struct.pack("<II", 1, len(value)) + value.ljust(-(-len(value) // 4) * 4, b"\0")
        else:
            out += value
    return out


def tnef(*attributes: bytes) -> bytes:
    """A file of attributes, with the version and code page before them."""
    head = attribute(1, 0x9006, struct.pack("<I", 0x10000)) + attribute(1, 0x9007, struct.pack("<II", 1252, 0))
    return bytes.fromhex("789f3e22") + b"\1\0" + head + b"".join(attributes)
