"""Texts as patterns see them: what only looks different is made equal (Unicode UAX #15, NFKC; UTS #39, look-alikes).

Three readings at most, the second and third only where a text invites them: as it stands; with words joined that a line
end, spaces between all letters or control characters take apart; with Cyrillic and Greek letters among Latin ones as
the Latin letters they look like.
"""

import re
import unicodedata
from collections.abc import Iterator

import re2

MAX_MARKS = 30
"""Marks on one letter that are looked at (UAX #15, Stream-Safe Text); `normalize` takes quadratic time to sort them."""
WINDOW_CHARACTERS = 1 << 20
"""A longer text is looked through in pieces: one step of the work on it must not keep other mails waiting."""
OVERLAP_CHARACTERS = 1 << 14
"""What the next piece repeats of the one before: no match is longer."""
_KEPT_POINTS = 0x20000
"""What a table remembers: no text of rare characters may make it large."""
_IGNORABLE = (
    (0x034F, 0x034F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x2065, 0x2065),
    (0xFE00, 0xFE0F),
    (0xFFF0, 0xFFF8),
    (0xFFFC, 0xFFFC),
    (0xE0000, 0xE0FFF),
)
"""Default_Ignorable_Code_Point, which nobody sees, beyond category Cf."""
_DIACRITICS = ((0x0300, 0x036F), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE20, 0xFE2F))
"""Marks of Latin, Greek and Cyrillic. Those that NFKC leaves on their own are strokes through and rings around."""
_SAME = {
    **dict.fromkeys("\u2212\u2043\u30fb", "-"),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u2032\u00b4\u02b9", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
    "\u2800": " ",
    **{chr(0xF000 + point): chr(point) for point in range(0x21, 0x7F)},  # in fonts of symbols, which may be any font
}
_LATIN = dict(
    zip(
        "АВЕКМНОРСТУХЅІЈԁԛԜѵаеорсухѕіјһԝгѡкмтпΑΒΕΖΗΙΚΜΝΟΡΤΥΧαοινρυκχ",
        "ABEKMHOPCTYXSIJdqWvaeopcyxsijhwrwkmtnABEZHIKMNOPTYXaoivpukx",
        strict=True,
    )
)
"""Letters of Cyrillic and Greek that are taken for Latin ones."""
_CONTROLS = dict.fromkeys([*range(0x09), *range(0x0E, 0x1C), *range(0x7F, 0x85), *range(0x86, 0xA0)])
_LOOK_ALIKES = str.maketrans(_LATIN)
_HAS_CONTROL = re2.compile(rb"[\x00-\x08\x0e-\x1b\x7f-\x{84}\x{86}-\x{9f}]")
_HAS_MANY_MARKS = re2.compile(rb"(\pM{%d})\pM+" % MAX_MARKS)
_HAS_GAPS = re2.compile(rb"[\pL\pN_]- [\pL\pN_]|(?:^| )(?:[\pL\pN_] ){4}[\pL\pN_](?:$| )")
_HAS_MIXED_WORDS = re2.compile(rb"\p{Latin}[\p{Cyrillic}\p{Greek}]|[\p{Cyrillic}\p{Greek}]\p{Latin}")
_BROKEN_LINE = re.compile(r"(?<=\w)- (?=\w)")
_SPACED = re.compile(r"(?<!\S)\w(?: \w){4,}(?!\S)")


class _Table(dict[int, str | None]):
    """For `str.translate`, filled as characters come: digits of every script are ASCII, invisible characters go."""

    def __missing__(self, point: int) -> str | None:
        new = _replaced(chr(point))
        if point < _KEPT_POINTS:
            self[point] = new
        return new


def _replaced(character: str) -> str | None:
    if character in _SAME:
        return _SAME[character]
    point, category = ord(character), unicodedata.category(character)
    if category in ("Cf", "Me") or any(first <= point <= last for first, last in _IGNORABLE + _DIACRITICS):
        return None
    match category:
        case "Nd":
            return str(unicodedata.digit(character))
        case "Pd":
            return "-"
        case "Cc" | "Zs" | "Zl" | "Zp":
            return " "
        case "Cs":
            return "\ufffd"
        case _:
            return character


_TABLE = _Table()


def normalise(text: str) -> str:
    """NFKC, ASCII digits, hyphens and quotes, nothing invisible, runs of white space as one space.

    Doing it again changes nothing.
    """
    if text.isascii():
        return " ".join(text.translate(_TABLE).split())
    octets = _octets(text)
    if _HAS_MANY_MARKS.search(octets) is not None:
        text = _HAS_MANY_MARKS.sub(rb"\1", octets).decode()
    text = unicodedata.normalize("NFKC", text).translate(_TABLE)
    while not unicodedata.is_normalized("NFKC", text):  # letters that something invisible kept apart
        text = unicodedata.normalize("NFKC", text).translate(_TABLE)
    return " ".join(text.split())


def windows(text: str) -> Iterator[str]:
    """A text in pieces that overlap, cut between words where there are any."""
    start = 0
    while len(text) - start > WINDOW_CHARACTERS:
        end = start + WINDOW_CHARACTERS
        end = _between_words(text, end - OVERLAP_CHARACTERS, end) or end
        yield text[start:end]
        start = _between_words(text, end - 2 * OVERLAP_CHARACTERS, end - OVERLAP_CHARACTERS) or end - OVERLAP_CHARACTERS
    yield text[start:] if start else text


def _between_words(text: str, start: int, end: int) -> int:
    """The last place between words in a piece, 0 for none."""
    found = max(text.rfind(one, start, end) for one in " \n\t")
    return max(found + 1, 0)


def readings(text: str) -> Iterator[bytes]:
    """The text normalised, in UTF-8, then in every other way that somebody may read it."""
    plain = joined = normalise(text)
    octets = _octets(plain)
    yield octets
    if _HAS_CONTROL.search(_octets(text)) is not None:
        joined = normalise(text.translate(_CONTROLS))
    if joined is not plain or _HAS_GAPS.search(octets) is not None:
        joined = _SPACED.sub(lambda match: match.group().replace(" ", ""), _BROKEN_LINE.sub("", joined))
    if joined != plain:
        octets = _octets(joined)
        yield octets
    if not joined.isascii() and _HAS_MIXED_WORDS.search(octets) is not None:
        yield _octets(joined.translate(_LOOK_ALIKES))


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def skeleton(text: str) -> str:
    """The same for everything that looks alike and differs only in case, white space or separators."""
    bare = "".join(one for one in text.translate(_LOOK_ALIKES) if one not in " ._/-")
    return bare.casefold() or text
