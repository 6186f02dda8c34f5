"""Octets as text: in the charset that is named, and in all that are likely where it does not fit."""

import codecs
import re
from encodings.aliases import aliases

from mailseal.extract.sniff import looks_like_utf16
from mailseal.mail.encoded_word import decode_text, is_text_in

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_OF_SEVERAL_OCTETS = ("cp932", "euc_jp", "gb18030", "big5", "cp949")
_OF_ONE_OCTET = ("cp1251", "koi8_r", "iso8859_7", "cp1255", "cp1256")
_ASCII = bytes(range(0x80))
_MAX_GUESSED = 4 << 20
_UNLIKE_ASCII = ("utf-16", "utf-7", "hz-", "iso-2022-")
_OTHER_NAMES = {
    "unicode_2_0_utf_7": "utf_7",
    "csunicode11utf7": "utf_7",
    "unicode": "utf_16",
    "ucs_2": "utf_16",
    "iso_10646_ucs_2": "utf_16",
    "windows_949": "cp949",
    "cn_big5": "big5",
    "utf8mb4": "utf_8",
}
_NO_TEXT = frozenset(
    "base64_codec bz2_codec hex_codec quopri_codec rot_13 uu_codec zlib_codec mbcs".split()  # noqa: SIM905  as a list
)
_CODECS = frozenset(aliases.values()) - _NO_TEXT
_NO_CHARSETS = frozenset({"", "unknown", "unknown_8bit", "8bit", "7bit", "binary", "default", "none", "ansi"})
"""What some programs write where they know none (RFC 1428)."""


def is_known(charset: str) -> bool:
    """Whether text in it is read, also for a name that says nothing. Readers may know others."""
    return decode_text(b"", charset) is not None or _bare(charset) in _NO_CHARSETS or _rare(charset) is not None


def _bare(charset: str) -> str:
    return re.sub("[^a-z0-9]+", "_", charset.lower()).strip("_").removeprefix("x_")


def _rare(charset: str) -> str | None:
    """Python's name of a charset that hardly any mail has, or that has a name of its own there."""
    bare = _bare(charset)
    name = _OTHER_NAMES.get(bare) or aliases.get(bare, bare)
    return name if name in _CODECS else None


def readings(octets: bytes, charset: str = "") -> tuple[str, ...]:
    """The texts that octets can be, the likeliest first; never none, and more than one only if they differ."""
    found = [octets[len(mark) :].decode(codec, "replace") for mark, codec in _MARKS if octets.startswith(mark)][:1]
    named = decode_text(octets, charset) if charset else None
    if named is None and charset and (rare := _rare(charset)) is not None:
        named = octets.decode(rare, "replace")
    if named is not None:
        found.append(named)
    is_sure = is_text_in(octets, charset) if charset else bool(found) and not _is_odd(octets)
    if not is_sure or charset.lower().startswith(_UNLIKE_ASCII):
        found += _likely(octets)
    return tuple(dict.fromkeys(found))


def _is_odd(octets: bytes) -> bool:
    """Whether there is a mark of UTF-16 before what is none: not every reader heeds it."""
    return octets.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and not looks_like_utf16(octets)


def _likely(octets: bytes) -> list[str]:
    found = []
    if looks_like_utf16(octets):
        sample = octets[:4096]
        little = sample[1::2].count(0) >= sample[::2].count(0)
        found.append(octets.decode("utf-16-le" if little else "utf-16-be", "replace"))
    if b"\x1b$" in octets or b"\x1b(" in octets:
        found.append(octets.decode("iso-2022-jp", "replace"))
    try:
        found.append(octets.decode("utf-8"))
    except UnicodeDecodeError:
        found += [octets.decode("utf-8", "replace"), octets.decode("cp1252", "replace")]
        if len(octets) <= _MAX_GUESSED:
            found += _other_scripts(octets)
    return found


def _other_scripts(octets: bytes) -> list[str]:
    """In charsets of other scripts: of several octets a character where they fit, the others if it is mostly that."""
    found = []
    for codec in _OF_SEVERAL_OCTETS:
        try:
            found.append(octets.decode(codec))
        except UnicodeDecodeError:
            continue
    if len(octets.translate(None, _ASCII)) * 3 > len(octets):
        found += [octets.decode(codec, "replace") for codec in _OF_ONE_OCTET]
    return found
