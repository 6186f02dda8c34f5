"""Pictures, sound, films, fonts: nothing to read but what is written into them (PNG §11.3.3, EXIF, XMP, ID3)."""

import zlib
from collections.abc import Iterator

from mailseal.extract.strings import MIN_MEDIA, say_appended, strings
from mailseal.extract.walk import Walk

_PNG = b"\x89PNG\r\n\x1a\n"
_MAX_TEXT = 1 << 20


def read_media(octets: bytes, walk: Walk) -> None:
    """Strings that are too long for chance: descriptions, XMP, what is appended; and the packed text of a PNG."""
    walk.say(strings(octets, MIN_MEDIA), "strings")
    say_appended(octets, walk)
    if octets.startswith(_PNG):
        walk.say("\n".join(_png_texts(octets, walk)), "text")


def _png_texts(octets: bytes, walk: Walk) -> Iterator[str]:
    at = len(_PNG)
    while at + 12 <= len(octets):
        length = int.from_bytes(octets[at : at + 4])
        kind, chunk = octets[at + 4 : at + 8], octets[at + 8 : at + 8 + length]
        at += 12 + length
        if kind in (b"zTXt", b"iTXt", b"tEXt"):
            yield _png_text(kind, chunk, walk)


def _png_text(kind: bytes, chunk: bytes, walk: Walk) -> str:
    keyword, _, rest = chunk.partition(b"\0")
    packed = b""
    if kind == b"zTXt":
        rest, packed = b"", rest[1:]
    elif kind == b"iTXt" and rest[:1] == b"\1":
        fields = rest[2:].split(b"\0", 2)
        rest, packed = b"\n".join(fields[:2]), fields[-1]
    if packed:
        try:
            unpacked = zlib.decompressobj().decompress(packed, _MAX_TEXT)
        except zlib.error:
            unpacked = packed
        walk.budget.unpack(len(unpacked))
        rest += b"\n" + unpacked
    text = keyword + b"\n" + rest
    return text.decode("utf-8" if kind == b"iTXt" else "latin-1", "replace")
