"""Handlers of text: plain text with what is packed into it (uuencode, armor, escapes), HTML and XML."""

import binascii
import re
from collections.abc import Callable, Iterator
from urllib.parse import unquote_to_bytes

from mailseal.extract.html import text_of
from mailseal.extract.markup import xml_text
from mailseal.extract.text import readings
from mailseal.extract.walk import Walk
from mailseal.policy.inspection import GapReason, GapStatus

_UU = re.compile(rb"^begin(?:-base64)? [0-7]{3,4} ([^\r\n]{1,255})\r?\n", re.MULTILINE)
_JSON_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})")
_FOLD = re.compile(r"\r?\n[ \t]")
_SOFT_BREAK = re.compile(r"[ \t]\r?\n")
_PACKED = (b"(This file must be converted with BinHex", b"=ybegin line=")
_PGP = re.compile(rb"^-----BEGIN PGP MESSAGE(?:, PART [^-]*)?-----", re.MULTILINE)
_XML = re.compile(r"\s*<\?xml[\s>]")
_XML_CHARSET = re.compile(rb"<\?xml[^>]{0,100}encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})")
_HTML_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([A-Za-z0-9._-]{1,40})", re.IGNORECASE)
_DATA = re.compile(
    r"data:([a-z0-9.+/-]{0,100})(?:;[a-z0-9-]{1,30}=[^;,\s]{0,100})*;base64,([A-Za-z0-9+/=%]{8,})", re.IGNORECASE
)
_HEAD = 4096
_PGP_MARK, _UU_MARK = b"-----BEGIN PGP MESSAGE", b"begin"
"""Looked for first: an expression for the start of a line takes ten times as long, and most texts have neither."""


def read_text(octets: bytes, walk: Walk) -> None:
    """Plain text, in every charset that it can be in, and what is packed into it."""
    for reading in readings(octets, walk.charset):
        walk.say(reading)
        _say_unescaped(reading, walk)
    if _PGP_MARK in octets and _PGP.search(octets):
        walk.gap(GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED, "an OpenPGP message in text")
    if any(mark in octets for mark in _PACKED):
        walk.gap(GapStatus.PARTIAL, GapReason.UNSUPPORTED, "a file in text, as BinHex or yEnc")
    read_uuencoded(octets, walk)


def _say_unescaped(text: str, walk: Walk) -> None:
    """Another reading where lines are folded (RFC 5545 §3.1, RFC 3676 §4.1) or characters escaped (RFC 8259 §7)."""
    if "\\u" in text:
        walk.say(_JSON_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text), "without escapes")
    if "\nBEGIN:V" in "\n" + text[:_HEAD]:
        walk.say(_FOLD.sub("", text), "unfolded")
    if walk.delsp:
        walk.say(_SOFT_BREAK.sub("", text), "unfolded")


def read_uuencoded(octets: bytes, walk: Walk) -> None:
    """Files that stand in text behind a line with "begin" (POSIX uuencode), as far as their lines are ones."""
    if b"\n" + _UU_MARK not in octets and not octets.startswith(_UU_MARK):
        return
    for begin in _UU.finditer(octets):
        decode = _from_base64 if begin[0].startswith(b"begin-") else binascii.a2b_uu
        decoded = b"".join(_lines(octets, begin.end(), decode))
        if decoded:
            walk.descend(decoded, begin[1].decode("utf-8", "replace"))


def _lines(octets: bytes, at: int, decode: Callable[[bytes], bytes]) -> Iterator[bytes]:
    while at < len(octets):
        end = octets.find(b"\n", at)
        end = len(octets) if end < 0 else end
        line = octets[at:end].rstrip(b"\r")
        if line == b"end" or line.startswith((b"begin", b"====")):
            return
        try:
            yield decode(line)
        except binascii.Error:
            try:  # some programs write more padding than there should be
                yield decode(line[: (((line[0] - 32) & 63) * 4 + 5) // 3])
            except (binascii.Error, IndexError):
                return
        at = end + 1


def _from_base64(line: bytes) -> bytes:
    return binascii.a2b_base64(line[: len(line) // 4 * 4])


def read_html(octets: bytes, walk: Walk) -> None:
    """HTML or XML: what is shown, what is hidden, what is in tags."""
    for reading in readings(octets, walk.charset or declared_charset(octets)):
        found = text_of(reading)
        walk.say(found.all)
        walk.say(found.seen, "what is not hidden")
        walk.say(found.unseen, "not shown")
        if _XML.match(reading):
            joined = xml_text(reading)  # texts in runs: documents in one file of XML
            walk.say(joined.text, "joined")
            walk.say(joined.aside, "aside")
        for media_type, letters in _DATA.findall(reading):
            walk.descend(_from_base64(unquote_to_bytes(letters)), "data", media_type)


def declared_charset(octets: bytes) -> str:
    """The charset that HTML or XML says of itself, or ""."""
    head = octets[:_HEAD]
    found = _XML_CHARSET.search(head) or _HTML_CHARSET.search(head)
    return found[1].decode("ascii") if found else ""
