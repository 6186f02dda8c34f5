"""Handlers of text: plain text with what is packed into it (uuencode, armor, escapes), HTML and XML."""

import binascii
import re
from collections.abc import Callable, Iterator
from urllib.parse import unquote, unquote_to_bytes

from mailseal.extract.cards import say_card
from mailseal.extract.html import text_of
from mailseal.extract.markup import xml_text
from mailseal.extract.text import is_known, readings
from mailseal.extract.transfer import base64_runs, say_fragment
from mailseal.extract.walk import Walk
from mailseal.policy.inspection import GapReason, GapStatus

_UU = re.compile(rb"^begin(?:-base64)?[ \t]++[0-7]{2,4}(?:[ \t]++([^\r\n]{0,255}))?\r?\n", re.MULTILINE)
_JSON_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})")
_SOFT_BREAK = re.compile(r"[ \t]\r?\n>*+ ?")
_PACKED = (b"(This file must be converted with BinHex", b"=ybegin ")
_PGP = re.compile(rb"^-----BEGIN PGP MESSAGE(?:, PART [^-]*)?-----", re.MULTILINE)
_XML = re.compile(r"\s*<\?xml[\s>]|\s*<!DOCTYPE[^>\[]{0,1000}\[")
_XML_TEXT = re.compile(r">([A-Za-z0-9+/=\s]{40,}+)<")
_XML_CHARSET = re.compile(rb"<\?xml[^>]{0,100}encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})")
_HTML_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([A-Za-z0-9._-]{1,40})", re.IGNORECASE)
_DATA = re.compile(r"data:[ \t]*+([a-z0-9.+/-]{0,100}+)([^,\"'<>]{0,200}+),([^\"')]++)", re.IGNORECASE)
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
_HEAD = 4096
_PGP_MARK, _UU_MARK = b"-----BEGIN PGP MESSAGE", b"begin"
"""Looked for first: an expression for the start of a line takes ten times as long, and most texts have neither."""


def read_text(octets: bytes, walk: Walk) -> None:
    """Plain text, in every charset that it can be in, and what is packed into it."""
    _tell_unknown(walk.charset, walk)
    for reading in readings(octets, walk.charset):
        walk.say(reading)
        _say_unescaped(reading, walk)
    if _PGP_MARK in octets and _PGP.search(octets):
        walk.gap(GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED, "an OpenPGP message in text")
    if any(mark in octets for mark in _PACKED):
        walk.gap(GapStatus.PARTIAL, GapReason.UNSUPPORTED, "a file in text, as BinHex or yEnc")
    read_uuencoded(octets, walk)


def _tell_unknown(charset: str, walk: Walk) -> None:
    if not is_known(charset):
        walk.gap(GapStatus.PARTIAL, GapReason.UNSUPPORTED, "its charset is not known")


def _say_unescaped(text: str, walk: Walk) -> None:
    """Another reading where lines are folded (RFC 5545 §3.1, RFC 3676 §4.1) or characters escaped (RFC 8259 §7)."""
    if "\\u" in text:
        walk.say(_JSON_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text), "without escapes")
    say_card(text, walk)
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
            walk.descend(decoded, (begin[1] or b"").decode("utf-8", "replace"))


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
    declared = declared_charset(octets)
    charsets = dict.fromkeys(one for one in (walk.charset, declared) if one) or ("",)
    for charset in charsets:
        _tell_unknown(charset, walk)
    for reading in dict.fromkeys(reading for charset in charsets for reading in readings(octets, charset)):
        found = text_of(reading)
        walk.say(found.all)
        walk.say(found.seen, "what is not hidden")
        walk.say(found.unseen, "not shown")
        if _XML.match(reading):
            joined = xml_text(reading)  # texts in runs: documents in one file of XML
            walk.say(joined.text, "joined")
            walk.say(joined.aside, "aside")
            if joined.has_entities:
                walk.gap(GapStatus.PARTIAL, GapReason.UNSUPPORTED, "it defines entities of its own")
            for letters in _XML_TEXT.findall(reading):  # documents in one file of XML have others in them so
                for octets_inside in base64_runs(letters.encode()):
                    say_fragment(octets_inside, walk, "as base64")
        if _ESCAPED.search(found.unseen):
            walk.say(unquote(found.unseen), "not shown, without escapes")
        _read_data(found.unseen, walk)


def _read_data(text: str, walk: Walk) -> None:
    """Files in addresses with the scheme `data` (RFC 2397). Raises OverBudgetError."""
    for media_type, parameters, content in _DATA.findall(text):
        if "/" not in media_type and not parameters.startswith(";"):
            continue
        octets = unquote_to_bytes(content)
        if parameters.rstrip().lower().endswith("base64"):
            octets = _from_base64(octets.translate(None, b" \t\r\n"))
        walk.descend(octets, "data", media_type + parameters)


def declared_charset(octets: bytes) -> str:
    """The charset that HTML or XML says of itself, or ""."""
    head = octets[:_HEAD]
    found = _XML_CHARSET.search(head) or _HTML_CHARSET.search(head)
    return found[1].decode("ascii") if found else ""
