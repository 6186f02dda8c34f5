"""Text of XML, for DLP: OOXML (ECMA-376), OpenDocument and any other. One pass over the tags, no tree.

Word processors cut a word into runs wherever they like: their tags are nothing, those of paragraphs, cells and the
like are line ends. What stands in the middle of a text without being part of it (notes, comments, field codes, deleted
text) is set aside.
"""

import re
from dataclasses import dataclass, field

from mailseal.extract.html import entities
from mailseal.extract.row_text import border

_TOKEN = re.compile(r"""<((?:[^<>"']++|"[^"<]*+"|'[^'<]*+')*+)>([^<]*+)|<|[^<]++""")
_NAME = re.compile(r"/?(?:[^\s:/>]*+:)?([^\s:/>]*+)")
_VALUE = re.compile(
    r"""\s(?:[\w.-]+:)?(?:name|title|descr|alt|href|Target|author|initials|value|string-value|formula|instr|prompt"""
    r"""|promptTitle|error|errorTitle|tooltip|display|displayName|caption|comment|content|label|description|text|string)"""
    r"""\s*=\s*(?:"([^"<]*+)"|'([^'<]*+)')""",
    re.IGNORECASE,
)
_SYMBOL = re.compile(r"""[\s:]char\s*=\s*["']([0-9A-Fa-f]{4})["']""")
"""A character of a font (ECMA-376 part 1 §17.3.3.30), F000 added to it or not."""
_ASIDE = frozenset({"delText", "instrText", "delInstrText", "annotation", "note", "tracked-changes"})
_BREAKS = frozenset(
    """
    p h tr tc br cr tab row c si is table table-row table-cell covered-table-cell line-break s list-item
    v f body comment footnote endnote hdr ftr sp txBody page frame text-box title-page oddHeader
    evenHeader firstHeader oddFooter evenFooter firstFooter definedName author pt lvl ser ruby rt
    txbxContent
    title creator subject keyword initial-creator user-defined
    """.split()  # noqa: SIM905  a list of a hundred strings is no easier to read
)
_CELLS = frozenset({"c", "si", "pt", "table-cell", "covered-table-cell"})
"""Of workbooks, and of the copies of them that charts have."""
_ENTITY = re.compile(r"<!ENTITY\s+(?:%\s+)?\S+\s+(?:\"([^\"]*+)\"|'([^']*+)')")
_RUNS = frozenset({"t", "v", "f", "delText", "instrText", "delInstrText"})
_OPEN_DOCUMENT = "opendocument:xmlns"
_APART = ("-properties", "/relationships", "/content-types", "xmlns:meta", "/customXml")
_HEAD = 16_384
_CDATA, _CDATA_END = "<![CDATA[", "]]>"


@dataclass(slots=True)
class XmlText:
    """`text` of the elements; `aside`: what is no part of it, attributes, comments; whether it defines entities."""

    text: str
    aside: str
    has_entities: bool


def may_be_records(xml: str) -> bool:
    """Whether the elements of a part of a document are rather apart: properties, relationships."""
    head = xml[:_HEAD]
    return any(name in head for name in _APART)


def xml_text(xml: str, *, joins: bool = True) -> XmlText:
    """Read XML; never raises. `joins`: only known elements are line ends; else all are."""
    comments: list[str] = []
    defined = ["".join(one) for one in _ENTITY.findall(xml)] if "<!ENTITY" in xml else []
    sweep = _Sweep(joins=joins)
    sweep.run(without_sections(xml, comments))
    aside = [*sweep.aside, *comments, *defined]
    return XmlText("".join(sweep.text), "\n".join(aside), bool(defined))


def without_sections(xml: str, comments: list[str]) -> str:
    """The XML with CDATA sections as text, and without comments, which are told."""
    if "<!" not in xml:
        return xml
    pieces: list[str] = []
    at = 0
    missing = {"<!--": False, _CDATA: False}
    while (start := xml.find("<!", at)) >= 0:
        pieces.append(xml[at:start])
        opening, closing = ("<!--", "-->") if xml.startswith("<!--", start) else (_CDATA, _CDATA_END)
        end = -1
        if xml.startswith(opening, start) and not missing[opening]:
            end = xml.find(closing, start + len(opening))
            missing[opening] = end < 0
        if end < 0:
            pieces.append("<!")
            at = start + 2
            continue
        inside = xml[start + len(opening) : end]
        if opening == _CDATA:
            pieces.append(inside.replace("&", "&amp;").replace("<", "&lt;"))
        else:
            comments.append(inside)
        at = end + 3
    pieces.append(xml[at:])
    return "".join(pieces)


@dataclass(slots=True)
class _Sweep:
    joins: bool
    text: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    _within: str = ""
    _depth: int = 0
    _last: str = ""
    _is_cell_over: bool = False

    def run(self, xml: str) -> None:
        is_runs = _OPEN_DOCUMENT not in xml[:_HEAD]
        for token in _TOKEN.finditer(xml):
            tag, text = token[1], token[2]
            if tag is None:
                self.text.append(entities(token[0]))
                continue
            name = self._tag(tag)
            # White space between the elements of runs is how the file is laid out, not what it says.
            if text and not (is_runs and name not in _RUNS and text.isspace()):
                self._say(entities(text))

    def _say(self, text: str) -> None:
        if self._within:
            self.aside.append(text)
        elif text.isspace():
            self.text.append(text)
        else:
            parting = border(self._last, text, "") if self._is_cell_over else ""
            self.text += (parting, text)
            self._last, self._is_cell_over = text, False

    def _tag(self, tag: str) -> str:
        found = _NAME.match(tag)
        name = found[1] if found else ""
        if "=" in tag:
            self._say_attributes(tag)
        if name == "sym" and (symbol := _SYMBOL.search(tag)) is not None:
            (self.aside if self._within else self.text).append(chr(int(symbol[1], 16)))
        if name in _ASIDE:
            self._set_aside(name, tag)
        if name in _CELLS:
            self._is_cell_over = True
        if not self.joins or name in _BREAKS:
            (self.aside if self._within else self.text).append("\n")
        return name

    def _say_attributes(self, tag: str) -> None:
        for one in _VALUE.findall(tag):
            value = entities("".join(one))
            if self.aside and border(self.aside[-1], value, ""):
                self.aside.append("|")
            self.aside.append(value)

    def _set_aside(self, name: str, tag: str) -> None:
        if tag.endswith("/"):
            return
        if not self._within and not tag.startswith("/"):
            self._within, self._depth = name, 1
        elif name == self._within:
            self._depth += -1 if tag.startswith("/") else 1
            if self._depth == 0:
                self._within = ""
                self.aside.append("\n")
