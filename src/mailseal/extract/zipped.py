"""Zip files (APPNOTE), and the documents that are ones: OOXML and OpenDocument. Every member is read, in one budget."""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence

from mailseal.extract.archive import read_archive
from mailseal.extract.budget import OverBudgetError
from mailseal.extract.markup import may_be_records, xml_text
from mailseal.extract.office_encrypted import is_odf_encrypted
from mailseal.extract.plain import declared_charset
from mailseal.extract.row_text import lines
from mailseal.extract.sniff import Format, formats
from mailseal.extract.strings import runs, strings
from mailseal.extract.text import readings
from mailseal.extract.walk import Walk
from mailseal.policy.inspection import GapReason, GapStatus

_CHUNK = 1 << 18
_ENDLESS = 1 << 50
_XML = (".xml", ".rels", ".vml", ".rdf")
_NOISE = re.compile(r"(?:^|/)(?:printersettings[^/]*|layout-cache|[^/]+\.(?:wmf|emf|wdp|bin))$", re.IGNORECASE)
"""Parts of documents that are of no format that we know, and are in nearly every one: settings of printers, vectors."""
_DESCRIPTOR_OCTETS = 24
"""At most, behind the content of a member."""
_MAX_MEMBERS = 100_000
_MANIFEST = "meta-inf/manifest.xml"
_ENTRY = b"PK\x01\x02"
_END = b"PK\x05\x06"
_END_OCTETS = 22
_DECLARATION = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml\s")
_IS_UTF8 = 0x800
_ENCRYPTED = 0x1
_READ_ERRORS = (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error, OSError, ValueError, RuntimeError)


def read_zip(octets: bytes, walk: Walk) -> None:
    """A zip file: as a document if it is one, its members as files else; raises OverBudgetError."""
    if octets.count(_ENTRY) > _MAX_MEMBERS:
        walk.gap(GapStatus.UNINSPECTABLE, GapReason.TOO_MANY, "there are more files than are looked at")
        return
    try:
        archive = zipfile.ZipFile(io.BytesIO(octets))
    except _READ_ERRORS:
        walk.gap(GapStatus.PARTIAL, GapReason.BROKEN, "the directory of the archive")
        walk.say(strings(octets), "strings")
        read_archive(octets, walk, "zip")
        return
    with archive:
        members = archive.infolist()
        names = {member.filename.lower() for member in members}
        walk.say(archive.comment.decode("utf-8", "replace"), "comment")
        for start, end in _uncovered(octets, members, archive.start_dir):
            walk.descend(octets[start:end], "", place="what stands around the files")
        is_document = "[content_types].xml" in names or ("mimetype" in names and _MANIFEST in names)
        reader = _Members(archive, walk, is_document=is_document)
        for member in members:
            reader.read(member)
        if reader.is_broken:
            walk.say(strings(octets), "strings")


def _uncovered(octets: bytes, members: Sequence[zipfile.ZipInfo], end: int) -> Iterator[tuple[int, int]]:
    """Where something stands that is of no member: before the first, between two of them, behind the directory."""
    at = 0
    for member in sorted(members, key=lambda one: one.header_offset):
        start = member.header_offset
        if start - at > _DESCRIPTOR_OCTETS or (at == 0 < start):
            yield at, start
        names = octets[start + 26 : start + 30]
        at = max(at, start + 30 + int.from_bytes(names[:2], "little") + int.from_bytes(names[2:], "little"))
        at += member.compress_size
    if end - at > _DESCRIPTOR_OCTETS:
        yield at, end
    last = octets.rfind(_END)
    behind = last + _END_OCTETS + int.from_bytes(octets[last + 20 : last + 22], "little")
    if 0 <= last < behind < len(octets):
        yield behind, len(octets)


class _Members:
    def __init__(self, archive: zipfile.ZipFile, walk: Walk, *, is_document: bool) -> None:
        self._archive = archive
        self._walk = walk
        self._is_document = is_document
        self.is_broken = False

    def read(self, member: zipfile.ZipInfo) -> None:
        """Say what a member says. What is broken is a gap of its own; raises OverBudgetError."""
        name = member.filename
        self._say_entry(member)
        if name.endswith("/") and not member.file_size:
            self._walk.budget.open(self._walk.depth)
            self._walk.say(name, "name")
            return
        if member.flag_bits & _ENCRYPTED:
            self._walk.say(name, "name")
            self._walk.gap(GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED, "it has a password", name)
            return
        content = self._unpacked(member)
        if content is None:
            return
        if name.lower() == _MANIFEST and is_odf_encrypted(content):
            self._walk.gap(GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED, "an OpenDocument file with a password")
        if self._is_document and (name.lower().endswith(_XML) or _DECLARATION.match(content)):
            self._walk.budget.open(self._walk.depth)
            self._say_xml(content, name)
        elif self._is_document and _NOISE.search(name) and formats(content) == (Format.UNKNOWN,):
            self._walk.say(lines(runs(content)), name)  # perhaps the cells of a binary workbook
        else:
            self._walk.descend(content, name)

    def _unpacked(self, member: zipfile.ZipInfo) -> bytes | None:
        """The content, or as much of it as there is; None for nothing. What is broken is a gap."""
        found: list[bytes] = []
        member.file_size = _ENDLESS  # it may be a lie: what is packed ends by itself, and has a checksum
        try:
            with self._archive.open(member) as file:
                while chunk := file.read(_CHUNK):
                    self._walk.budget.unpack(len(chunk))
                    found.append(chunk)
        except OverBudgetError:
            raise
        except _READ_ERRORS as error:
            self.is_broken = True
            status = GapStatus.PARTIAL if found else GapStatus.UNINSPECTABLE
            reason = GapReason.UNSUPPORTED if isinstance(error, NotImplementedError) else GapReason.BROKEN
            self._walk.gap(status, reason, type(error).__name__, member.filename)
            if not found:
                return None
        return b"".join(found)

    def _say_entry(self, member: zipfile.ZipInfo) -> None:
        """The comment, names in every charset that they can be in, fields of other programs."""
        name = member.orig_filename
        octets = b"" if member.flag_bits & _IS_UTF8 or name.isascii() else name.encode("cp437", "replace")
        names = [name, *(readings(octets) if octets else ())]
        told = "\n".join(one for one in dict.fromkeys(names) if one != member.filename)
        self._walk.say(told, f"{member.filename}: name")
        self._walk.say(strings(member.extra), f"{member.filename}: comment")
        self._walk.say("\n".join(readings(member.comment)), f"{member.filename}: comment")

    def _say_xml(self, content: bytes, name: str) -> None:
        for reading in readings(content, declared_charset(content) or "utf-8"):
            found = xml_text(reading)
            self._walk.say(found.text, name)
            if may_be_records(reading):
                self._walk.say(xml_text(reading, joins=False).text, f"{name}: apart")
            self._walk.say(found.aside, f"{name}: aside")
            if found.has_entities:
                self._walk.gap(GapStatus.PARTIAL, GapReason.UNSUPPORTED, "it defines entities of its own", name)
