"""The payload: a gzipped tar of plain files. Read strictly: names of our own, sizes bounded, nothing but files."""

import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from mailseal.backup.container import header, padding
from mailseal.backup.errors import DamagedBackupError

MAX_MEMBER_BYTES: Final = 16 * 1024 * 1024
PIECE_BYTES: Final = 1024 * 1024
_BLOCK: Final = tarfile.BLOCKSIZE
_NAME: Final = re.compile(rb"[a-z]+(?:/[a-z0-9][a-z0-9.-]{0,79})?(?:\.[a-z]+)?\0")
_LEVEL: Final = 1
"""Log rows become a tenth of their size even so; a higher level takes several times as long."""
_GZIP: Final = 16 + zlib.MAX_WBITS

Member = tuple[str, bytes]


def pack(members: Iterable[Member]) -> Iterator[bytes]:
    """Members as a gzipped tar, bit by bit."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    for name, content in members:
        yield packer.compress(header(name, len(content)))
        yield packer.compress(content)
        yield packer.compress(padding(len(content)))
    yield packer.compress(bytes(2 * _BLOCK))
    yield packer.flush()


def pieces(folder: str, lines: Iterable[bytes]) -> Iterator[Member]:
    """Lines as members that put together are the lines again: a tar needs to know the size of each beforehand."""
    gathered: list[bytes] = []
    size = number = 0
    for line in lines:
        gathered.append(line)
        size += len(line)
        if size >= PIECE_BYTES:
            octets = memoryview(b"".join(gathered))
            whole = len(octets) - len(octets) % PIECE_BYTES
            for at in range(0, whole, PIECE_BYTES):
                number += 1
                yield f"{folder}/{number:08}", bytes(octets[at : at + PIECE_BYTES])
            gathered, size = [bytes(octets[whole:])], len(octets) - whole
    if size:
        yield f"{folder}/{number + 1:08}", b"".join(gathered)


def unpack(chunks: Iterable[bytes]) -> Iterator[Member]:
    """The members of a gzipped tar, each in memory; raises DamagedBackupError."""
    stream = _Stream(_inflate(chunks))
    while (block := stream.take(_BLOCK)) != bytes(_BLOCK):
        name, size = _read_header(block)
        content = stream.take(size)
        if stream.take(len(padding(size))) != padding(size):
            raise _damaged(f"{name} is followed by something")
        yield name, content
    stream.end()


def _read_header(block: bytes) -> tuple[str, int]:
    """The name and size in a header that is exactly one of ours: so no link, no path upwards, no other type."""
    matched = _NAME.match(block)
    try:
        size = tarfile.TarInfo.frombuf(block, "ascii", "strict").size
    except (tarfile.HeaderError, ValueError):
        raise _damaged("a member has no header") from None
    if matched is None or not 0 <= size <= MAX_MEMBER_BYTES:
        raise _damaged("a member has a name or a size that none of ours has")
    name = matched[0][:-1].decode("ascii")
    if block != header(name, size):
        raise _damaged(f"{name} is not a plain file")
    return name, size


def _inflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(_GZIP)
    for chunk in chunks:
        rest = chunk
        while rest and not unpacker.eof:
            try:
                yield unpacker.decompress(rest, PIECE_BYTES)  # bounded: a little gzip can hold very much
            except zlib.error:
                raise _damaged("it does not unpack") from None
            rest = unpacker.unconsumed_tail
        if rest or unpacker.unused_data:
            raise _damaged("something follows its end")
    if not unpacker.eof:
        raise _damaged("it is cut off")


class _Stream:
    """Chunks, from which so many octets are taken at a time."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def take(self, size: int) -> bytes:
        parts, missing = [self._rest[:size]], size - len(self._rest)
        self._rest = self._rest[size:]
        while missing > 0:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise _damaged("it is cut off")
            parts.append(chunk[:missing])
            self._rest = chunk[missing:]
            missing -= len(chunk)
        return b"".join(parts)

    def end(self) -> None:
        """Nothing but the second block of the tar's end may follow."""
        if self.take(_BLOCK) != bytes(_BLOCK) or self._rest or any(self._chunks):
            raise _damaged("something follows its end")


def _damaged(what: str) -> DamagedBackupError:
    return DamagedBackupError(f"the contents of the backup are damaged: {what}")
