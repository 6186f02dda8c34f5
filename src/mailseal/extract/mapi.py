"""MAPI properties ([MS-OXCDATA] §2.11): the form that messages of Outlook (.msg) and TNEF have in common."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from mailseal.extract.codepage import decode
from mailseal.extract.string_sweep import sweep

STRING8, UNICODE, BINARY, OBJECT = 0x1E, 0x1F, 0x102, 0x0D
MULTIPLE = 0x1000

SUBJECT, BODY, HTML, COMPRESSED_RTF = 0x0037, 0x1000, 0x1013, 0x1009
ATTACH_DATA, ATTACH_LONG_NAME, ATTACH_NAME, DISPLAY_NAME, ATTACH_RENDERING = 0x3701, 0x3707, 0x3704, 0x3001, 0x3709
MESSAGE_CODEPAGE, INTERNET_CODEPAGE = 0x3FFD, 0x3FDE

PLACES = {
    SUBJECT: "subject",
    BODY: "body",
    0x007D: "header fields",
    0x0C1A: "sender",
    0x0C1F: "sender",
    0x0E02: "bcc",
    0x0E03: "cc",
    0x0E04: "to",
    DISPLAY_NAME: "name",
    ATTACH_NAME: "file name",
    ATTACH_LONG_NAME: "file name",
}
MAX_PROPERTIES = 100_000

_FIXED = {0x02: 4, 0x03: 4, 0x04: 4, 0x0A: 4, 0x0B: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x14: 8, 0x40: 8, 0x48: 16}
"""Octets of a value in TNEF, padded ([MS-OXTNEF] §2.1.3.4)."""
_VARIABLE = (STRING8, UNICODE, BINARY, OBJECT)
_NAMED = 0x8000


class MapiError(ValueError):
    """A list of properties that does not go on as it began."""


@dataclass(frozen=True, slots=True)
class Property:
    """One value: `number` is the property's, `kind` its type without the bit of multiple values."""

    number: int
    kind: int
    octets: bytes

    @property
    def place(self) -> str:
        """For people: where the text stands."""
        return PLACES.get(self.number, f"property {self.number:04x}")

    def text(self, codepage: int) -> str:
        """The text of a string, what can be found of a binary value, nothing of a number."""
        if self.kind == UNICODE:
            return self.octets.decode("utf-16-le", "replace").rstrip("\0")
        if self.kind == STRING8:
            return decode(self.octets, codepage).rstrip("\0")
        return sweep(self.octets) if self.kind in _VARIABLE else ""


def properties(octets: bytes, at: int = 0) -> Iterator[Property]:
    """The properties of a list in TNEF, one for each value. Raises MapiError where the list breaks off."""
    reader = PropertyReader(octets, at)
    yield from reader.list()


class PropertyReader:
    """Reads lists of properties that follow one another, as in a table of recipients; `at` is the place."""

    __slots__ = ("_octets", "at")

    def __init__(self, octets: bytes, at: int = 0) -> None:
        self._octets = octets
        self.at = at

    def list(self) -> Iterator[Property]:
        """The properties of the list that starts here. Raises MapiError."""
        for _ in range(min(self._number(), MAX_PROPERTIES)):
            yield from self._property()

    def _property(self) -> Iterator[Property]:
        tag = self._number()
        kind, number = tag & 0xFFFF, tag >> 16
        if number >= _NAMED:
            self._take(16)
            if self._number() == 1:
                name = self._take(self._number())
                self._align()
                yield Property(number, UNICODE, name)
            else:
                self._number()
        single = kind & ~MULTIPLE
        if single in _VARIABLE:
            for _ in range(min(self._number(), MAX_PROPERTIES)):
                value = self._take(self._number())
                self._align()
                yield Property(number, single, value)
        elif single in _FIXED:
            for _ in range(self._number() if kind & MULTIPLE else 1):
                yield Property(number, single, self._take(_FIXED[single]))
        else:
            raise MapiError("an unknown type")

    def _number(self) -> int:
        return int(struct.unpack("<I", self._take(4))[0])

    def _take(self, count: int) -> bytes:
        octets = self._octets[self.at : self.at + count]
        if len(octets) < count:
            raise MapiError("cut short")
        self.at += count
        return octets

    def _align(self) -> None:
        self.at += -self.at % 4
