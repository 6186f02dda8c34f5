"""What a file is, by its octets: all formats that fit, for a file can be two at once. A name alone decides nothing."""

import re
from enum import StrEnum


class Format(StrEnum):
    """What is told apart. CELLS: what may be a workbook, besides being a ZIP. MEDIA: pictures, sound, films, fonts."""

    EMPTY = "empty"
    TEXT = "text"
    HTML = "html"
    MAIL = "mail"
    MBOX = "mbox"
    RTF = "rtf"
    PDF = "pdf"
    OLE = "ole"
    TNEF = "tnef"
    ZIP = "zip"
    CELLS = "cells"
    ARCHIVE = "archive"
    COMPRESSED = "compressed"
    CMS = "cms"
    CERTIFICATE = "certificate"
    PGP = "pgp"
    MEDIA = "media"
    UNKNOWN = "unknown"


_STARTS: tuple[tuple[bytes, Format], ...] = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Format.OLE),
    (b"\x78\x9f\x3e\x22", Format.TNEF),
    (b"PK\x03\x04", Format.ZIP),
    (b"PK\x05\x06", Format.ZIP),
    (b"PK\x07\x08PK\x03\x04", Format.ZIP),
    (b"7z\xbc\xaf\x27\x1c", Format.ARCHIVE),
    (b"Rar!\x1a\x07", Format.ARCHIVE),
    (b"MSCF\0\0\0\0", Format.ARCHIVE),
    (b"!<arch>\n", Format.ARCHIVE),
    (b"070707", Format.ARCHIVE),
    (b"070701", Format.ARCHIVE),
    (b"070702", Format.ARCHIVE),
    (b"\xc7\x71", Format.ARCHIVE),
    (b"xar!\0", Format.ARCHIVE),
    (b"\x1f\x8b", Format.COMPRESSED),
    (b"BZh", Format.COMPRESSED),
    (b"\xfd7zXZ\0", Format.COMPRESSED),
    (b"\x5d\0\0", Format.COMPRESSED),
    (b"\x28\xb5\x2f\xfd", Format.COMPRESSED),
    (b"\x04\x22\x4d\x18", Format.COMPRESSED),
    (b"LZIP", Format.COMPRESSED),
    (b"\x1f\x9d", Format.COMPRESSED),
    (b"\x89PNG\r\n\x1a\n", Format.MEDIA),
    (b"\xff\xd8\xff", Format.MEDIA),
    (b"GIF87a", Format.MEDIA),
    (b"GIF89a", Format.MEDIA),
    (b"II*\0", Format.MEDIA),
    (b"MM\0*", Format.MEDIA),
    (b"\0\0\1\0", Format.MEDIA),
    (b"8BPS", Format.MEDIA),
    (b"ID3", Format.MEDIA),
    (b"OggS", Format.MEDIA),
    (b"fLaC", Format.MEDIA),
    (b"\x1a\x45\xdf\xa3", Format.MEDIA),
    (b"\0\1\0\0\0", Format.MEDIA),
    (b"OTTO", Format.MEDIA),
    (b"wOFF", Format.MEDIA),
    (b"wOF2", Format.MEDIA),
    (b"FLV\1", Format.MEDIA),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Format.MEDIA),
    (b"\xd7\xcd\xc6\x9a", Format.MEDIA),
)
_AT: tuple[tuple[int, bytes, Format], ...] = (
    (257, b"ustar", Format.ARCHIVE),
    (32769, b"CD001", Format.ARCHIVE),
    (2, b"-lh", Format.ARCHIVE),
    (4, b"ftyp", Format.MEDIA),
    (40, b" EMF", Format.MEDIA),
)
_RIFF = re.compile(rb"RIFF....(?:WAVE|AVI |WEBP)", re.DOTALL)
_MPEG = re.compile(rb"\xff[\xe2-\xff][\x10-\xef]")
_BITMAP = re.compile(rb"BM....\0\0\0\0....[\x0c\x28\x6c\x7c]\0\0\0", re.DOTALL)
_OLD_TAR = re.compile(rb"[^\0]{1,100}\0+[0-7 ]{6,7}\0", re.DOTALL)
_CMS = re.compile(rb"\x30.{1,5}\x06[\x09\x0b]\x2a\x86\x48\x86\xf7\x0d\x01(?:\x07|\x09\x10\x01)", re.DOTALL)
_CERTIFICATE = re.compile(rb"\x30[\x81\x82].{1,2}\x30[\x81\x82].{1,2}(?:\xa0\x03\x02\x01|\x02)", re.DOTALL)
_PGP = re.compile(rb"\s*-----BEGIN PGP MESSAGE")
_PGP_PACKET = re.compile(
    rb"(?:\xc1[\xc0-\xdf].|\xc1[\x20-\xbf]|[\x84\x85\x86].{1,4})\x03|\xc3.[\x04\x05]|\x8c.\x04", re.DOTALL
)
_HTML = re.compile(
    rb"<\s?(?:!doctype|!--|\?xml|html|head|body|div|p|br|table|td|span|font|a\s|b>|i>|script|style|img|svg|meta|title"
    rb"|/?[a-z][a-z0-9:-]{0,30}(?:\s[^<>]{0,200})?/?>)",
    re.IGNORECASE,
)
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s|\?xml\s|html[\s>])", re.IGNORECASE)
_HTML_NAMES = (".html", ".htm", ".xhtml", ".xht", ".shtml", ".hta", ".svg", ".xml")
_MAIL_NAMES = (".eml", ".emlx", ".mht", ".mhtml", ".nws", ".mbox", ".mbx")
_MAIL_TYPES = frozenset(
    {"message/rfc822", "message/global", "message/news", "message/external-body", "text/rfc822-headers"}
)
"""Parts that are a header, with or without a body that it describes (RFC 2046 §5.2, RFC 6522 §4, RFC 6532)."""
_ONE_FIELD = re.compile(rb"[!-9;-~]{1,100}[ \t]*:")
_STRUCTURE = re.compile(
    rb"^(?:content-type|content-transfer-encoding|mime-version)[ \t]*:", re.IGNORECASE | re.MULTILINE
)
_COUNT_LINE = re.compile(rb"\d{1,12}[ \t]*\r?\n")
_FIELD = re.compile(rb"[!-9;-~]{1,100}:[^\n]*\n(?:[ \t][^\n]*\n)*")
_KNOWN_FIELD = re.compile(
    rb"^(?:from|to|subject|date|received|mime-version|content-type|message-id|return-path|delivered-to|x-[!-9;-~]+)"
    rb"[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
_MBOX = re.compile(rb">?From [^\n]{1,200}\n" + _FIELD.pattern)
_BINARY = bytes({*range(0x20)} - set(b"\b\t\n\f\r\x1b"))
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
_END_OF_ZIP = b"PK\x05\x06"
_TAIL = 70_000
_HEAD = 4096
_MAIL_HEAD = 1 << 18


def formats(octets: bytes, name: str = "", media_type: str = "") -> tuple[Format, ...]:
    """Every format that fits, never none. The name and the type help only where the octets leave it open."""
    if not octets.strip():
        return (Format.EMPTY,)
    found = _by_start(octets)
    if b"%PDF-" in octets[:1100] or (media_type == "application/pdf" and b"%PDF-" in octets):
        found.append(Format.PDF)
    if (
        Format.ZIP not in found
        and octets.find(_END_OF_ZIP, max(0, len(octets) - _TAIL)) >= 0
        and b"PK\x01\x02" in octets
    ):
        found.append(Format.ZIP)
    if Format.ZIP in found and (b"[Content_Types].xml" in octets or b"opendocument" in octets):
        found.append(Format.CELLS)
    says_html = "html" in media_type or name.lower().endswith(_HTML_NAMES)
    if says_html or not set(found) - {Format.MEDIA, Format.PDF} or media_type in _MAIL_TYPES:
        found += _as_text(octets, name.lower(), media_type)
    return tuple(dict.fromkeys(found)) or (Format.UNKNOWN,)


def _by_start(octets: bytes) -> list[Format]:
    start = octets[:_HEAD]
    found = [one for mark, one in _STARTS if start.startswith(mark)]
    found += [one for at, mark, one in _AT if octets[at : at + len(mark)] == mark]
    if _RIFF.match(start) or _BITMAP.match(start):
        found.append(Format.MEDIA)
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{\\rt", b"{\\*\\rt", b"{\\urtf")):
        found.append(Format.RTF)
    if _CMS.match(start):
        found.append(Format.CMS)
    elif not found and _CERTIFICATE.match(start):
        found.append(Format.CERTIFICATE)
    if _PGP.match(start):
        found.append(Format.PGP)
    return found


def _as_text(octets: bytes, name: str, media_type: str) -> list[Format]:
    """What a file is that has no mark of its own, and what is said to be text though it looks like something else."""
    start = octets[:_HEAD]
    mails = [Format.MAIL] if media_type in _MAIL_TYPES or _is_mail(octets, name) else []
    if not is_text(octets):
        if mails:
            return mails
        kinds = [Format.MEDIA] if _MPEG.match(octets) and media_type.startswith("audio/") else []
        kinds += [Format.TEXT, Format.UNKNOWN] if media_type.startswith("text/") else []
        kinds += [Format.ARCHIVE] if _OLD_TAR.match(octets[:160]) else []
        kinds += [Format.PGP] if _PGP_PACKET.match(octets[:16]) and name.endswith((".pgp", ".gpg", ".asc")) else []
        return kinds
    if _MBOX.match(start.lstrip(b"\xef\xbb\xbf\r\n")):
        return [Format.MBOX]
    if mails:
        return mails
    if "html" in media_type or "xml" in media_type or name.strip().endswith(_HTML_NAMES) or _MARKUP.match(start):
        return [Format.HTML]
    narrow = octets.replace(b"\0", b"") if octets.startswith(_MARKS[1:]) or looks_like_utf16(octets) else octets
    return [Format.TEXT, Format.HTML] if _HTML.search(narrow) else [Format.TEXT]


def bare_mail(octets: bytes) -> bytes:
    """A mail in a file without what some programs write before it: a mark of Unicode, blank lines, its length."""
    octets = octets.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    count = _COUNT_LINE.match(octets)
    return octets[count.end() :] if count else octets


def _is_mail(octets: bytes, name: str) -> bool:
    if _ONE_FIELD.match(bare_mail(octets[:_HEAD])) is None:
        return False
    if name.strip().endswith(_MAIL_NAMES):
        return True
    header = re.match(rb"(?:%s)+" % _FIELD.pattern, bare_mail(octets[:_MAIL_HEAD]))
    if header is None:
        return False
    return len(_KNOWN_FIELD.findall(header[0])) >= 2 or _STRUCTURE.search(header[0]) is not None


def is_text(octets: bytes) -> bool:
    """Whether octets can be text: a mark of Unicode, or (nearly) no controls; UTF-16 without a mark too."""
    if octets.startswith(_MARKS):
        return True
    controls = len(octets) - len(octets.translate(None, _BINARY))
    if controls * 500 <= len(octets):
        return True
    return looks_like_utf16(octets)


def looks_like_utf16(octets: bytes) -> bool:
    """Whether every second octet is nearly always NUL, and the others hardly ever."""
    sample = octets[:_HEAD]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    more, less = max(even, odd), min(even, odd)
    return more * 2 > len(sample) * 0.6 and less * 20 < more
