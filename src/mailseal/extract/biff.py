"""Excel workbooks of before 2007 ([MS-XLS]): records, and strings that go on over records."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailseal.extract.codepage import decode

CONTINUE = 0x3C
MAX_STRINGS = 1_000_000


@dataclass(slots=True)
class Record:
    """A record and the ones that continue it."""

    kind: int
    parts: list[bytes] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        """All octets, as if no record had ended."""
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)


def records(stream: bytes) -> Iterator[Record]:
    """The records of a workbook stream; one that is cut short is the last."""
    at = 0
    record: Record | None = None
    while at + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        body = stream[at + 4 : at + 4 + size]
        at += 4 + size
        if kind == CONTINUE and record is not None:
            record.parts.append(body)
            continue
        if record is not None:
            yield record
        record = Record(kind, [body])
    if record is not None:
        yield record


class Cursor:
    """A place in a record that goes on over others; reading past the end gives less."""

    __slots__ = ("_at", "_part", "_parts")

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts
        self._part = 0
        self._at = 0

    def take(self, count: int) -> bytes:
        """That many octets, or what there is."""
        taken = []
        while count > 0 and self._part < len(self._parts):
            piece = self._parts[self._part][self._at : self._at + count]
            taken.append(piece)
            count -= len(piece)
            self._at += len(piece)
            if count > 0:
                self._part += 1
                self._at = 0
        return b"".join(taken)

    def number(self, size: int) -> int:
        """An unsigned number of `size` octets. Raises struct.error at the end."""
        octets = self.take(size)
        if len(octets) < size:
            raise struct.error
        return int.from_bytes(octets, "little")

    def characters(self, count: int, *, wide: bool) -> str:
        """That many characters; where a record goes on, its first octet says how wide they are (§2.5.293)."""
        text = []
        while count > 0 and self._part < len(self._parts):
            width = 2 if wide else 1
            piece = self._parts[self._part][self._at : self._at + count * width]
            text.append(piece.decode("utf-16-le" if wide else "latin-1", "replace"))
            count -= max(1, len(piece) // width)
            self._at += len(piece)
            if count > 0:
                self._part += 1
                self._at = 1
                wide = bool(self._parts[self._part][:1] > b"\0") if self._part < len(self._parts) else wide
        return "".join(text)


def text_at(record: Record, at: int, *, length_octets: int = 2, codepage: int | None = None) -> str:
    """The string that starts at octet `at`; of a code page where it is older than BIFF8. Raises struct.error."""
    cursor = Cursor(record.parts)
    cursor.take(at)
    count = cursor.number(length_octets)
    if codepage is not None:
        return decode(cursor.take(count), codepage)
    return cursor.characters(count, wide=bool(cursor.number(1) & 1))


def shared_strings(record: Record) -> Iterator[str]:
    """The strings of an SST record (§2.4.265), rich text and phonetic data skipped; what is cut short ends them."""
    cursor = Cursor(record.parts)
    cursor.take(8)
    try:
        for _ in range(MAX_STRINGS):
            count = cursor.number(2)
            flags = cursor.number(1)
            runs = cursor.number(2) if flags & 8 else 0
            extra = cursor.number(4) if flags & 4 else 0
            yield cursor.characters(count, wide=bool(flags & 1))
            cursor.take(4 * runs + extra)
    except struct.error:
        return
