"""Octets as text: in the charset that is named, and in all that are likely where it does not fit."""

import codecs

from mailseal.mail.encoded_word import decode_text, is_text_in

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 4096


def readings(octets: bytes, charset: str = "") -> tuple[str, ...]:
    """The texts that octets can be, the likeliest first; never none, and more than one only if they differ."""
    for mark, codec in _MARKS:
        if octets.startswith(mark):
            return (octets[len(mark) :].decode(codec, "replace"), *_named(octets, charset))
    if octets.isascii() and b"\0" not in octets and b"\x1b" not in octets:
        plain = octets.decode("ascii")
        return tuple(dict.fromkeys((*_named(octets, charset), plain)))
    found = list(_named(octets, charset))
    if not charset or not is_text_in(octets, charset):
        found += _likely(octets)
    return tuple(dict.fromkeys(found)) or (octets.decode("latin-1"),)


def _named(octets: bytes, charset: str) -> tuple[str, ...]:
    text = decode_text(octets, charset) if charset else None
    return () if text is None else (text,)


def _likely(octets: bytes) -> list[str]:
    sample = octets[:_SAMPLE]
    if sample.count(b"\0") > len(sample) // 8:
        even, odd = sample[::2].count(b"\0"), sample[1::2].count(b"\0")
        return [octets.decode("utf-16-le" if odd >= even else "utf-16-be", "replace"), octets.decode("latin-1")]
    try:
        return [octets.decode("utf-8")]
    except UnicodeDecodeError:
        return [octets.decode("utf-8", "replace"), octets.decode("cp1252", "replace")]
