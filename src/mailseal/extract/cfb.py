"""A bounded reader of compound files ([MS-CFB]): the storages and streams of OLE documents.

Written for hostile files: no recursion, chains that cannot be longer than the file, and streams that together cannot
be larger than it (which they are only where they share sectors). Entries that no storage names are read as well, and
of two streams with one name both: programs differ in which one they show.
"""

import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailseal.mail.message import Octets

SIGNATURE = bytes.fromhex("d0cf11e0a1b11ae1")
HEADER_OCTETS = 512
ENTRY_OCTETS = 128
MINI_SECTOR_OCTETS = 64
MAX_ENTRIES = 100_000
UNREFERENCED = "(unreferenced)"
"""The name of the storage with the streams that no storage names."""

_END_OF_CHAIN = 0xFFFFFFFE
_NO_ENTRY = 0xFFFFFFFF
_STORAGE, _STREAM, _ROOT = 1, 2, 5


class CompoundFileError(ValueError):
    """Not a compound file, or so broken that its directory cannot be read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A directory entry ([MS-CFB] §2.6.1), its links to others as indexes."""

    name: str
    kind: int
    left: int
    right: int
    child: int
    start: int
    size: int


@dataclass(slots=True)
class Stream:
    """A stream; `octets` reads it, shorter than `size` where its chain is broken."""

    name: str
    size: int
    start: int
    file: "CompoundFile" = field(repr=False)

    def octets(self) -> bytes:
        """The contents, as far as the chain goes; a defect is noted in the file."""
        return self.file.read(self)


@dataclass(slots=True)
class Storage:
    """A folder of streams and storages, in the order of the directory."""

    name: str
    streams: list[Stream] = field(default_factory=list)
    storages: list["Storage"] = field(default_factory=list)

    def all(self, name: str) -> list[Stream]:
        """The streams of that name, whatever the case of its letters."""
        return [stream for stream in self.streams if stream.name.lower() == name.lower()]

    def first(self, name: str) -> bytes | None:
        """The contents of the first stream of that name."""
        return next((stream.octets() for stream in self.all(name)), None)

    def walk(self, prefix: str = "") -> Iterator[tuple[str, "Storage"]]:
        """The storage itself and all below it, each with its path."""
        waiting = [(prefix, self)]
        while waiting:
            path, storage = waiting.pop()
            yield path, storage
            waiting.extend((f"{path}/{inner.name}" if path else inner.name, inner) for inner in storage.storages)


class CompoundFile:
    """One file. `root` is its tree; `defects` tell what could not be read of it so far.

    Raises CompoundFileError where there is no directory to read.
    """

    __slots__ = ("_cutoff", "_data", "_fat", "_mini_fat", "_mini_stream", "_sector", "_to_read", "defects", "root")

    def __init__(self, data: Octets) -> None:
        self._data = memoryview(data)
        self.defects: set[str] = set()
        if len(self._data) < HEADER_OCTETS or bytes(self._data[:8]) != SIGNATURE:
            raise CompoundFileError("no header of a compound file")
        major, order, shift = struct.unpack_from("<HHH", self._data, 26)
        if order != 0xFFFE or (major, shift) not in ((3, 9), (4, 12)):
            raise CompoundFileError("an unknown version of compound files")
        self._sector = 1 << shift
        self._to_read = 2 * len(self._data)
        directory, self._cutoff, mini_fat, difat = struct.unpack_from("<I4xIIxxxxI", self._data, 48)
        self._fat = self._read_fat(difat)
        entries = self._entries(self._chain(directory, None), major)
        if not entries or entries[0].kind != _ROOT:
            raise CompoundFileError("no root entry")
        self._mini_fat = _numbers(self._chain(mini_fat, None)) if mini_fat < _END_OF_CHAIN else array("I")
        self._mini_stream = memoryview(self._chain(entries[0].start, entries[0].size))
        self.root = self._tree(entries)

    def read(self, stream: Stream) -> bytes:
        """The octets of a stream."""
        size = min(stream.size, len(self._data))
        if size > self._to_read:
            self.defects.add("streams share sectors")
            return b""
        self._to_read -= size
        octets = self._mini_chain(stream.start, size) if stream.size < self._cutoff else self._chain(stream.start, size)
        if len(octets) < stream.size:
            self.defects.add("a stream is cut short")
        return octets

    def _read_fat(self, difat: int) -> "array[int]":
        sectors = [number for number in struct.unpack_from("<109I", self._data, 76) if number < _END_OF_CHAIN]
        per_sector = self._sector // 4
        most = len(self._data) // self._sector + 1
        seen = 0
        while difat < _END_OF_CHAIN and seen <= most:
            numbers = _numbers(self._at(difat))
            if len(numbers) < per_sector:
                break
            sectors.extend(number for number in numbers[:-1] if number < _END_OF_CHAIN)
            difat = numbers[-1]
            seen += 1
        fat = array("I")
        for number in dict.fromkeys(sectors[:most]):
            fat.extend(_numbers(self._at(number).ljust(self._sector, b"\xff")))
        return fat

    def _at(self, sector: int) -> bytes:
        start = (sector + 1) * self._sector
        return bytes(self._data[start : start + self._sector])

    def _chain(self, start: int, size: int | None) -> bytes:
        """The sectors from `start` on: up to `size` octets, or all; each at most once."""
        wanted = len(self._data) if size is None else min(size, len(self._data))
        spans = self._spans(start, -(-wanted // self._sector), self._fat)
        unit = self._sector
        return b"".join(self._data[(at + 1) * unit : (at + 1 + count) * unit] for at, count in spans)[:wanted]

    def _mini_chain(self, start: int, size: int) -> bytes:
        spans = self._spans(start, -(-size // MINI_SECTOR_OCTETS), self._mini_fat)
        unit = MINI_SECTOR_OCTETS
        return b"".join(self._mini_stream[at * unit : (at + count) * unit] for at, count in spans)[:size]

    def _spans(self, start: int, most: int, fat: "array[int]") -> Iterator[tuple[int, int]]:
        """Runs of neighbouring sectors: (first, count), `most` sectors together."""
        first, count, current = start, 0, start
        for _ in range(min(most, len(fat))):
            if current >= len(fat):
                break
            if current != first + count:
                yield first, count
                first, count = current, 0
            count += 1
            current = fat[current]
        if count:
            yield first, count

    def _entries(self, directory: bytes, major: int) -> list[Entry]:
        entries = []
        if len(directory) // ENTRY_OCTETS > MAX_ENTRIES:
            self.defects.add("too many entries")
        for at in range(0, min(len(directory) - ENTRY_OCTETS + 1, MAX_ENTRIES * ENTRY_OCTETS), ENTRY_OCTETS):
            name_octets, kind = struct.unpack_from("<HB", directory, at + 64)
            left, right, child = struct.unpack_from("<III", directory, at + 68)
            start, low, high = struct.unpack_from("<III", directory, at + 116)
            name = directory[at : at + min(max(name_octets - 2, 0), 64)].decode("utf-16-le", "replace")
            entries.append(Entry(name, kind, left, right, child, start, low + (high << 32 if major == 4 else 0)))
        return entries

    def _tree(self, entries: list[Entry]) -> Storage:
        root = Storage("")
        seen = {0}
        waiting = [(entries[0].child, root)]
        while waiting:
            index, storage = waiting.pop()
            if index == _NO_ENTRY:
                continue
            if index in seen or index >= len(entries):
                continue
            seen.add(index)
            entry = entries[index]
            waiting += [(entry.right, storage), (entry.left, storage)]
            if entry.kind == _STREAM:
                storage.streams.append(Stream(entry.name, entry.size, entry.start, self))
            elif entry.kind == _STORAGE:
                inner = Storage(entry.name)
                storage.storages.append(inner)
                waiting.append((entry.child, inner))
        lost = [entry for at, entry in enumerate(entries) if at not in seen and entry.kind == _STREAM]
        if lost:
            streams = [Stream(entry.name, entry.size, entry.start, self) for entry in lost]
            root.storages.append(Storage(UNREFERENCED, streams))
        return root


def _numbers(octets: bytes) -> "array[int]":
    numbers = array("I", octets[: len(octets) // 4 * 4])
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
