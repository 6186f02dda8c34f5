"""Text of XML, for DLP: OOXML (ECMA-376), OpenDocument and any other. One pass over the tags, no tree.

Word processors cut a word into runs wherever they like: their tags are nothing, those of paragraphs, cells and the
like are line ends. What stands in the middle of a text without being part of it (notes, comments, field codes, deleted
text) is set aside.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailseal.extract.html import entities

_TOKEN = re.compile(r"""<((?:[^<>"']++|"[^"<]*+"|'[^'<]*+')*+)>([^<]*+)|<|[^<]++""")
_NAME = re.compile(r"/?(?:[^\s:/>]*+:)?([^\s:/>]*+)")
_VALUE = re.compile(
    r"""\s(?:[\w.-]+:)?(?:name|title|descr|alt|href|Target|author|initials|value|string-value|formula|instr|prompt"""
    r"""|promptTitle|error|errorTitle|tooltip|display|displayName|caption|comment|content|label|description|text|string)"""
    r"""\s*=\s*(?:"([^"<]*+)"|'([^'<]*+)')""",
    re.IGNORECASE,
)
_ASIDE = frozenset({"delText", "instrText", "delInstrText", "annotation", "note", "tracked-changes"})
_BREAKS = frozenset(
    """
    p h tr tc br cr tab row c si is table table-row table-cell covered-table-cell line-break s list-item
    v f body comment footnote endnote hdr ftr sp txBody page frame text-box title-page oddHeader
    evenHeader firstHeader oddFooter evenFooter firstFooter definedName author pt lvl ser ruby rt
    txbxContent
    """.split()  # noqa: SIM905  a list of a hundred strings is no easier to read
)
_ENTITY = re.compile(r"<!ENTITY\s+(?:%\s+)?\S+\s+(?:\"([^\"]*+)\"|'([^']*+)')")
_CDATA, _CDATA_END = "<![CDATA[", "]]>"


@dataclass(slots=True)
class XmlText:
    """`text` of the elements; `aside`: what is no part of it, attributes, comments; whether it defines entities."""

    text: str
    aside: str
    has_entities: bool


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

    def run(self, xml: str) -> None:
        is_runs = "<w:t" in xml or "<a:t" in xml
        for token in _TOKEN.finditer(xml):
            tag, text = token[1], token[2]
            if tag is None:
                self.text.append(entities(token[0]))
                continue
            name = self._tag(tag)
            # White space between the elements of runs is how the file is laid out, not what it says.
            if text and not (is_runs and name != "t" and text.isspace()):
                (self.aside if self._within else self.text).append(entities(text))

    def _tag(self, tag: str) -> str:
        found = _NAME.match(tag)
        name = found[1] if found else ""
        if "=" in tag:
            self.aside += [entities("".join(one)) for one in _VALUE.findall(tag)]
        if name in _ASIDE:
            self._set_aside(name, tag)
        if not self.joins or name in _BREAKS:
            (self.aside if self._within else self.text).append("\n")
        return name

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


_CELL = re.compile(
    r"""<(?:[\w.-]+:)?(row|c|v|t|is|f|/c|/row)(?=[\s/>])((?:[^<>"']++|"[^"<]*+"|'[^'<]*+')*+)>([^<]*+)"""
)
_IS_SHARED = re.compile(r"""\st\s*=\s*["']s["']""")
_ITEM = re.compile(r"<(?:[\w.-]+:)?(/?si|/?rPh|t)(?=[\s/>])[^<>]*+>([^<]*+)")


def shared_strings(xml: str) -> list[str]:
    """The strings of a workbook (sharedStrings.xml) by index; without how they are pronounced."""
    found: list[str] = []
    pieces: list[str] = []
    pronounced = False
    for name, text in _ITEM.findall(xml):
        if name == "si":
            pieces = []
        elif name == "/si":
            found.append(entities("".join(pieces)))
        elif name in ("rPh", "/rPh"):
            pronounced = name == "rPh"
        elif not pronounced:
            pieces.append(text)
    return found


def sheet_rows(xml: str, strings: list[str]) -> Iterator[str]:
    """The rows of a worksheet, cells apart by a tab, with the strings that they refer to."""
    row: list[str] = []
    cell: list[str] = []
    is_shared = False
    for name, attributes, text in _CELL.findall(xml):
        if name == "c":
            cell, is_shared = [], _IS_SHARED.search(attributes) is not None
        elif name in ("v", "t"):
            cell.append(_value(text, strings) if is_shared and name == "v" else entities(text))
        elif name == "/c":
            row.append("".join(cell))
        elif name == "/row":
            yield "\t".join(row)
            row = []
    if row:
        yield "\t".join(row)


def _value(text: str, strings: list[str]) -> str:
    index = text.strip()
    if not (index.isascii() and index.isdecimal() and len(index) < 10 and int(index) < len(strings)):
        return text
    return strings[int(index)]
