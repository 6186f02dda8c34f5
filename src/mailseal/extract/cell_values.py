"""Numbers of cells as their readers see them: whole numbers without an exponent, dates, number formats of digits only.

Number formats are those of Office Open XML (ECMA-376 part 1, §18.8.30), which the older formats use too.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mailseal.extract.row_text import border

MAX_FORMATS = 65_536
_MAX_DAY = 2_958_465
"""9999-12-31."""
_MAX_WHOLE = 1e21

_DATES = {*range(14, 18), *range(27, 37), *range(50, 59)}
_TIMES = {18, 19, 20, 21, 45, 46, 47}
_DATES_WITH_TIME = 22

_NOT_DATE = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?![hms]+\])[^\]]*\]', re.IGNORECASE)
_DATE = re.compile("[dmyhs]", re.IGNORECASE)
_DIGITS_ONLY = re.compile(r'(?:0|[- /()+]|\\.|"[^"0-9]*")+')
_LITERAL = re.compile(r'0|\\.|"[^"]*"|.')
_MAX_CODE = 255


@dataclass(slots=True)
class Formats:
    """The number formats of a workbook: `codes` by number, and for each style the number of its format."""

    codes: dict[int, str] = field(default_factory=dict)
    styles: list[int] = field(default_factory=list)
    since_1904: bool = False

    def number(self, style: int) -> int:
        """The number of a style's format; 0 is "General"."""
        return self.styles[style] if 0 <= style < len(self.styles) else 0


def render(value: float, style: int, formats: Formats, exact: str = "") -> str:
    """The value as a date where its format is one; else its digits, and once more as its format groups them.

    `exact` are the digits where they are known better than as a float.
    """
    number = formats.number(style)
    code = formats.codes.get(number, "")[:_MAX_CODE]
    if is_date(number, code) and 0 <= value <= _MAX_DAY:
        return _date(value, since_1904=formats.since_1904)
    plain = exact or digits(value)
    grouped = _grouped(plain, code.split(";")[0])
    return plain if grouped in ("", plain) else plain + border(plain, grouped, "\t") + grouped


def digits(value: float) -> str:
    """A number in full: whole ones without an exponent."""
    if abs(value) < _MAX_WHOLE and value == int(value):
        return str(int(value))
    return repr(value)


def is_date(number: int, code: str) -> bool:
    """Whether a number format shows a date or a time."""
    if not code:
        return number in _DATES or number in _TIMES or number == _DATES_WITH_TIME
    bare = _NOT_DATE.sub("", code)
    return bool(_DATE.search(bare)) and "general" not in bare.lower()


def _date(value: float, *, since_1904: bool) -> str:
    start = datetime(1904, 1, 1, tzinfo=UTC) if since_1904 else datetime(1899, 12, 30, tzinfo=UTC)
    try:
        moment = start + timedelta(seconds=round(value * 86_400))
    except OverflowError:
        return digits(value)
    if value < 1:
        return f"{moment:%H:%M:%S}"
    return f"{moment:%Y-%m-%d}" if value == int(value) else f"{moment:%Y-%m-%d %H:%M:%S}"


def _grouped(plain: str, code: str) -> str:
    """`plain` in a format like 000-00-0000, else nothing."""
    zeros = code.count("0")
    if zeros < 2 or not plain.isdigit() or not _DIGITS_ONLY.fullmatch(code):
        return ""
    pieces = _LITERAL.findall(code)
    left = list(plain.zfill(zeros))
    parts = []
    for piece in reversed(pieces):
        zeros -= piece == "0"
        if piece != "0":
            parts.append(piece.lstrip("\\").strip('"'))
        elif zeros == 0:
            parts.append("".join(left))
        else:
            parts.append(left.pop())
    return "".join(reversed(parts))
