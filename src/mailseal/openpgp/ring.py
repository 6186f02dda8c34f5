"""Keyrings out of files (RFC 9580 §3.6, §6, §10.1): binary or armored, of any size, one certificate at a time.

Only the framing is looked at. A ring is cut where a primary key begins, so what is wrong with one certificate is not
in the way of the others; and no more of the file is held than one of them. The checksum of an armor is not looked at:
every fact about a certificate stands under a signature.
"""

import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import BinaryIO

from mailseal.errors import PermanentError
from mailseal.openpgp.packet import Tag

MAX_MEMBER_OCTETS = 8 * 1024 * 1024
"""Of one certificate with all that strangers have certified in it; what is kept of it is far less."""
CHUNK_OCTETS = 1 << 18
_MAX_LINE = 4096
_MAX_HEADER_LINES = 100
_HEAD_OCTETS = 64
_PRIMARY = frozenset({Tag.PUBLIC_KEY, Tag.SECRET_KEY})
_MEANINGLESS = frozenset({Tag.MARKER, Tag.TRUST, Tag.PADDING})
_BEGIN, _END, _DASHES = b"-----BEGIN PGP ", b"-----END PGP ", b"-----"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # as some editors write it before UTF-8
_KEY_BLOCKS = frozenset({"PUBLIC KEY BLOCK", "PRIVATE KEY BLOCK"})


class RingError(PermanentError):
    """The file is no keyring at all."""


class RingForm(StrEnum):
    """How a keyring is written."""

    BINARY = "binary"
    ARMORED = "armored"


@dataclass(frozen=True, slots=True)
class RingMember:
    """The packets of one certificate, or signatures without one (a revocation); or why there is nothing to read.

    `number` counts from 1. `octets` begins with its primary key (public or secret), or with a signature.
    """

    number: int
    octets: bytes = field(default=b"", repr=False)
    problem: str = ""

    @property
    def is_certificate(self) -> bool:
        """Whether it begins with a primary key."""
        return bool(self.octets) and _tag(self.octets[0]) in _PRIMARY


@dataclass(frozen=True, slots=True)
class Ring:
    """A keyring whose form is known. `members` is read as it is asked for; it raises nothing but OSError."""

    form: RingForm
    members: Iterator[RingMember]


def open_ring(file: BinaryIO) -> Ring:
    """A keyring from its beginning; the file can be read twice. Raises RingError."""
    head = file.read(_HEAD_OCTETS)
    file.seek(0)
    if head[8:12] == b"KBXf":
        raise RingError("this is GnuPG's own keybox: what `gpg --export` writes can be imported")
    numbers = count(1)
    if head[:1] and head[0] & 0x80 and not head.startswith(_BYTE_ORDER_MARK):
        return Ring(RingForm.BINARY, _members(_chunks(file), numbers))
    if not _holds_armor(file):
        raise RingError("the file holds no OpenPGP key, neither armored nor binary")
    file.seek(0)
    return Ring(RingForm.ARMORED, _of_blocks(file, numbers))


def _holds_armor(file: BinaryIO) -> bool:
    return any(line.startswith(_BEGIN) for line in _lines(file))


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines without their ends; one that is very long comes in pieces."""
    while line := file.readline(_MAX_LINE):
        yield line.removeprefix(_BYTE_ORDER_MARK).strip()


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_OCTETS):
        yield chunk


def _of_blocks(file: BinaryIO, numbers: Iterator[int]) -> Iterator[RingMember]:
    """The members of every armored block; what is around the blocks is passed over."""
    lines = _lines(file)
    line = next(lines, None)
    while line is not None:
        if not line.startswith(_BEGIN):
            line = next(lines, None)
            continue
        label = line[len(_BEGIN) :].removesuffix(_DASHES).decode("ascii", "replace")[:40]
        block = _Block(lines)
        if label in _KEY_BLOCKS:
            yield from _members(block.chunks(), numbers)
        else:
            yield RingMember(next(numbers), problem=f"PGP {label} is no key")
        if block.problem:
            yield RingMember(next(numbers), problem=block.problem)
        line = block.behind


class _Block:
    """What an armored block holds, decoded as it is read (RFC 9580 §6.2).

    Afterwards `problem` says what stopped it before its end, and `behind` is a line that was read and is not its own.
    """

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self.problem = ""
        self.behind: bytes | None = b""

    def chunks(self) -> Iterator[bytes]:
        """The octets."""
        rest = self._after_headers()
        while not rest.startswith(_END):
            # Four characters are three octets; a line need not end where such a group does.
            whole = len(rest) - len(rest) % 4
            try:
                octets = binascii.a2b_base64(rest[:whole], strict_mode=True)
            except binascii.Error:
                self.problem = "the armor is damaged: not base64"
                return
            if octets:
                yield octets
            line = next(self._lines, None)
            if line is None or line.startswith(_BEGIN):
                self.problem, self.behind = "the armor has no end", line
                return
            if line.startswith(_END) or (line.startswith(b"=") and not rest[whole:]):
                return
            rest = rest[whole:] + line

    def _after_headers(self) -> bytes:
        for _ in range(_MAX_HEADER_LINES):
            line = next(self._lines, _END)
            if not line:
                return b""
            if b":" not in line:
                return line  # some writers leave out the empty line
        return b""


def _members(chunks: Iterator[bytes], numbers: Iterator[int]) -> Iterator[RingMember]:
    stream = _Stream(chunks)
    member = _Member()
    while (found := stream.packet()) is not None:
        tag, packet = found
        if tag in _PRIMARY and not member.is_empty:
            yield member.finished(next(numbers))
            member = _Member()
        if tag not in _MEANINGLESS:
            member.add(packet)
    if not member.is_empty:
        yield member.finished(next(numbers))
    if stream.problem:
        yield RingMember(next(numbers), problem=stream.problem)


class _Member:
    """The packets of one member, as they come."""

    def __init__(self) -> None:
        self._packets: list[bytes] = []
        self._octets = 0
        self._too_large = False

    @property
    def is_empty(self) -> bool:
        return not self._packets and not self._too_large

    def add(self, packet: bytes | None) -> None:
        """None: a packet that was too large to be read."""
        self._octets += 0 if packet is None else len(packet)
        if packet is None or self._octets > MAX_MEMBER_OCTETS:
            self._too_large = True
            self._packets.clear()
        elif not self._too_large:
            self._packets.append(packet)

    def finished(self, number: int) -> RingMember:
        if self._too_large:
            return RingMember(number, problem=f"larger than {MAX_MEMBER_OCTETS >> 20} MiB")
        if (tag := _tag(self._packets[0][0])) not in {*_PRIMARY, Tag.SIGNATURE}:
            return RingMember(number, problem=f"packets of type {tag} without a key")
        return RingMember(number, b"".join(self._packets))


class _Stream:
    """Packets out of chunks of octets. `problem` says afterwards why there are no more, "" at the end."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._data = bytearray()
        self.problem = ""

    def packet(self) -> tuple[int, bytes | None] | None:
        """Tag and octets of the next packet, header included; no octets of one that is too large. None: the end."""
        if not self._hold(1):
            return None
        self._hold(6)  # as much as a header can have
        header = _header(self._data)
        if header is None:
            self.problem = "the rest is damaged: no OpenPGP packet"
            return None
        tag, length = header
        if length > MAX_MEMBER_OCTETS:
            packet = None
            complete = self._pass_over(length)
        else:
            complete = self._hold(length)
            packet = bytes(self._data[:length])
            del self._data[:length]
        if not complete:
            self.problem = "the last packet is cut off"
            return None
        return tag, packet

    def _hold(self, octets: int) -> bool:
        while len(self._data) < octets:
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._data += chunk
        return True

    def _pass_over(self, octets: int) -> bool:
        while octets > len(self._data):
            octets -= len(self._data)
            self._data.clear()
            if not self._hold(1):
                return False
        del self._data[:octets]
        return True


def _tag(first: int) -> int:
    return first & 0x3F if first & 0x40 else first >> 2 & 0x0F


def _header(data: bytearray) -> tuple[int, int] | None:
    """Tag and whole length of a packet of a key, which never has a partial or indeterminate length (RFC 9580 §4.2)."""
    first = data[0]
    if not first & 0x80:
        return None
    if not first & 0x40:
        octets = (1, 2, 4, 0)[first & 3]
        if not octets or len(data) < 1 + octets:
            return None
        return _tag(first), 1 + octets + int.from_bytes(data[1 : 1 + octets], "big")
    if len(data) < 2:
        return None
    if data[1] < 192:
        return _tag(first), 2 + data[1]
    if data[1] < 224:
        return (_tag(first), 3 + (data[1] - 192 << 8) + data[2] + 192) if len(data) > 2 else None
    if data[1] < 255 or len(data) < 6:
        return None
    return _tag(first), 6 + int.from_bytes(data[2:6], "big")
