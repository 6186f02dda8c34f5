"""The pages of a PDF through PDFium: text in any place and colour, annotations, values of forms, attached files."""

import ctypes
import re
from collections.abc import Iterator

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

MAX_ANNOTATIONS = 10_000
"""Of a page."""
MAX_OBJECTS_LOOKED_AT = 200
MAX_CHARACTERS_LOOKED_AT = 500

_EVERYWHERE = 1e9
"""Points from the origin: text beside the page is text too."""
_HYPHEN = "\x02"
"""What PDFium makes of a hyphen at the end of a line."""
_HYPHENATED = re.compile(rf"\S{{0,100}}{_HYPHEN}\S{{0,100}}")
_KEYS = (b"Contents", b"T", b"Subj", b"RC", b"V", b"TU", b"DV", b"NM", b"OverlayText")
_PICTURE, _FORM = 3, 5
_FLATTENED = 1


def page_text(page: pdfium.PdfPage) -> str:
    """The text of a page: words that were parted at the end of a line are whole, and stand once more with a hyphen."""
    text_page = page.get_textpage()
    try:
        side = _EVERYWHERE
        text = text_page.get_text_bounded(-side, -side, side, side, errors="replace")
    finally:
        text_page.close()
    if _HYPHEN not in text:
        return str(text)
    hyphenated = "\n".join(match.group().replace(_HYPHEN, "-") for match in _HYPHENATED.finditer(text))
    return f"{text.replace(_HYPHEN, '')}\n{hyphenated}"


def has_unknown_characters(page: pdfium.PdfPage) -> bool:
    """Whether fonts of the page do not tell what their glyphs mean, for half of the characters that are looked at."""
    text_page = page.get_textpage()
    try:
        count = text_page.count_chars()
        step = max(1, count // MAX_CHARACTERS_LOOKED_AT)
        places = range(0, count, step)
        unknown = sum(pdfium_c.FPDFText_HasUnicodeMapError(text_page, at) == 1 for at in places)
    finally:
        text_page.close()
    return bool(unknown * 2 > len(places))


def has_picture(page: pdfium.PdfPage) -> bool:
    """Whether the page shows a picture, perhaps one of text."""
    count = min(pdfium_c.FPDFPage_CountObjects(page), MAX_OBJECTS_LOOKED_AT)
    kinds = (pdfium_c.FPDFPageObj_GetType(pdfium_c.FPDFPage_GetObject(page, at)) for at in range(count))
    return any(kind in (_PICTURE, _FORM) for kind in kinds)


def flattened(page: pdfium.PdfPage) -> bool:
    """Draw the annotations into the page, whose text is theirs too when it is loaded again; False: there are none."""
    return int(pdfium_c.FPDFPage_Flatten(page, 0)) == _FLATTENED


def annotation_texts(page: pdfium.PdfPage) -> Iterator[str]:
    """Comments, authors, values of form fields, targets of links."""
    for annotation in _annotations(page):
        for key in _KEYS:
            yield _string(annotation, key)
        link = pdfium_c.FPDFAnnot_GetLink(annotation)
        if link:
            yield _target(page, link)


def attached_files(page: pdfium.PdfPage, document: pdfium.PdfDocument) -> Iterator[pdfium.PdfAttachment]:
    """The files that annotations hold."""
    for annotation in _annotations(page):
        attachment = pdfium_c.FPDFAnnot_GetFileAttachment(annotation)
        if attachment:
            yield pdfium.PdfAttachment(attachment, document)


def content(attachment: pdfium.PdfAttachment) -> bytes:
    """An attached file. Raises PdfiumError."""
    size = ctypes.c_ulong()
    if pdfium_c.FPDFAttachment_GetFile(attachment, None, 0, size) and not size.value:
        return b""
    return bytes(attachment.get_data())


def _annotations(page: pdfium.PdfPage) -> Iterator[object]:
    for at in range(min(pdfium_c.FPDFPage_GetAnnotCount(page), MAX_ANNOTATIONS)):
        annotation = pdfium_c.FPDFPage_GetAnnot(page, at)
        if not annotation:
            continue
        try:
            yield annotation
        finally:
            pdfium_c.FPDFPage_CloseAnnot(annotation)


def _string(annotation: object, key: bytes) -> str:
    size = pdfium_c.FPDFAnnot_GetStringValue(annotation, key, None, 0)
    if size <= 2:  # the end of the string alone
        return ""
    units = (pdfium_c.FPDF_WCHAR * (size // 2 + 1))()
    pdfium_c.FPDFAnnot_GetStringValue(annotation, key, units, size)
    return bytes(units).decode("utf-16-le", "replace").rstrip("\0")


def _target(page: pdfium.PdfPage, link: object) -> str:
    action = pdfium_c.FPDFLink_GetAction(link)
    if not action:
        return ""
    size = pdfium_c.FPDFAction_GetURIPath(page.pdf, action, None, 0)
    octets = ctypes.create_string_buffer(max(size, 1))
    pdfium_c.FPDFAction_GetURIPath(page.pdf, action, octets, size)
    return octets.value.decode("utf-8", "replace")
