"""Content-Type and its parameters: quoted strings, comments, continuations and charsets (RFC 2045 §5.1, RFC 2231).

Reading never raises. What readers are known to read differently is marked: `malformed` for the field, `ambiguous` for
a parameter that is given twice or not written as the grammar says. The MIME reader faults on such a boundary.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import quote, unquote_to_bytes

from mailseal.mail.encoded_word import decode_text, one_line

MAX_PARAMETERS = 100
_CACHED_LENGTH = 400

_NAME = r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+"
_TYPE = re.compile(rf"({_NAME})/({_NAME})")
_ATTRIBUTE = re.compile(r"""([^\s=;"()<>@,:\\/\[\]?\x00-\x1f\x7f]+)[ \t]*=""")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_UNQUOTED = re.compile(r"""[^\s;"(),\\]+""")
_BLANK = re.compile(r"[ \t\r\n]*")
_COMMENT_MARK = re.compile(r"\\.|[()]", re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_EXTENDED = re.compile(r"([^*]+)\*(?:(0|[1-9][0-9]{0,2})(\*)?)?")

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ContentType:
    """A media type like "text/plain" (lower case) and its parameters (names lower case, values decoded)."""

    type: str
    parameters: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    malformed: bool = False
    ambiguous: frozenset[str] = frozenset()


@dataclass(slots=True)
class Parameters:
    """What `read_parameters` collects."""

    values: dict[str, str] = field(default_factory=dict)
    ambiguous: set[str] = field(default_factory=set)
    malformed: bool = False


def parse_content_type(value: str) -> ContentType:
    """Read an unfolded field value. A type that cannot be read is text/plain and malformed (RFC 2045 §5.2)."""
    return _cached(value) if len(value) <= _CACHED_LENGTH else _parse(value)


@lru_cache(maxsize=1024)
def _cached(value: str) -> ContentType:
    return _parse(value)


def _parse(value: str) -> ContentType:
    start = skip_comments(value, 0)
    found = _TYPE.match(value, start)
    if found is None:
        return ContentType("text/plain", malformed=bool(value))
    media_type = f"{found[1]}/{found[2]}".lower()
    if found.end() == len(value):
        return ContentType(media_type)
    read = read_parameters(value, found.end())
    return ContentType(media_type, MappingProxyType(read.values), read.malformed, frozenset(read.ambiguous))


def skip_comments(text: str, position: int) -> int:
    """The position after white space and (nested) comments; the end of the text if a comment is not closed."""
    while True:
        blank = _BLANK.match(text, position)
        position = blank.end() if blank else position
        if not text.startswith("(", position):
            return position
        position = end_of_comment(text, position)
        if position < 0:
            return len(text)


def end_of_comment(text: str, position: int) -> int:
    """The position after the comment that opens at `position`, or -1 if it is not closed (RFC 5322 §3.2.2)."""
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, position):
        if mark[0] == "(":
            depth += 1
        elif mark[0] == ")":
            depth -= 1
            if depth == 0:
                return mark.end()
    return -1


def unquote(content: str) -> str:
    """The content of a quoted string with its quoted pairs resolved."""
    return _QUOTED_PAIR.sub(r"\1", content) if "\\" in content else content


def read_parameters(text: str, position: int) -> Parameters:
    """Read `; name=value` pairs from a position on. The first of several plain values counts, marked ambiguous."""
    read = Parameters()
    extended: dict[str, dict[int, tuple[str, bool]]] = {}
    for _ in range(MAX_PARAMETERS):
        position = skip_comments(text, position)
        if position >= len(text):
            break
        if text[position] != ";":
            read.malformed = True
            position = _next_parameter(text, position)
            continue
        position = skip_comments(text, position + 1)
        attribute = _ATTRIBUTE.match(text, position)
        if attribute is None:
            stop = _next_parameter(text, position)
            read.malformed |= "=" in text[position:stop]
            position = stop
            continue
        name = attribute[1].lower()
        value, position, clean = _value(text, attribute.end())
        _keep(read, extended, name, value, clean=clean)
    else:
        read.malformed = True
    _join_extended(read, extended)
    return read


def parameter(name: str, text: str) -> str:
    """A parameter with this value as it is written: quoted, or encoded (RFC 2231 §4) where it is not plain ASCII."""
    if text.isascii() and text.isprintable():
        return name + '="' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name}*=utf-8''{quote(text, safe='', errors='replace')}"


def _next_parameter(text: str, position: int) -> int:
    stop = text.find(";", position)
    return len(text) if stop < 0 else stop


def _value(text: str, position: int) -> tuple[str, int, bool]:
    """One value: its text, the position after it, and whether it is written as every reader expects."""
    position = skip_comments(text, position)
    quoted = _QUOTED.match(text, position)
    if quoted:
        after = skip_comments(text, quoted.end())
        clean = after >= len(text) or text[after] == ";"
        return unquote(quoted[1]), after if clean else _next_parameter(text, after), clean
    if text.startswith('"', position):
        return text[position + 1 :].rstrip(), len(text), False
    plain = _UNQUOTED.match(text, position)
    after = skip_comments(text, plain.end() if plain else position)
    if plain and (after >= len(text) or text[after] == ";"):
        return plain[0], after, True
    stop = _next_parameter(text, position)
    return text[position:stop].strip(), stop, False


def _keep(
    read: Parameters, extended: dict[str, dict[int, tuple[str, bool]]], name: str, value: str, *, clean: bool
) -> None:
    section = _EXTENDED.fullmatch(name)
    if section:
        base = section[1]
        index = int(section[2] or 0)
        sections = extended.setdefault(base, {})
        if index in sections:
            read.ambiguous.add(base)
        else:
            sections[index] = (value, section[2] is None or section[3] is not None)
        name = base
    elif name in read.values:
        read.ambiguous.add(name)
    else:
        read.values[name] = one_line(value)
    if not clean:
        read.ambiguous.add(name)


def _join_extended(read: Parameters, extended: dict[str, dict[int, tuple[str, bool]]]) -> None:
    """RFC 2231 sections win over a plain value of the same name, which is then ambiguous."""
    for name, sections in extended.items():
        if name in read.values or 0 not in sections or max(sections) != len(sections) - 1:
            read.ambiguous.add(name)
        joined = _join(sections)
        if joined is not None:
            read.values[name] = joined


def _join(sections: Mapping[int, tuple[str, bool]]) -> str | None:
    charset = "utf-8"
    octets = bytearray()
    index = 0
    while index in sections:
        value, encoded = sections[index]
        if encoded:
            if index == 0:
                charset, _, rest = value.partition("'")
                value = rest.partition("'")[2]
            octets += unquote_to_bytes(value.encode(errors="replace"))
        else:
            octets += value.encode(errors="replace")
        index += 1
    text = decode_text(bytes(octets), charset or "us-ascii")
    return None if text is None or not index else one_line(text)
