"""OLE documents ([MS-CFB] files): .doc, .xls, .ppt, .msg and what is embedded in them.

What a storage holds is told by its streams, all of which are read, so a file that is two documents is read as both.
The known streams are read by their formats; of all others, but pictures, the strings.
"""

import zlib
from dataclasses import replace

from mailseal.extract import doc, msg, ppt, vba
from mailseal.extract.cfb import SIGNATURE, CompoundFile, CompoundFileError, Storage, Stream
from mailseal.extract.codepage import LATIN, decode
from mailseal.extract.office_encrypted import encryption_of
from mailseal.extract.ole_package import NATIVE, package
from mailseal.extract.property_set import property_texts
from mailseal.extract.string_sweep import LONG, MIN_CHARACTERS, strings, sweep
from mailseal.extract.tnef import SIGNATURE as TNEF
from mailseal.extract.walk import Walk
from mailseal.extract.xls import Workbook, XlsEncrypted
from mailseal.mail.message import Octets
from mailseal.policy.inspection import GapReason, GapStatus

MAX_PLACES = 50
"""Storages in storages that are named in a place."""

_READ_WHOLE = ("worddocument", "workbook", "book", "powerpoint document", "encryptedpackage")
"""Streams of a known document, read by its format."""
_READ_AS_STRINGS = (NATIVE, "package", "contents", "equation native", "project")
"""Streams of embedded objects, form controls and macros."""
_NOISE = ("pictures", "\x01compobj", "\x01ole", "\x03objinfo", "\x02olepres000", "thumbnail", "current user")
"""Pictures, and what programs tell each other."""
_PICTURES_OF_WORD = "data"
"""They stand among links and form fields."""
_FILES = (b"PK\x03\x04", b"%PDF-", SIGNATURE, b"{\\rtf", b"Rar!", b"7z\xbc\xaf", TNEF)
"""How a stream begins that is a file itself."""
_CHUNK = 1 << 20


def read_ole(octets: Octets, walk: Walk) -> None:
    """Say all text of a compound file."""
    try:
        file = CompoundFile(octets)
    except CompoundFileError as error:
        walk.gap(GapStatus.UNINSPECTABLE, GapReason.BROKEN, str(error))
        walk.say(sweep(bytes(octets)), "strings")
        return
    waiting = [(file.root, walk, 0)]
    known = False
    while waiting:
        storage, here, depth = waiting.pop()
        known = known or _is_known(storage)
        name = _read_storage(storage, here)
        for inner in reversed(storage.storages):
            named = depth < MAX_PLACES and not msg.is_part(inner)
            there = replace(here.into(name or inner.name), depth=here.depth) if named else here
            waiting.append((inner, there, depth + 1))
    if not known:
        walk.gap(GapStatus.PARTIAL, GapReason.UNKNOWN_FORMAT, "a compound file of a program that is not known")
    for defect in sorted(file.defects):
        walk.gap(GapStatus.PARTIAL, GapReason.BROKEN, defect)


def _is_known(storage: Storage) -> bool:
    names = {stream.name.lower() for stream in storage.streams}
    return msg.is_message(storage) or not names.isdisjoint((*_READ_WHOLE, *_READ_AS_STRINGS))


def _read_storage(storage: Storage, walk: Walk) -> str:
    """Say what its streams hold; the name of the attachment that it is, if it is one."""
    encrypted = encryption_of(storage)
    if encrypted:
        walk.gap(GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED, encrypted)
    is_message = msg.is_message(storage)
    name = msg.say_message(storage, walk) if is_message else ""
    for stream in storage.all("WordDocument"):
        main = stream.octets()
        if not doc.is_encrypted(main):
            _say_word(main, [table.octets() for table in storage.all(doc.table_name(main))], walk)
    for stream in (*storage.all("Workbook"), *storage.all("Book")):
        _say_workbook(stream.octets(), walk)
    for stream in storage.all("PowerPoint Document"):
        _say_presentation(stream.octets(), walk)
    for stream in storage.streams:
        _say_stream(stream, walk, is_message=is_message)
    return name


def _say_stream(stream: Stream, walk: Walk, *, is_message: bool) -> None:
    name = stream.name.lower()
    if name in _READ_WHOLE or name in _NOISE or (is_message and msg.is_property(stream.name)):
        return
    octets = stream.octets()
    if name == NATIVE:
        inner = package(octets)
        walk.descend(inner.octets, inner.name)
        walk.say(sweep(inner.rest), "package")
    elif octets.startswith(_FILES):
        walk.descend(octets, stream.name)
    elif name.startswith("\x05"):
        texts = list(property_texts(octets))
        walk.say("\n".join(texts), "properties")
        walk.say("\n".join(set(strings(octets)).difference(texts)), "properties")
    else:
        walk.say(sweep(octets, LONG if name == _PICTURES_OF_WORD else MIN_CHARACTERS), "strings")
        for source in vba.sources(octets):
            walk.say(decode(source, LATIN), "macro")


def _say_word(main: bytes, tables: list[bytes], walk: Walk) -> None:
    """The text of the document, then the strings of what is no text of it: left over by quick saving."""
    rest = bytearray(main)
    try:
        for table in tables or [b""]:
            text = "".join(piece.text(main) for piece in doc.pieces(main, table))
            walk.say(doc.shown(text), "text")
            walk.say(doc.instructions(text), "fields")
            for piece in doc.pieces(main, table):
                rest[piece.start : piece.stop] = bytes(piece.stop - piece.start)
    except doc.DocError as error:
        walk.gap(GapStatus.PARTIAL, GapReason.BROKEN, str(error))
    walk.say(sweep(bytes(rest)), "strings")


def _say_workbook(stream: bytes, walk: Walk) -> None:
    workbook = Workbook()
    try:
        for what, text in workbook.texts(stream):
            walk.say(text, what)
    except XlsEncrypted:
        walk.gap(GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED, "a workbook with a password")
    if workbook.broken:
        walk.gap(GapStatus.PARTIAL, GapReason.BROKEN, "records of the workbook are broken")


def _say_presentation(stream: bytes, walk: Walk) -> None:
    try:
        for text in ppt.texts(stream):
            walk.say(text, "text")
    except ppt.PptEncrypted:
        walk.gap(GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED, "a presentation with a password")
        return
    for octets, compressed in ppt.objects(stream):
        try:
            walk.descend(_inflated(octets, walk) if compressed else octets, "object")
        except zlib.error:
            walk.gap(GapStatus.PARTIAL, GapReason.BROKEN, "an embedded object cannot be unpacked")


def _inflated(octets: bytes, walk: Walk) -> bytes:
    inflater = zlib.decompressobj()
    parts = []
    waiting = octets
    while waiting and not inflater.eof:
        parts.append(inflater.decompress(waiting, _CHUNK))
        walk.budget.unpack(len(parts[-1]))
        waiting = inflater.unconsumed_tail
    return b"".join(parts)
