"""Messages of Outlook in compound files ([MS-OXMSG]): the properties of a storage, which are streams with names."""

import re
import struct
from collections.abc import Iterator

from mailseal.extract import mapi
from mailseal.extract.cfb import Storage
from mailseal.extract.codepage import LATIN
from mailseal.extract.mapi import Property
from mailseal.extract.message_properties import say_properties
from mailseal.extract.walk import Walk

FIXED_PROPERTIES = "__properties_version1.0"
_STREAM = re.compile(r"__substg1\.0_([0-9a-f]{4})([0-9a-f]{4})(-[0-9a-f]{8})?", re.IGNORECASE)
_PARTS = ("__recip_version1.0_", "__attach_version1.0_", "__nameid_version1.0")
_ENTRY_OCTETS = 16
_NAMES = (mapi.ATTACH_LONG_NAME, mapi.ATTACH_NAME, mapi.DISPLAY_NAME)


def is_message(storage: Storage) -> bool:
    """Whether a storage is a message, a recipient or an attachment."""
    return bool(storage.all(FIXED_PROPERTIES))


def is_part(storage: Storage) -> bool:
    """Whether a storage is a recipient or an attachment, which has no place beside that of its message."""
    return storage.name.lower().startswith(_PARTS)


def is_property(name: str) -> bool:
    """Whether a stream is read by `say_message`."""
    return name.lower() == FIXED_PROPERTIES or _STREAM.fullmatch(name) is not None


def say_message(storage: Storage, walk: Walk) -> str:
    """Say what a message, recipient or attachment says, and read attached data; the name of an attachment, or ""."""
    pages = _codepages(storage.first(FIXED_PROPERTIES) or b"")
    codepage = pages.get(mapi.MESSAGE_CODEPAGE, LATIN)
    found = list(_properties(storage))
    names = [one.text(codepage) for number in _NAMES for one in found if one.number == number]
    name = next(filter(None, names), "")
    say_properties(found, walk, codepage, pages.get(mapi.INTERNET_CODEPAGE, codepage))
    for one in found:
        if one.number == mapi.ATTACH_DATA:
            walk.descend(one.octets, name)
    return name


def _properties(storage: Storage) -> Iterator[Property]:
    for stream in storage.streams:
        match = _STREAM.fullmatch(stream.name)
        if match is None:
            continue
        number, kind = int(match.group(1), 16), int(match.group(2), 16)
        if kind & mapi.MULTIPLE and not match.group(3):
            continue  # lengths of the values, which are streams of their own
        yield Property(number, kind & ~mapi.MULTIPLE, stream.octets())


def _codepages(octets: bytes) -> dict[int, int]:
    """The numbers among the properties of fixed size (§2.4): its entries come after a header of 8, 24 or 32 octets."""
    start = len(octets) % _ENTRY_OCTETS
    return {
        tag >> 16: value
        for at in range(start, len(octets) - _ENTRY_OCTETS + 1, _ENTRY_OCTETS)
        for tag, value in [struct.unpack_from("<I4xI", octets, at)]
    }
