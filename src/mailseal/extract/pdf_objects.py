"""The strings of a PDF's objects (ISO 32000-1 §7.3.4, §7.5.7), read without its cross-reference table.

Beside the text of the pages: annotations, targets of links, values of forms, properties, bookmarks, scripts, alternate
texts, and what earlier revisions of the file held. Contents of pages are left to PDFium, which knows their fonts.
"""

import re
import zlib
from collections.abc import Callable, Iterator

from mailseal.extract.string_sweep import MIN_CHARACTERS

MAX_DICTIONARY = 64 * 1024
"""Octets before a stream that may be its dictionary."""

_STREAM = re.compile(rb"\bstream[ \t]*(?:\r\n|\n|\r)")
_END = b"endstream"
_OBJECT = b"obj"
_DELIMITER = re.compile(rb"[()\\]|<(?=[0-9A-Fa-f\s])")
_HEX = re.compile(rb"<([0-9A-Fa-f\s]{4,}+)>")
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|(\r\n|[\s\S]))")
_NAMED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"", b"f": b"\n", b"\n": b"", b"\r": b"", b"\r\n": b""}
_FLATE = re.compile(rb"/Filter\s*(?:/FlateDecode|\[\s*/FlateDecode\s*\])")
_NAME_ESCAPE = re.compile(rb"#([0-9A-Fa-f]{2})")
_CHUNK = 256 * 1024

Spend = Callable[[int], None]
"""Takes octets that are inflated from a budget; raises when there is none left."""


class PdfFilterError(ValueError):
    """A stream of objects is packed in a way that is not read here."""


def object_strings(octets: bytes) -> Iterator[str]:
    """The literal and hexadecimal strings of objects, in their order; the octets of streams must not be among them."""
    at = 0
    while (match := _DELIMITER.search(octets, at)) is not None:
        if match.group() == b"(":
            raw, at = _literal(octets, match.end())
        elif match.group() == b"<" and (digits := _HEX.match(octets, match.start())) is not None:
            raw, at = bytes.fromhex(_even(digits.group(1).translate(None, b" \t\r\n\f\0\v"))), digits.end()
        else:
            at = match.end() + (match.group() == b"\\")
            continue
        text = _decoded(raw)
        if len(text) >= MIN_CHARACTERS:
            yield text


def _even(digits: bytes) -> str:
    return (digits + b"0" * (len(digits) % 2)).decode("ascii")


def _literal(octets: bytes, start: int) -> tuple[bytes, int]:
    depth, at = 1, start
    while depth and (match := _DELIMITER.search(octets, at)) is not None:
        at = match.end() + (match.group() == b"\\")
        depth += {b"(": 1, b")": -1}.get(match.group(), 0)
    stop = at - 1 if depth == 0 else len(octets)
    return _ESCAPE.sub(_unescape, octets[start:stop]), max(at, stop)


def _unescape(match: "re.Match[bytes]") -> bytes:
    if match.group(1):
        return bytes([int(match.group(1), 8) & 0xFF])
    return _NAMED.get(match.group(2), match.group(2))


def _decoded(raw: bytes) -> str:
    """A text string (§7.9.2.2), or octets taken for one."""
    if raw.startswith((b"\xfe\xff", b"\xff\xfe")):
        return raw.decode("utf-16", "replace")
    return raw.decode("utf-8-sig" if raw.startswith(b"\xef\xbb\xbf") else "cp1252", "replace")


def split(octets: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    """The file as (objects, stream behind them) in order; the dictionary of a stream ends its objects."""
    at = 0
    while (match := _STREAM.search(octets, at)) is not None:
        stop = octets.find(_END, match.end())
        stop = len(octets) if stop < 0 else stop
        yield octets[at : match.start()], octets[match.end() : stop]
        at = stop + len(_END)
    yield octets[at:], None


def unpacked(objects: bytes, stream: bytes, spend: Spend) -> bytes:
    """The octets of a stream that holds objects or XML; nothing of other ones. Raises PdfFilterError."""
    tail = objects[-MAX_DICTIONARY:]
    dictionary = _NAME_ESCAPE.sub(_name_octet, tail[tail.rfind(_OBJECT) + len(_OBJECT) :])
    holds_objects = b"/ObjStm" in dictionary
    if b"/Filter" not in dictionary:
        return stream if holds_objects or _is_xml(stream) else b""
    if b"/Image" in dictionary:
        return b""
    if not _FLATE.search(dictionary) or b"/Predictor" in dictionary:
        if holds_objects:
            raise PdfFilterError
        return b""
    inflated = _inflate(stream, spend, all_of_it=holds_objects)
    return inflated if holds_objects or _is_xml(inflated) else b""


def _name_octet(match: "re.Match[bytes]") -> bytes:
    return bytes.fromhex(match.group(1).decode("ascii"))


def _is_xml(octets: bytes) -> bool:
    return octets[:64].lstrip(b"\xef\xbb\xbf\0\xfe\xff \t\r\n").startswith(b"<")


def _inflate(stream: bytes, spend: Spend, *, all_of_it: bool) -> bytes:
    """As much as can be inflated; where it is neither objects nor XML, no more than its beginning."""
    inflater = zlib.decompressobj()
    parts: list[bytes] = []
    waiting = stream
    try:
        while waiting and not inflater.eof:
            parts.append(inflater.decompress(waiting, _CHUNK if parts or all_of_it else 64))
            spend(len(parts[-1]))
            waiting = inflater.unconsumed_tail
            if not all_of_it and not _is_xml(parts[0]):
                break
    except zlib.error:
        pass
    return b"".join(parts)
