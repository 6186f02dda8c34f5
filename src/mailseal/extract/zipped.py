"""Zip files (APPNOTE), and the documents that are ones: OOXML and OpenDocument. Every member is read, in one budget."""

import io
import zipfile
import zlib
from collections.abc import Iterator

from mailseal.extract.archive import read_archive
from mailseal.extract.budget import OverBudgetError
from mailseal.extract.markup import shared_strings, sheet_rows, xml_text
from mailseal.extract.plain import declared_charset
from mailseal.extract.text import readings
from mailseal.extract.walk import Walk
from mailseal.policy.inspection import GapReason, GapStatus

_CHUNK = 1 << 18
_XML = (".xml", ".rels", ".vml", ".rdf")
_RUNS = (
    "word/",
    "ppt/",
    "content.xml",
    "styles.xml",
    "xl/sharedstrings",
    "xl/worksheets/",
    "xl/comments",
    "xl/drawings/",
    "xl/charts/",
    "xl/threadedcomments",
    "object ",
)
_ENCRYPTED = 0x1
_SHARED = "xl/sharedstrings.xml"
_READ_ERRORS = (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error, OSError, ValueError, RuntimeError)


def read_zip(octets: bytes, walk: Walk) -> None:
    """A zip file: as a document if it is one, its members as files else; raises OverBudgetError."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(octets))
    except _READ_ERRORS:
        read_archive(octets, walk, "zip")
        return
    with archive:
        members = archive.infolist()
        names = {member.filename.lower() for member in members}
        walk.say(archive.comment.decode("utf-8", "replace"), "comment")
        first = min((member.header_offset for member in members), default=0)
        if first > 0:
            walk.descend(octets[:first], "", place="what stands before the archive")
        is_document = "[content_types].xml" in names or ("mimetype" in names and "meta-inf/manifest.xml" in names)
        reader = _Members(archive, walk, is_document=is_document)
        for member in sorted(members, key=lambda one: one.filename.lower() != _SHARED):
            reader.read(member)


class _Members:
    def __init__(self, archive: zipfile.ZipFile, walk: Walk, *, is_document: bool) -> None:
        self._archive = archive
        self._walk = walk
        self._is_document = is_document
        self._strings: list[str] = []

    def read(self, member: zipfile.ZipInfo) -> None:
        """Say what a member says. What is broken is a gap of its own; raises OverBudgetError."""
        name = member.filename
        if member.comment:
            self._walk.say(member.comment.decode("utf-8", "replace"), name)
        if member.is_dir() and not member.file_size:
            self._walk.budget.open(self._walk.depth)
            self._walk.say(name, "name")
            return
        if member.flag_bits & _ENCRYPTED:
            self._walk.say(name, "name")
            self._walk.gap(GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED, "it has a password", name)
            return
        try:
            content = b"".join(self._chunks(member))
        except OverBudgetError:
            raise
        except _READ_ERRORS as error:
            self._walk.gap(GapStatus.UNINSPECTABLE, GapReason.BROKEN, type(error).__name__, name)
            return
        if self._is_document and name.lower().endswith(_XML):
            self._walk.budget.open(self._walk.depth)
            self._say_xml(content, name)
        else:
            self._walk.descend(content, name)

    def _chunks(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        with self._archive.open(member) as file:
            while chunk := file.read(_CHUNK):
                self._walk.budget.unpack(len(chunk))
                yield chunk

    def _say_xml(self, content: bytes, name: str) -> None:
        lower = name.lower()
        for reading in readings(content, declared_charset(content) or "utf-8"):
            found = xml_text(reading, joins=lower.startswith(_RUNS))
            if lower == _SHARED:
                self._strings = shared_strings(reading)
            if lower.startswith("xl/worksheets/"):
                self._walk.say("\n".join(sheet_rows(reading, self._strings)), f"{name}: cells")
            self._walk.say(found.text, name)
            self._walk.say(found.aside, f"{name}: aside")
            if found.has_entities:
                self._walk.gap(GapStatus.PARTIAL, GapReason.UNSUPPORTED, "it defines entities of its own", name)
