"""Archives for tests: zip files, whole or damaged; cabinets and rar files, stored; others as libarchive writes them."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping

import libarchive


def zipped(files: Mapping[str, bytes | str], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.comment = comment
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def locked(archive: bytes) -> bytes:
    """The same zip with every file said to be encrypted."""
    octets = bytearray(archive)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = octets.find(mark)
        while at >= 0:
            octets[at + offset] |= 1
            at = octets.find(mark, at + 1)
    return bytes(octets)


def written(kind: str, files: Mapping[str, bytes], packed: str | None = None) -> bytes:
    """An archive as libarchive writes it."""
    pieces: list[bytes] = []

    def keep(octets: bytes) -> int:
        pieces.append(bytes(octets))
        return len(octets)

    with libarchive.custom_writer(keep, kind, packed) as archive:
        for name, content in files.items():
            archive.add_file_from_memory(name, len(content), content)
    return b"".join(pieces)


def cabinet(name: str, content: bytes) -> bytes:
    """One file in one folder without compression ([MS-CAB] §2)."""
    file = struct.pack("<IIHHHH", len(content), 0, 0, 0, 0, 0x20) + name.encode() + b"\0"
    data = struct.pack("<IHH", 0, len(content), len(content)) + content
    files_at = 36 + 8
    folder = struct.pack("<IHH", files_at + len(file), 1, 0)
    size = files_at + len(file) + len(data)
    return struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, size, 0, files_at, 0, 3, 1, 1, 1, 0, 7, 0) + folder + file + data


def rar(name: str, content: bytes, flags: int = 0x8000) -> bytes:
    """One stored file (RAR 4): marker, archive header, file header."""

    def block(kind: int, flags: int, body: bytes) -> bytes:
        head = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
        return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head

    sizes = struct.pack("<IIBIIBBHI", len(content), len(content), 3, zlib.crc32(content), 0, 20, 0x30, len(name), 0o644)
    return b"Rar!\x1a\x07\0" + block(0x73, 0, bytes(6)) + block(0x74, flags, sizes + name.encode()) + content
