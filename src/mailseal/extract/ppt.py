"""PowerPoint presentations ([MS-PPT]): text of slides, notes, masters and comments; links; embedded objects.

The stream is read from its start to its end, so that slides of earlier savings, which it still holds, are read too.
"""

import struct
from collections.abc import Iterator

from mailseal.extract.codepage import LATIN, decode
from mailseal.extract.string_sweep import sweep

_CONTAINER = 0xF
_TEXT_CHARS, _TEXT_BYTES, _CSTRING = 0x0FA0, 0x0FA8, 0x0FBA
_OBJECT, _CRYPT_SESSION, _TAG_BLOB = 0x1011, 0x2F14, 0x138B
_ENCRYPTED_USER = 0xF3D1C4DF
_BREAKS = str.maketrans({"\r": "\n", "\x0b": "\n", "\0": None})


class PptEncrypted(Exception):  # noqa: N818 - a state of the document, not an error of its reader
    """The records hold an encrypted session."""


def is_encrypted(current_user: bytes) -> bool:
    """Whether the stream "Current User" says that the document is encrypted (§2.3.2)."""
    return len(current_user) >= 16 and struct.unpack_from("<I", current_user, 12)[0] == _ENCRYPTED_USER


def texts(stream: bytes) -> Iterator[str]:
    """The texts of a stream "PowerPoint Document", at last the strings of its other records. Raises PptEncrypted."""
    rest = []
    for kind, _, octets in _records(stream):
        if kind == _CRYPT_SESSION:
            raise PptEncrypted
        if kind in (_TEXT_CHARS, _CSTRING):
            yield octets.decode("utf-16-le", "replace").translate(_BREAKS)
        elif kind == _TEXT_BYTES:
            yield decode(octets, LATIN).translate(_BREAKS)
        elif kind != _OBJECT:
            rest.append(octets)
    yield sweep(b"\n".join(rest))


def objects(stream: bytes) -> Iterator[tuple[bytes, bool]]:
    """The embedded objects: compound files, each with whether it is compressed (§2.10.34)."""
    for kind, instance, octets in _records(stream):
        if kind == _OBJECT:
            yield (octets[4:], True) if instance == 1 else (octets, False)


def _records(stream: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(type, instance, octets) of each; a container has no octets, its records follow it; a cut one is the last."""
    at = 0
    while at + 8 <= len(stream):
        version, kind, size = struct.unpack_from("<HHI", stream, at)
        at += 8
        if version & 0xF == _CONTAINER or kind == _TAG_BLOB:
            yield kind, version >> 4, b""
            continue
        yield kind, version >> 4, stream[at : at + size]
        at += size
