"""TNEF ([MS-OXTNEF]): winmail.dat, a message of Outlook in one file, its attachments read as the files they are."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailseal.extract import mapi
from mailseal.extract.codepage import LATIN, decode
from mailseal.extract.mapi import MapiError, Property, PropertyReader
from mailseal.extract.message_properties import say_properties
from mailseal.extract.string_sweep import sweep
from mailseal.extract.walk import Walk
from mailseal.mail.message import Octets
from mailseal.policy.inspection import GapReason, GapStatus

SIGNATURE = bytes.fromhex("789f3e22")

_MESSAGE, _ATTACHMENT = 1, 2
_FROM, _SUBJECT, _BODY = 0x8000, 0x8004, 0x800C
_ATTACH_DATA, _ATTACH_TITLE, _ATTACH_PICTURE, _ATTACH_BEGIN = 0x800F, 0x8010, 0x8011, 0x9002
_PROPERTIES, _RECIPIENTS, _ATTACH_PROPERTIES, _CODEPAGE = 0x9003, 0x9004, 0x9005, 0x9007
_PLACES = {_FROM: "sender", _SUBJECT: "subject", _BODY: "body"}
_EMBEDDED_MESSAGE = bytes.fromhex("0703020000000000c000000000000046")
"""The interface of an attached message; its octets are TNEF."""
_INTERFACE_OCTETS = 16


@dataclass(slots=True)
class _Attached:
    """What the attributes of one attachment told."""

    titles: list[str] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)
    properties: list[Property] = field(default_factory=list)


def read_tnef(octets: Octets, walk: Walk) -> None:
    """Say all text of a TNEF file."""
    _Reading(walk).read(bytes(octets))


class _Reading:
    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._codepage = LATIN
        self._internet_codepage = LATIN
        self._attached = _Attached()

    def read(self, octets: bytes) -> None:
        complete = False
        for level, name, value in _attributes(octets):
            if level == 0:
                complete = True
            elif level == _ATTACHMENT:
                self._attachment(name, value)
            else:
                self._message(name, value)
        self._descend()
        if not complete:
            self._walk.gap(GapStatus.PARTIAL, GapReason.BROKEN, "the file is cut short or goes on as something else")

    def _message(self, name: int, value: bytes) -> None:
        if name == _CODEPAGE and len(value) >= 4:
            (self._codepage,) = struct.unpack_from("<I", value)
        elif name == _PROPERTIES:
            self._say(self._properties(PropertyReader(value)))
        elif name == _RECIPIENTS and len(value) >= 4:
            self._recipients(value)
        elif name in _PLACES:
            self._walk.say(decode(value, self._codepage).replace("\0", "\n"), _PLACES[name])
        else:
            self._walk.say(sweep(value), f"attribute {name:04x}")

    def _recipients(self, value: bytes) -> None:
        (rows,) = struct.unpack_from("<I", value)
        reader = PropertyReader(value, 4)
        for _ in range(rows):
            row = self._properties(reader)
            if not row:
                break
            self._say(row)

    def _attachment(self, name: int, value: bytes) -> None:
        if name == _ATTACH_BEGIN:
            self._descend()
        elif name == _ATTACH_TITLE:
            self._attached.titles.append(decode(value, self._codepage).strip("\0"))
        elif name == _ATTACH_DATA:
            self._attached.data.append(value)
        elif name == _ATTACH_PROPERTIES:
            self._attached.properties += self._properties(PropertyReader(value))
        elif name != _ATTACH_PICTURE:
            self._walk.say(sweep(value), f"attribute {name:04x}")

    def _properties(self, reader: PropertyReader) -> list[Property]:
        found: list[Property] = []
        try:
            found.extend(reader.list())
        except MapiError:
            self._walk.gap(GapStatus.PARTIAL, GapReason.BROKEN, "a list of properties breaks off")
        for one in found:
            if one.number == mapi.INTERNET_CODEPAGE:
                self._internet_codepage = int.from_bytes(one.octets[:4], "little")
        return found

    def _say(self, found: list[Property]) -> None:
        say_properties(found, self._walk, self._codepage, self._internet_codepage)

    def _descend(self) -> None:
        attached, self._attached = self._attached, _Attached()
        names = [
            one.text(self._codepage)
            for number in (mapi.ATTACH_LONG_NAME, mapi.ATTACH_NAME, mapi.DISPLAY_NAME)
            for one in attached.properties
            if one.number == number
        ]
        name = next((one for one in (*names, *attached.titles) if one), "")
        self._say(attached.properties)
        self._walk.say("\n".join(attached.titles), "file name")
        for data in (*attached.data, *_objects(attached.properties)):
            self._walk.descend(data, name)


def _objects(found: list[Property]) -> Iterator[bytes]:
    for one in found:
        if one.number == mapi.ATTACH_DATA:
            is_object = one.kind == mapi.OBJECT or one.octets.startswith(_EMBEDDED_MESSAGE)
            yield one.octets[_INTERFACE_OCTETS:] if is_object else one.octets


def _attributes(octets: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(level, name, value) of each; at a clean end (0, 0, b"")."""
    at = 6
    while at + 9 <= len(octets):
        level, name, _, size = struct.unpack_from("<BHHI", octets, at)
        if level not in (_MESSAGE, _ATTACHMENT):
            return
        value = octets[at + 9 : at + 9 + size]
        yield level, name, value
        at += 9 + size + 2
    if at == len(octets):
        yield 0, 0, b""
