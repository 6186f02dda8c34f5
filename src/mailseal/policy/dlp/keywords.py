r"""Keywords as an RE2 expression: words and phrases between the word borders of Unicode, in any case.

`\b` of RE2 knows ASCII alone (google/re2, syntax). Scripts that write no space between words have no border to look
for; nor has the end of a Korean word, where particles are. An underscore is a border: "vertraulich_2.pdf".
"""

import re
from typing import Any

import re2

from mailseal.policy.dlp.normal import normalise
from mailseal.policy.pattern import PatternError

MAX_KEYWORDS = 1000
_BEFORE = r"(?:^|[^\pL\pM\pN])"
_AFTER = r"(?:$|[^\pL\pM\pN])"
_GAP = r"[ _-]{1,3}"
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
_IN_WORD = re2.compile(r"[\pL\pM\pN]")
_BORDERLESS_START = re2.compile(rf"[{_UNSPACED}]")
_BORDERLESS_END = re2.compile(rf"[{_UNSPACED}\p{{Hangul}}]")
_GAPS = re.compile(r"(?<=\w)[ _-]+(?=\w)")
_ESCAPED = {"ß": "(?:ß|ss)", "ẞ": "(?:ß|ss)", "ss": "(?:ss|ß)", **dict.fromkeys("i\u0131\u0130", "[i\u0131\u0130]")}
"""Cases that RE2 does not fold."""
_SPECIAL = re.compile(r"ss|.", re.IGNORECASE | re.DOTALL)


def expression(text: str) -> str:
    """The expression for keywords, one a line: each of its groups is one keyword found. Raises PatternError.

    `word*` is the beginning of words, `*word` their end. Space, hyphen and underscore inside a phrase are the same.
    """
    borders: dict[tuple[str, str], list[str]] = {}
    for line in _lines(text):
        word = line.strip("* ")
        before = "" if line.startswith("*") else _border(_BEFORE, word[0], _BORDERLESS_START)
        after = "" if line.endswith("*") else _border(_AFTER, word[-1], _BORDERLESS_END)
        borders.setdefault((before, after), []).append(_escaped(word))
    return "|".join(f"{before}({'|'.join(words)}){after}" for (before, after), words in borders.items())


def borderless(text: str) -> str:
    """What matches wherever the expression does, a thousandth of its size: a border is 1,300 instructions of RE2."""
    return "|".join(_escaped(line.strip("* ")) for line in _lines(text))


def _lines(text: str) -> list[str]:
    """The keywords, normalised; of two with the same beginning the longer one first."""
    lines = sorted(set(filter(None, map(normalise, text.splitlines()))), reverse=True)
    if not lines:
        raise PatternError("there is no keyword")
    if len(lines) > MAX_KEYWORDS:
        raise PatternError(f"there are more than {MAX_KEYWORDS} keywords")
    for line in lines:
        if not line.strip("* "):
            raise PatternError(f"{line!r} is no keyword: it would match every mail")
    return lines


def _border(border: str, character: str, none_beside: Any) -> str:
    if _IN_WORD.match(character) is None or none_beside.match(character) is not None:
        return ""
    return border


def _escaped(word: str) -> str:
    return _GAP.join(
        _SPECIAL.sub(lambda match: _ESCAPED.get(match.group().lower()) or re2.escape(match.group()), part)
        for part in _GAPS.split(word)
    )
