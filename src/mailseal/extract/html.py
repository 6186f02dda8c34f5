"""Text of HTML, for DLP: what a reader sees, and what he does not see (comments, hidden text, attributes, scripts).

One pass, no tree: depth costs nothing, and each character is looked at a bounded number of times. Where a tag ends
depends on quotes, about which readers differ in broken HTML: then there are two readings.
"""

import re
from html import unescape

_TAG_NAME = re.compile(r"</?([A-Za-z][A-Za-z0-9:-]{0,40})")
_QUOTES_AHEAD = 4000
_TAG = re.compile(
    rf"""<[^>"']*+(?:(?:"[^"]{{0,{_QUOTES_AHEAD}}}+"|'[^']{{0,{_QUOTES_AHEAD}}}+')[^>"']*+)*+(>?)""",
)
_ATTRIBUTE = re.compile(r"""=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>"']++))""")
_INLINE = frozenset(
    ("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins",
     "kbd", "mark", "o:p", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "var", "wbr")
)  # fmt: skip
_RAW = frozenset({"script", "style", "xmp", "noembed", "noframes", "textarea", "title"})
_SHOWN_RAW = frozenset({"textarea", "title", "xmp", "noembed", "noframes"})


def readings(html: str) -> tuple[str, ...]:
    """The texts to look at: what is shown, as one or two ways of reading have it, and then all that is not shown."""
    shown, unseen, plain = _Sweep(html, by_quotes=True).texts()
    if plain:
        return (shown, unseen)
    return (shown, _Sweep(html, by_quotes=False).texts()[0], unseen)


class _Sweep:
    def __init__(self, html: str, *, by_quotes: bool) -> None:
        self._html = html
        self._lower = html.lower() if len(html.lower()) == len(html) else html
        self._by_quotes = by_quotes
        self._shown: list[str] = []
        self._unseen: list[str] = []
        self._plain = True
        self._never_closed: set[str] = set()
        self._last_close = html.rfind("-->")
        self._last_end = html.rfind(">")

    def texts(self) -> tuple[str, str, bool]:
        """What is shown, what is not, and whether no quote had a say in where tags end."""
        html, at = self._html, 0
        while (start := html.find("<", at)) >= 0:
            self._shown.append(html[at:start])
            at = self._markup(start)
        self._shown.append(html[at:])
        return unescape("".join(self._shown)), unescape("\n".join(self._unseen)), self._plain

    def _markup(self, start: int) -> int:
        """Where what begins with "<" ends."""
        html = self._html
        if html.startswith("<!--", start):
            return self._comment(start)
        if start > self._last_end or not (
            html[start + 1 : start + 2].isalpha() or html[start + 1 : start + 2] in "/!?"
        ):
            self._shown.append("<")
            return start + 1
        end = self._tag_end(start)
        if html[end - 1] != ">":  # a quote that never ends: all up to there is text
            self._shown.append(html[start:end])
            return end
        self._unseen += [one or two or three for one, two, three in _ATTRIBUTE.findall(html[start:end])]
        name = _TAG_NAME.match(html, start, end)
        word = name.group(1).lower() if name else ""
        if word not in _INLINE:
            self._shown.append("\n")
        return self._raw(word, end) if word in _RAW and html[start + 1] != "/" else end

    def _comment(self, start: int) -> int:
        if start + 2 > self._last_close:
            self._shown.append("<")
            return start + 4
        close = self._html.find("-->", start + 2)  # `<!-->` is a whole one
        self._unseen.append(self._html[start + 4 : close])
        return close + 3

    def _tag_end(self, start: int) -> int:
        first = self._html.find(">", start) + 1
        if not self._by_quotes:
            return first
        match = _TAG.match(self._html, start)
        end = match.end() if match is not None else first
        self._plain = self._plain and end == first
        return max(end, start + 1)

    def _raw(self, word: str, end: int) -> int:
        """Up to the closing tag nothing is markup. Without one all that follows is both."""
        close = -1 if word in self._never_closed else self._lower.find(f"</{word}", end)
        if close < 0:
            if not self._never_closed:
                self._unseen.append(self._html[end:])
            self._never_closed.add(word)
            return end
        (self._shown if word in _SHOWN_RAW else self._unseen).append(self._html[end:close])
        return close
