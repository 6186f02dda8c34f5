"""Texts as patterns see them: what only looks different is made equal (Unicode UAX #15, NFKC)."""

import unicodedata


class _Table(dict[int, str | None]):
    """For `str.translate`, filled as characters come: digits of every script are ASCII, invisible characters go."""

    def __missing__(self, point: int) -> str | None:
        character = chr(point)
        category = unicodedata.category(character)
        new: str | None = character
        if category == "Nd":
            new = str(unicodedata.digit(character))
        elif category == "Cf":
            new = None  # soft hyphen, zero width space, direction marks
        elif category in ("Cc", "Cs", "Zs", "Zl", "Zp"):
            new = " "
        self[point] = new
        return new


_TABLE = _Table()


def normalise(text: str) -> str:
    """NFKC, ASCII digits, no invisible characters, runs of white space as one space. Doing it again changes nothing."""
    # NFKC may make visible what was not, and the other way round: U+3164 becomes U+1160, U+00A8 a space and U+0308.
    text = unicodedata.normalize("NFKC", text).translate(_TABLE)
    return " ".join(unicodedata.normalize("NFKC", text).split())
