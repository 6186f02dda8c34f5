"""PDF documents (ISO 32000-1): pages, annotations, forms, properties, bookmarks, scripts, attached files.

PDFium reads the pages; the strings of all objects are read beside it, so that what PDFium does not tell (metadata,
earlier revisions, alternate texts) is found as well. A text that was said once is not said again.
"""

import ctypes
import io
import re
from collections.abc import Iterator

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from mailseal.extract import pdf_objects, pdf_page
from mailseal.extract.string_sweep import sweep
from mailseal.extract.walk import Walk
from mailseal.mail.message import Octets
from mailseal.policy.inspection import GapReason, GapStatus

MAX_PAGES = 5_000
MAX_BOOKMARKS = 10_000
MAX_ATTACHMENTS = 1_000
MAX_SCRIPTS = 1_000
MAX_PIECE = 100_000
"""Characters of strings that are said at once."""
_KEYS = (*pdfium.PdfDocument.METADATA_KEYS, "Company", "Manager", "Category", "Comments", "SourceModified", "Trapped")
_COUNT = re.compile(rb"/Count(?=\s*-?\d)")
_NO_COUNT = b"/Kount"
"""Without counts PDFium walks the page tree, which may hold more pages than it says."""
_REMOVE_SECURITY = 3
_PLAIN = -1
"""The security handler of a document that has none."""


def read_pdf(octets: Octets, walk: Walk) -> None:
    """Say all text of a PDF."""
    data = bytes(octets)
    try:
        document = pdfium.PdfDocument(_COUNT.sub(_NO_COUNT, data))
    except pdfium.PdfiumError as error:
        if error.err_code in (pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY):
            walk.gap(GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED, "it is opened with a password")
            return
        walk.gap(GapStatus.UNINSPECTABLE, GapReason.BROKEN, "no reader of PDF opens it")
        _Reading(walk).say_objects(data)
        walk.say(sweep(data), "strings")
        return
    try:
        reading = _Reading(walk)
        reading.say_pages(document)
        reading.say_document(document)
        reading.say_objects(_plain(document, data))
        reading.descend(document)
    finally:
        document.close()


def _plain(document: pdfium.PdfDocument, data: bytes) -> bytes:
    """The file without the encryption that any reader opens, having no password."""
    if pdfium_c.FPDF_GetSecurityHandlerRevision(document) == _PLAIN:
        return data
    plain = io.BytesIO()
    document.save(plain, flags=_REMOVE_SECURITY)
    return plain.getvalue()


class _Reading:
    """One document, read once; what was said is not said again."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._said: set[str] = set()
        self._broken_pages = 0
        self._picture_pages = 0
        self._unknown_pages = 0

    def _say_once(self, text: str, what: str) -> None:
        key = text.strip()
        if key and key not in self._said:
            self._said.add(key)
            self._walk.say(text, what)

    def say_pages(self, document: pdfium.PdfDocument) -> None:
        """The text of the pages; gaps for those that could not be read."""
        count = len(document)
        for number in range(min(count, MAX_PAGES)):
            self._walk.budget.check_time()
            try:
                self._say_page(document, number)
            except pdfium.PdfiumError:
                self._broken_pages += 1
        partial = GapStatus.PARTIAL
        if count > MAX_PAGES:
            self._walk.gap(partial, GapReason.TOO_LARGE, f"{count} pages, of which {MAX_PAGES} are read")
        if self._broken_pages or not count:
            self._walk.gap(partial, GapReason.BROKEN, f"pages that cannot be read: {self._broken_pages}")
        if self._unknown_pages:
            detail = f"pages whose fonts do not tell their characters: {self._unknown_pages}"
            self._walk.gap(partial, GapReason.UNSUPPORTED, detail)
        if self._picture_pages:
            detail = f"pages that are pictures without text: {self._picture_pages}"
            self._walk.gap(partial, GapReason.UNKNOWN_FORMAT, detail)

    def _say_page(self, document: pdfium.PdfDocument, number: int) -> None:
        what = f"page {number + 1}"
        page = document[number]
        try:
            text = pdf_page.page_text(page)
            self._walk.say(text, what)
            if not text.strip():
                self._picture_pages += pdf_page.has_picture(page)
            elif pdf_page.has_unknown_characters(page):
                self._unknown_pages += 1
            for found in pdf_page.annotation_texts(page):
                self._say_once(found, f"{what}, annotation")
            for attachment in pdf_page.attached_files(page, document):
                self._attached(attachment)
            drawn = pdf_page.flattened(page)
        finally:
            page.close()
        if drawn:
            self._say_drawn(document, number, text)

    def _say_drawn(self, document: pdfium.PdfDocument, number: int, before: str) -> None:
        """The text that annotations show (stamps, filled fields) and that is not among the page's own."""
        page = document[number]
        try:
            lines = set(before.splitlines())
            drawn = [line for line in pdf_page.page_text(page).splitlines() if line not in lines]
        finally:
            page.close()
        self._say_once("\n".join(drawn), f"page {number + 1}, annotation")

    def say_document(self, document: pdfium.PdfDocument) -> None:
        """Properties, bookmarks, scripts, forms of XML."""
        for key in _KEYS:
            self._say_once(document.get_metadata_value(key), "properties")
        for count, bookmark in enumerate(document.get_toc()):
            if count == MAX_BOOKMARKS:
                self._walk.gap(GapStatus.PARTIAL, GapReason.TOO_MANY, "bookmarks")
                break
            self._say_once(bookmark.get_title(), "bookmark")
        for script in _scripts(document):
            self._say_once(script, "script")

    def say_objects(self, data: bytes) -> None:
        """The strings of all objects, and XML: metadata, forms."""
        lines: list[str] = []
        length = 0
        for text in self._object_strings(data):
            if text not in self._said:
                self._said.add(text)
                lines.append(text)
                length += len(text)
            if length > MAX_PIECE:
                self._walk.say("\n".join(lines), "objects")
                lines, length = [], 0
        self._walk.say("\n".join(lines), "objects")

    def _object_strings(self, data: bytes) -> Iterator[str]:
        for objects, stream in pdf_objects.split(data):
            yield from pdf_objects.object_strings(objects)
            if stream is None:
                continue
            try:
                inner = pdf_objects.unpacked(objects, stream, self._walk.budget.unpack)
            except pdf_objects.PdfFilterError:
                self._walk.gap(GapStatus.PARTIAL, GapReason.UNSUPPORTED, "objects in a rare form of compression")
                continue
            if inner.lstrip()[:1] == b"<" and b"/ObjStm" not in objects[-pdf_objects.MAX_DICTIONARY :]:
                self._walk.descend(inner, "", "text/xml", "metadata")
            else:
                yield from pdf_objects.object_strings(inner)

    def descend(self, document: pdfium.PdfDocument) -> None:
        """The attached files of the document."""
        count = document.count_attachments()
        for at in range(min(count, MAX_ATTACHMENTS)):
            try:
                attachment = document.get_attachment(at)
            except pdfium.PdfiumError:
                self._walk.gap(GapStatus.PARTIAL, GapReason.BROKEN, "an attached file cannot be found")
            else:
                self._attached(attachment)
        if count > MAX_ATTACHMENTS:
            self._walk.gap(GapStatus.PARTIAL, GapReason.TOO_MANY, "attached files")

    def _attached(self, attachment: pdfium.PdfAttachment) -> None:
        try:
            name = attachment.get_name()
            data = pdf_page.content(attachment)
        except pdfium.PdfiumError:
            self._walk.gap(GapStatus.PARTIAL, GapReason.BROKEN, "an attached file cannot be read")
            return
        self._walk.budget.unpack(len(data))
        self._walk.descend(data, name)


def _scripts(document: pdfium.PdfDocument) -> Iterator[str]:
    for at in range(min(pdfium_c.FPDFDoc_GetJavaScriptActionCount(document), MAX_SCRIPTS)):
        action = pdfium_c.FPDFDoc_GetJavaScriptAction(document, at)
        if not action:
            continue
        try:
            size = pdfium_c.FPDFJavaScriptAction_GetScript(action, None, 0)
            units = (pdfium_c.FPDF_WCHAR * (size // ctypes.sizeof(pdfium_c.FPDF_WCHAR) + 1))()
            pdfium_c.FPDFJavaScriptAction_GetScript(action, units, size)
            yield bytes(units).decode("utf-16-le", "replace").rstrip("\0")
        finally:
            pdfium_c.FPDFDoc_CloseJavaScriptAction(action)
