"""Cells of workbooks in ZIP packages (ECMA-376, [MS-XLSB], ODF 1.3): values in row order, numbers in full, dates.

The sweep of markup reads all strings of such a package; what it cannot tell is which of them stand in one row, that
4.111E15 is a card number, and anything of a binary workbook. Parts are known by what they hold, not by their names.
"""

import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO

from mailseal.extract import ods, xlsb, xlsx
from mailseal.extract.row_text import RowText
from mailseal.extract.walk import Walk
from mailseal.extract.xml_events import XmlError
from mailseal.policy.inspection import GapReason, GapStatus

MAX_PARTS = 10_000
_CHUNK = 1 << 20
_HEAD = 4096
_ROOT = re.compile(rb"(?:<[?!][^>]*+>|[^<])*+<(?:[\w.-]+:)?(worksheet|sst|styleSheet|workbook|document-content)\b")
_UNPACKING = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError, OSError)
"""What a part raises that cannot be unpacked; the reader of ZIP files tells of it."""


def read_cells(octets: bytes, walk: Walk) -> None:
    """Say the cells of a workbook; of a package that is none, nothing."""
    try:
        archive = zipfile.ZipFile(BytesIO(octets))
    except _UNPACKING:
        return
    with archive:
        _Package(archive, walk).say()


class _Package:
    """A package, its parts sorted by what they hold: first those that cells refer to."""

    def __init__(self, archive: zipfile.ZipFile, walk: Walk) -> None:
        self._archive = archive
        self._walk = walk
        self._rows = RowText(walk)
        self._book = xlsx.Workbook()

    def say(self) -> None:
        parts = self._archive.infolist()
        if len(parts) > MAX_PARTS:
            self._walk.gap(GapStatus.PARTIAL, GapReason.TOO_MANY, "parts of a workbook")
        kinds = [(part, self._kind(part)) for part in parts[:MAX_PARTS]]
        broken = 0
        for readers in (_REFERRED, _SAYING):
            for part, kind in kinds:
                if kind in readers:
                    try:
                        readers[kind](self, part)
                    except (XmlError, struct.error, *_UNPACKING):
                        broken += 1
        self._rows.flush()
        if broken:
            self._walk.gap(GapStatus.PARTIAL, GapReason.BROKEN, f"parts of the workbook that are broken: {broken}")

    def _kind(self, part: zipfile.ZipInfo) -> str | int:
        """The root element, or the number of the first binary record; "" for what cannot be unpacked."""
        try:
            with self._archive.open(part) as file:
                head = file.read(_HEAD)
        except _UNPACKING:
            return ""
        root = _ROOT.match(head.replace(b"\0", b""))
        return root[1].decode("ascii") if root else xlsb.first_record(head)

    def chunks(self, part: zipfile.ZipInfo) -> Iterator[bytes]:
        """The octets of a part, spent from the budget."""
        with self._archive.open(part) as file:
            while chunk := file.read(_CHUNK):
                self._walk.budget.unpack(len(chunk))
                yield chunk

    def strings(self, part: zipfile.ZipInfo) -> None:
        xlsx.read_strings(self.chunks(part), self._book)

    def styles(self, part: zipfile.ZipInfo) -> None:
        xlsx.read_styles(self.chunks(part), self._book)

    def workbook(self, part: zipfile.ZipInfo) -> None:
        xlsx.read_workbook(self.chunks(part), self._book)

    def sheet(self, part: zipfile.ZipInfo) -> None:
        xlsx.read_sheet(self.chunks(part), self._book, self._rows)

    def content(self, part: zipfile.ZipInfo) -> None:
        ods.read_content(self.chunks(part), self._rows)

    def binary(self, part: zipfile.ZipInfo) -> None:
        octets = b"".join(self.chunks(part))
        xlsb.say_rest(octets, self._walk)
        xlsb.read_part(octets, self._book)

    def binary_sheet(self, part: zipfile.ZipInfo) -> None:
        octets = b"".join(self.chunks(part))
        xlsb.say_rest(octets, self._walk)
        xlsb.read_sheet(octets, self._book, self._rows)


_Reader = Callable[[_Package, zipfile.ZipInfo], None]
_REFERRED: Mapping[str | int, _Reader] = {
    "sst": _Package.strings,
    "styleSheet": _Package.styles,
    "workbook": _Package.workbook,
    xlsb.BOOK: _Package.binary,
    xlsb.STRINGS: _Package.binary,
    xlsb.STYLES: _Package.binary,
    xlsb.COMMENTS: _Package.binary,
}
"""Parts that cells refer to, and what is read of them in passing."""
_SAYING: Mapping[str | int, _Reader] = {
    "worksheet": _Package.sheet,
    "document-content": _Package.content,
    xlsb.SHEET: _Package.binary_sheet,
}
