r"""Files that stand in OLE documents as packages ([MS-OLEDS] §2.3.6, "\x01Ole10Native")."""

import struct
from dataclasses import dataclass

from mailseal.extract.codepage import LATIN, decode

NATIVE = "\x01ole10native"
_PACKAGE = 2


@dataclass(frozen=True, slots=True)
class Package:
    """A file with its name; `rest` is what stands around it: paths, names in UTF-16."""

    name: str
    octets: bytes
    rest: bytes


def package(stream: bytes) -> Package:
    """The file in a stream of this kind; where it is no package, all of its data without a name."""
    try:
        (kind,) = struct.unpack_from("<H", stream, 4)
        if kind == _PACKAGE:
            return _package(stream)
    except (struct.error, ValueError):
        pass
    return Package("", stream[4:], b"")


def _package(stream: bytes) -> Package:
    label_end = stream.index(b"\0", 6)
    path_end = stream.index(b"\0", label_end + 1)
    (path_octets,) = struct.unpack_from("<I", stream, path_end + 5)
    at = path_end + 9 + path_octets
    (size,) = struct.unpack_from("<I", stream, at)
    data = stream[at + 4 : at + 4 + size]
    return Package(decode(stream[6:label_end], LATIN), data, stream[label_end:at] + b"\n" + stream[at + 4 + size :])
