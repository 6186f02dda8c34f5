"""Archives by libarchive (7z, tar, rar, cab, iso, ar, cpio and more); gzip, bzip2, xz by the standard library.

libarchive is told which one format it reads: no guesses, no filters that run programs.
"""

import bz2
import ctypes
import importlib
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import ModuleType
from typing import Protocol

from mailseal.extract.budget import OverBudgetError
from mailseal.extract.strings import strings
from mailseal.extract.text import readings
from mailseal.extract.walk import Walk
from mailseal.policy.inspection import GapReason, GapStatus


@cache
def _library() -> ModuleType | None:
    """The module that loads the C library, which need not be there."""
    try:
        return importlib.import_module("libarchive")
    except Exception:  # noqa: BLE001  a missing or old library shows as many kinds of error
        return None


_CHUNK = 1 << 18
_HEADER = 512
"""Where gzip keeps the name of a file."""
_MAX_STREAMS = 1000
_LZMA_MEMORY_BYTES = 256 << 20
_FORMATS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"7z\xbc\xaf\x27\x1c", "7zip"),
    (0, b"Rar!\x1a\x07\x01\0", "rar5"),
    (0, b"Rar!\x1a\x07", "rar"),
    (0, b"MSCF", "cab"),
    (0, b"!<arch>\n", "ar"),
    (0, b"xar!", "xar"),
    (0, b"07070", "cpio"),
    (0, b"\xc7\x71", "cpio"),
    (32769, b"CD001", "iso9660"),
    (2, b"-lh", "lha"),
    (257, b"ustar", "tar"),
)
_FILTERS: tuple[tuple[bytes, str], ...] = (
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"LZIP", "lzip"),
    (b"\x1f\x9d", "compress"),
)
_LOCKED = ("crypt", "passphrase", "password")


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gzip:
    """zlib's decompressor, with what it has not yet read kept as the others do."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self._tail = b""

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        out = self._inner.decompress(self._tail + data, max_length)
        self._tail = self._inner.unconsumed_tail
        return out


_STREAMS: Mapping[bytes, Callable[[], _Decompressor]] = {
    b"\x1f\x8b": _Gzip,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ": lambda: lzma.LZMADecompressor(memlimit=_LZMA_MEMORY_BYTES),
    b"\x5d\0\0": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_LZMA_MEMORY_BYTES),
}
_ERRORS = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)


def libarchive_problem() -> str | None:
    """Why archives other than zip, gzip, bzip2 and xz cannot be read on this machine; None if they can."""
    return None if _library() is not None else "libarchive is not there, or too old"


def read_archives(octets: bytes, walk: Walk) -> None:
    """An archive whose format its octets show."""
    read_archive(octets, walk, next((name for at, mark, name in _FORMATS if octets.startswith(mark, at)), "tar"))


def read_archive(octets: bytes, walk: Walk, kind: str, packed: str = "none") -> None:
    """An archive of a format by libarchive's name for it; raises OverBudgetError."""
    library = _library()
    if library is None:
        walk.gap(GapStatus.UNINSPECTABLE, GapReason.UNSUPPORTED, libarchive_problem() or "")
        return
    is_locked = library.ffi.ffi("entry_is_encrypted", [library.ffi.c_archive_entry_p], ctypes.c_int)
    name = ""
    found: list[bytes] = []
    try:
        with library.memory_reader(octets, kind, packed) as archive:
            for entry in archive:
                name, *others = _names(entry.pathname)
                found.clear()
                if is_locked(entry._entry_p):  # noqa: SLF001  the library has no name for it; some formats raise nothing
                    walk.say("\n".join((name, *others)), "name")
                    walk.gap(GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED, "it has a password", name)
                    continue
                for block in entry.get_blocks(_CHUNK):
                    walk.budget.unpack(len(block))
                    found.append(block)
                if found or entry.isfile:
                    walk.descend(b"".join(found), "" if kind == "raw" else name)
                    found.clear()
                    walk.say("\n".join(others), "name")
                else:
                    walk.budget.open(walk.depth)
                    walk.say("\n".join((name, *others, *_names(entry.linkpath))), "name")
    except library.ArchiveError as error:
        if found:
            walk.descend(b"".join(found), name)
        told = str(error).lower()
        locked = any(word in told for word in _LOCKED)
        walk.gap(
            GapStatus.UNINSPECTABLE,
            GapReason.ENCRYPTED if locked else GapReason.BROKEN,
            "it has a password" if locked else "the archive is broken, or made in a way that is not known",
            name,
        )


def _names(path: str | bytes | None) -> tuple[str, ...]:
    """A name in every charset that it can be in: libarchive leaves octets where it is not sure."""
    return readings(path) if isinstance(path, bytes) else (path or "",)


def read_compressed(octets: bytes, walk: Walk) -> None:
    """A compressed file; of what is broken as much as can be read. Raises OverBudgetError."""
    make = next((one for mark, one in _STREAMS.items() if octets.startswith(mark)), None)
    if make is None:
        read_archive(octets, walk, "raw", next(name for mark, name in _FILTERS if octets.startswith(mark)))
        return
    if octets.startswith(b"\x1f\x8b") and octets[3:4] > b"\1":  # there are names or comments (RFC 1952 §2.3.1)
        walk.say(strings(octets[:_HEADER]), "header")
    found: list[bytes] = []
    rest = b""
    try:
        for chunk in _unpacked(octets, make):
            if isinstance(chunk, _Rest):
                rest = chunk
            else:
                walk.budget.unpack(len(chunk))
                found.append(chunk)
    except OverBudgetError as error:
        walk.gap(GapStatus.PARTIAL, error.reason, str(error))
    except _ERRORS as error:
        walk.gap(GapStatus.PARTIAL if found else GapStatus.UNINSPECTABLE, GapReason.BROKEN, type(error).__name__)
    if found:
        walk.descend(b"".join(found), _inner_name(walk.name))
    if rest.strip(b"\0"):
        walk.descend(bytes(rest), "", place="what stands behind the file")


class _Rest(bytes):
    """What follows the last stream and is none."""


def _unpacked(octets: bytes, make: Callable[[], _Decompressor]) -> Iterator[bytes]:
    """The content of streams that follow each other; then what is behind them, as `_Rest`."""
    at = 0
    for _ in range(_MAX_STREAMS):
        stream, chunk = make(), b""
        while not stream.eof:
            out = stream.decompress(chunk, _CHUNK)
            chunk = b""
            if out:
                yield out
            elif at < len(octets):
                chunk = octets[at : at + _CHUNK]
                at += len(chunk)
            elif not stream.eof:
                raise EOFError
        at -= len(stream.unused_data)
        if not octets.startswith(tuple(_STREAMS), at):
            break
    yield _Rest(octets[at:])


def _inner_name(name: str) -> str:
    stem, _, ending = name.rpartition(".")
    return (f"{stem}.tar" if ending.lower() in ("tgz", "tbz", "tbz2", "txz") else stem) if stem else name
