"""Windows code pages by their number ([MS-UCODEREF] §2.2.1), as documents of Microsoft's programs name them."""

import codecs
from collections.abc import Mapping

LATIN = 1252

_CODECS: Mapping[int, str] = {
    0: "cp1252",
    1200: "utf-16-le",
    1201: "utf-16-be",
    1361: "johab",
    10000: "mac_roman",
    10006: "mac_greek",
    10007: "mac_cyrillic",
    10029: "mac_latin2",
    10081: "mac_turkish",
    20127: "ascii",
    20866: "koi8_r",
    20932: "euc_jp",
    20936: "gb2312",
    21866: "koi8_u",
    32768: "mac_roman",
    32769: "cp1252",
    50220: "iso2022_jp",
    50221: "iso2022_jp_1",
    50222: "iso2022_jp_2",
    50225: "iso2022_kr",
    51932: "euc_jp",
    51936: "gb2312",
    51949: "euc_kr",
    52936: "hz",
    54936: "gb18030",
    65000: "utf-7",
    65001: "utf-8",
}


def decode(octets: bytes, codepage: int) -> str:
    """Text of a code page; of one that is not known: Latin, so that digits and letters can still be found."""
    return octets.decode(codec(codepage), "replace")


def codec(codepage: int) -> str:
    """Python's name of a code page."""
    name = _CODECS.get(codepage) or (f"iso8859_{codepage - 28590}" if 28590 < codepage < 28606 else f"cp{codepage}")
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "cp1252"
