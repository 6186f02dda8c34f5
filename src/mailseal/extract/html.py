"""Text of HTML, for DLP: what a reader sees, and what he does not see (hidden text, comments, attributes, scripts).

One pass over the tags: no tree, so depth costs nothing. The end of a block is a line end, an inline tag is nothing.
"""

import re
from dataclasses import dataclass, field
from html import unescape

_TAG = re.compile(
    r"""</?([A-Za-z][^\s/><]*+)((?:[^>"'=]++|=\s*+(?:"[^"]*+"|'[^']*+')?+|["'])*+)>""",
)
_STRICT_TAG = re.compile(r"</?([A-Za-z][^\s/><]*+)([^<>]*+)>")
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|mso-hide\s*:\s*all|\shidden(?=[\s=/]|$)"
    r"|(?:font-size|opacity|(?<![a-z-])(?:max-)?(?:width|height))\s*:\s*[.0]++(?![.\d]*[1-9])|font-size\s*:\s*1px"
    r"|(?:left|right|top|bottom|text-indent)\s*:\s*-\d{3}",
    re.IGNORECASE,
)
_CSS_COMMENT = re.compile(r"/\*(?:[^*]++|\*(?!/))*+\*/")
_CSS_ESCAPE = re.compile(r"\\([0-9A-Fa-f]{1,6})\s?")
_START = re.compile("<(?=[A-Za-z!?/])")
_LONG_NUMBER = re.compile(r"&#(?:0*+([0-9]+)|[xX]0*+([0-9A-Fa-f]+));?")
_INLINE = frozenset(
    """
    a abbr acronym b bdi bdo big blink cite code data del dfn em font i img ins kbd label mark nobr o:p
    q s samp small span strike strong sub sup time tt u var wbr
    """.split()  # noqa: SIM905  a list of a hundred strings is no easier to read
)
_BLOCKS = frozenset(
    """
    address applet area article aside audio base basefont blockquote body br button canvas caption
    center col colgroup datalist dd details dialog dir div dl dt embed fieldset figcaption figure footer
    form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html iframe input legend li link main
    map menu meta meter nav noembed noframes noscript object ol optgroup option output p param picture
    pre progress rp rt ruby script section select source style summary svg table tbody td template
    textarea tfoot th thead title tr track ul video xmp
    """.split()  # noqa: SIM905  a list of a hundred strings is no easier to read
)
_FLOWING = frozenset(
    """
    applet area audio base basefont button canvas datalist embed iframe img input link map meta meter noembed noframes
    noscript object output param picture progress rp rt ruby script source style svg template track video
    """.split()  # noqa: SIM905  a list of a hundred strings is no easier to read
)
"""Those of the blocks that a reader shows in the line, or not at all."""
_VOID = frozenset(
    """
    area base br col embed hr img input link meta param source track wbr
    """.split()  # noqa: SIM905  a list of a hundred strings is no easier to read
)
_NEVER_SHOWN = frozenset({"template", "datalist"})
_RAW = frozenset({"script", "style", "xmp", "noembed", "iframe"})
_WINDOW = 1 << 17
_MAX_UNENDED = 100


@dataclass(slots=True)
class HtmlText:
    """`all`: between tags. `seen`: as a browser runs it together, without what is hidden; "" if that is no different.
    `unseen`: what no reader shows.
    """

    all: str
    seen: str
    unseen: str


def text_of(html: str) -> HtmlText:
    """Read HTML; never raises, whatever it is."""
    sweep = _Sweep(html)
    sweep.run()
    comments = _Sweep("\n".join(sweep.comments))  # conditional comments hold what Outlook shows
    comments.run()
    unseen = [*sweep.unseen, "".join(comments.all), *comments.unseen, *comments.comments]
    seen = "".join(sweep.seen) if sweep.has_hidden else ""
    return HtmlText("".join(sweep.all), seen, "\n".join(unseen))


@dataclass(slots=True)
class _Sweep:
    html: str
    all: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    has_hidden: bool = False
    _hidden: str = ""
    _depth: int = 0
    _unended: int = 0
    _last: dict[str, int] = field(default_factory=dict)

    def run(self) -> None:
        html, at = self.html, 0
        while found := _START.search(html, at):
            self._text(html[at : found.start()])
            at = self._markup(found.start())
        self._text(html[at:])

    def _text(self, text: str) -> None:
        if text:
            decoded = entities(text)
            self.all.append(decoded)
            if not self._hidden:
                self.seen.append(decoded)

    def _find(self, what: str, at: int) -> int:
        """As `str.find`, with a memory: what is far away, or nowhere, is looked for once only."""
        last = self._last.get(what, 0)
        if 0 <= last < at or what not in self._last:
            last = self._last[what] = self.html.find(what, at)
        return last

    def _markup(self, start: int) -> int:
        """Read what begins with "<"; where it ends."""
        html = self.html
        following = html[start + 1 : start + 2]
        if following.isalpha() or (following == "/" and html[start + 2 : start + 3].isalpha()):
            return self._tag(start)
        if html.startswith("<!--", start):
            return self._comment(start)
        if html.startswith("<![CDATA[", start):
            return self._section(start + 9)
        end = self._find(">", start)
        if end < 0:
            self._text("<")
            return start + 1
        self.unseen.append(entities(html[start + 2 : end]))
        return end + 1

    def _section(self, start: int) -> int:
        """CDATA: text of XML, a comment of HTML that ends at the first ">" (HTML §13.2.5.42)."""
        end = self._find("]]>", start)
        if end < 0 or ">" in self.html[start:end]:
            return start
        self.all.append(entities(self.html[start:end]))
        self.has_hidden = True
        return end + 3

    def _comment(self, start: int) -> int:
        for short in ("<!-->", "<!--->"):
            if self.html.startswith(short, start):
                return start + len(short)
        ends = [end for end in (self._find("-->", start + 4), self._find("--!>", start + 4)) if end >= 0]
        if not ends:  # readers differ on what a comment without an end hides
            self._text("<")
            return start + 1
        end = min(ends)
        self.comments.append(self.html[start + 4 : end])
        return self.html.index(">", end) + 1

    def _tag(self, start: int) -> int:
        html = self.html
        tag = None
        if self._unended < _MAX_UNENDED:
            tag = _TAG.match(html, start, start + _WINDOW)
            self._unended += tag is None
        tag = tag or _STRICT_TAG.match(html, start)
        if tag is None:
            self._text("<")
            return start + 1
        name, closing = tag[1].lower(), html[start + 1] == "/"
        attributes = entities(tag[2])
        known = name in _INLINE or name in _BLOCKS
        if attributes or not known:
            self.unseen.append(attributes if known else entities(tag[0][1:-1]))
        if "srcdoc" in attributes:
            self.comments.append(attributes)  # a page of its own
        if name not in _INLINE:
            self._break(is_shown=known and name not in _FLOWING)
        self._hide(name, attributes, closing=closing)
        return self._raw(name, tag.end()) if name in _RAW and not closing else tag.end()

    def _break(self, *, is_shown: bool) -> None:
        self.all.append("\n")
        if not self._hidden:
            if is_shown:
                self.seen.append("\n")
            elif self.seen and self.seen[-1][-1:].isalnum():
                self.has_hidden = True

    def _hide(self, name: str, attributes: str, *, closing: bool) -> None:
        """Count the elements of the hidden one's name until it ends."""
        if self._hidden:
            if name == self._hidden:
                self._depth += -1 if closing else 1
                if self._depth == 0:
                    self._hidden = ""
        elif not closing and _is_hidden(name, attributes):
            self._hidden, self._depth, self.has_hidden = name, 1, True

    def _raw(self, name: str, at: int) -> int:
        """Scripts and the like: no tags in them. Where they end."""
        end = self._raw_end(name, at)
        self.unseen.append(self.html[at:end])
        return end

    def _raw_end(self, name: str, at: int) -> int:
        key = f"</{name}"
        if self._last.get(key) == -1:
            return at
        found = re.compile(re.escape(key), re.IGNORECASE).search(self.html, at)
        if found is None:
            self._last[key] = -1
            return at  # without an end: its text is read as all other
        return found.start()


def _is_hidden(name: str, attributes: str) -> bool:
    if name in _NEVER_SHOWN:
        return True
    return bool(attributes) and name not in _VOID and _HIDDEN.search(_plain(attributes)) is not None


def _plain(attributes: str) -> str:
    """A style without its comments and escapes (CSS Syntax §4.3)."""
    if "\\" in attributes:
        attributes = _CSS_ESCAPE.sub(lambda found: chr(min(int(found[1], 16), 0xFFFF)), attributes)
    return _CSS_COMMENT.sub("", attributes) if "/*" in attributes else attributes


def entities(text: str) -> str:
    """Character references resolved (HTML §13.5)."""
    if "&" not in text:
        return text
    return unescape(_LONG_NUMBER.sub(_number, text)) if "&#" in text else unescape(text)


def _number(found: re.Match[str]) -> str:
    decimal, digits = found[1], found[1] or found[2]
    if len(digits) > 7:
        return "\ufffd"
    return f"&#{digits};" if decimal else f"&#x{digits};"
