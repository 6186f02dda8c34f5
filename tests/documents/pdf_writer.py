"""A small writer of PDF files (ISO 32000-1): numbered objects, a cross-reference table, a trailer."""

import zlib


def stream(data: bytes, *, entries: bytes = b"", deflate: bool = False) -> bytes:
    """A stream object with its dictionary."""
    if deflate:
        data, entries = zlib.compress(data), entries + b"/Filter/FlateDecode"
    return b"<<%b/Length %d>>stream\n%b\nendstream" % (entries, len(data), data)


def text(string: str) -> bytes:
    """A text string in UTF-16, as a hexadecimal string object."""
    return b"<feff" + string.encode("utf-16-be").hex().encode() + b">"


def pdf(objects: dict[int, bytes], trailer: bytes = b"/Root 1 0 R") -> bytes:
    """A file of these objects."""
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    places = {}
    for number, body in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    xref = len(out)
    size = max(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % size
    for number in range(1, size):
        out += b"%010d 00000 n \n" % places[number] if number in places else b"0000000000 65535 f \n"
    out += b"trailer\n<</Size %d%b>>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, xref)
    return bytes(out)


def page_objects(contents: list[bytes], *, catalog: bytes = b"", page: bytes = b"") -> dict[int, bytes]:
    """Catalog 1, page tree 2, font 3; then for each content stream its page (4, 6, …) and the stream (5, 7, …)."""
    pages = [4 + 2 * at for at in range(len(contents))]
    kids = b" ".join(b"%d 0 R" % number for number in pages)
    objects = {
        1: b"<</Type/Catalog/Pages 2 0 R%b>>" % catalog,
        2: b"<</Type/Pages/Count %d/Kids[%b]>>" % (len(pages), kids),
        3: b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    }
    for number, content in zip(pages, contents, strict=True):
        objects[number] = (
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F 3 0 R>>>>/Contents %d 0 R%b>>"
            % (number + 1, page)
        )
        objects[number + 1] = stream(content)
    return objects


def line(words: str, x: int = 50, y: int = 700, *, before: str = "") -> bytes:
    """Operators that show a line of text; `before` stands before the text, for its rendering."""
    shown = words.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return f"BT /F 12 Tf {before} {x} {y} Td ({shown}) Tj ET\n".encode("cp1252")
