"""Byte-exact MIME structure: fields, parts and boundaries by byte search (RFC 5322 §2, RFC 2046 §5.1).

Nothing is ever re-serialised. What readers are known to read differently (several Content-Type fields, a boundary
given twice, a header line that is no field) is a fault of the structure, never a guess.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from mmap import mmap

from mailseal.mail.content_type import ContentType, parse_content_type, skip_comments
from mailseal.mail.entity import IDENTITY_ENCODINGS, TEXT, Buffer, Entity, HeaderField, MimeError
from mailseal.mail.message import Octets

__all__ = [
    "AMBIGUOUS",
    "LIMITS",
    "ContentType",
    "Entity",
    "HeaderField",
    "Limits",
    "MimeError",
    "ParsedMessage",
    "parse",
]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what is read: nested multiparts, parts, headers, lines that start like a delimiter and are none."""

    max_depth: int = 20
    max_parts: int = 1000
    max_header_bytes: int = 262_144
    max_fields: int = 1000
    max_boundary_bytes: int = 200
    max_near_misses: int = 10_000


LIMITS = Limits()

AMBIGUOUS = ContentType("application/octet-stream", malformed=True)
"""The type of an entity whose Content-Type fields contradict each other: nobody looks inside."""

_EMBEDDED = ContentType("message/rfc822")
_FIELD = re.compile(rb"([!-9;-~]*+)([ \t]*+:|)([^\n]*+(?:\n[ \t][^\n]*+)*+\n?)")
_STRUCTURAL = frozenset({"content-type", "content-transfer-encoding", "mime-version"})
_CODING_TOKEN = re.compile(r"[^\s;()]+")


@dataclass(frozen=True, slots=True)
class ParsedMessage:
    """The root entity; with a `fault` it has no children and only its header may be believed."""

    root: Entity
    fault: MimeError | None = None


def parse(raw: Octets, limits: Limits = LIMITS) -> ParsedMessage:
    """Find the structure of a mail; raises MimeError only if even its header cannot be read."""
    buffer = raw if isinstance(raw, bytes | mmap) else bytes(raw)
    root, fault = _entity(buffer, 0, len(buffer), "", TEXT, limits)
    if fault is None and root.content_type.type.startswith("multipart/"):
        try:
            _descend(root, limits)
        except MimeError as error:
            fault = error.with_traceback(None)  # a traceback would keep the buffer alive
            _make_leaf(root)
    return ParsedMessage(root, fault)


def _make_leaf(entity: Entity) -> None:
    entity.children = ()
    entity.closed = True
    entity.preamble_end = entity.epilogue_start = entity.end


def _entity(
    buffer: Buffer, start: int, end: int, path: str, default: ContentType, limits: Limits
) -> tuple[Entity, MimeError | None]:
    """Read one header. Raises MimeError if it cannot be read; returns what makes it ambiguous."""
    header_end, body_start = _header_end(buffer, start, end, limits)
    entity = Entity(buffer, start, body_start, end, path)
    header = buffer[start:header_end]
    if b"\0" in header:
        raise MimeError("a header has a NUL octet")
    fields, structural, strays = _fields(header, start)
    if len(fields) > limits.max_fields:
        raise MimeError(f"a header has more than {limits.max_fields} fields")
    entity.fields = tuple(fields)
    fault = _interpret(entity, structural, default)
    if strays and not _is_mbox_line(header, fields, path):
        fault = MimeError("a header has a line that is no field")
    elif b"\r" in header and header.count(b"\r") != header.count(b"\r\n"):
        fault = MimeError("a header has a bare CR")
    return entity, fault


def _header_end(buffer: Buffer, start: int, end: int, limits: Limits) -> tuple[int, int]:
    """Where the last field ends, and where the body starts behind the blank line."""
    first = buffer[start : min(start + 2, end)]
    if first == b"\r\n":
        return start, start + 2
    if first[:1] == b"\n":
        return start, start + 1
    stop = min(end, start + limits.max_header_bytes)
    found = buffer.find(b"\n\r\n", start, stop)
    bare = buffer.find(b"\n\n", start, stop if found < 0 else found + 1)
    if bare >= 0:
        return bare + 1, bare + 2
    if found >= 0:
        return found + 1, found + 3
    if stop < end:
        raise MimeError(f"a header is larger than {limits.max_header_bytes} bytes")
    return end, end


@lru_cache(maxsize=2048)
def _field_name(octets: bytes) -> str:
    return octets.decode("ascii").lower()


def _fields(header: bytes, position: int) -> tuple[list[HeaderField], list[HeaderField], int]:
    """All fields, those that make the structure, and the number of lines that are no field."""
    fields: list[HeaderField] = []
    structural: list[HeaderField] = []
    strays = 0
    for name_octets, colon, rest in _FIELD.findall(header):
        if colon and name_octets:
            value_start = position + len(name_octets) + len(colon)
            name = _field_name(name_octets)
        elif name_octets or colon or rest:
            value_start = position
            name = ""
            strays += 1
        else:
            break
        end = position + len(name_octets) + len(colon) + len(rest)
        field = HeaderField(name, position, value_start, end)
        fields.append(field)
        if name in _STRUCTURAL:
            structural.append(field)
        position = end
    return fields, structural, strays


def _is_mbox_line(header: bytes, fields: list[HeaderField], path: str) -> bool:
    """A mail saved by some programs starts with their "From " line: no field, and no harm."""
    return not path and header.startswith((b"From ", b">From ")) and sum(not field.name for field in fields) == 1


def _interpret(entity: Entity, structural: list[HeaderField], default: ContentType) -> MimeError | None:
    """Set content type and transfer encoding; returns what makes them ambiguous."""
    types: list[str] = []
    encodings: list[str] = []
    versions: set[str] = set()
    for field in structural:
        value = field.value(entity.buffer)
        if field.name == "content-type":
            types.append(value)
        elif field.name == "content-transfer-encoding":
            encodings.append(value)
        elif not entity.path:
            versions.add("".join(value.split()))
    entity.content_type = parse_content_type(types[0]) if types else default
    if len(encodings) == 1:
        entity.transfer_encoding = _coding(encodings[0])
    if len(types) > 1:
        entity.content_type = AMBIGUOUS
        return MimeError("a part has more than one Content-Type field")
    if len(encodings) > 1:
        entity.transfer_encoding = "ambiguous"
        return MimeError("a part has more than one Content-Transfer-Encoding field")
    if len(versions) > 1:
        return MimeError("the message has MIME-Version fields that differ")
    return None


def _coding(value: str) -> str:
    """The encoding's name in lower case; an empty or unreadable value is the default, 7bit (RFC 2045 §6.1)."""
    found = _CODING_TOKEN.match(value, skip_comments(value, 0))
    return found[0].lower() if found else "7bit"


class _Budget:
    """What is left of the bounds while the parts are found."""

    __slots__ = ("near_misses", "parts")

    def __init__(self, limits: Limits) -> None:
        self.parts = limits.max_parts
        self.near_misses = limits.max_near_misses


def _descend(root: Entity, limits: Limits) -> None:
    """Find the parts of every multipart under the root; raises MimeError on the first fault. No recursion."""
    budget = _Budget(limits)
    waiting = [(root, 1)]
    while waiting:
        entity, depth = waiting.pop()
        if depth > limits.max_depth:
            raise MimeError(f"multiparts are nested deeper than {limits.max_depth}")
        spans = _split(entity, _delimiter(entity, limits), budget)
        digest = entity.content_type.type == "multipart/digest"
        prefix = f"{entity.path}." if entity.path else ""
        children = []
        for number, (start, end) in enumerate(spans, 1):
            child, fault = _entity(
                entity.buffer, start, end, f"{prefix}{number}", _EMBEDDED if digest else TEXT, limits
            )
            if fault is not None:
                raise fault
            children.append(child)
            if child.content_type.type.startswith("multipart/"):
                waiting.append((child, depth + 1))
        entity.children = tuple(children)


def _delimiter(entity: Entity, limits: Limits) -> bytes:
    """What starts a delimiter line of a multipart; raises MimeError if readers may see another one."""
    content_type = entity.content_type
    boundary = content_type.parameters.get("boundary", "")
    if content_type.malformed or "boundary" in content_type.ambiguous:
        raise MimeError("the Content-Type of a multipart can be read in more than one way")
    if not boundary:
        raise MimeError("a multipart has no boundary")
    if not (boundary.isascii() and boundary.isprintable()) or boundary.endswith(" "):
        raise MimeError("a multipart has a boundary with characters that a boundary cannot have")
    if len(boundary) > limits.max_boundary_bytes:
        raise MimeError(f"a multipart has a boundary longer than {limits.max_boundary_bytes} bytes")
    if entity.transfer_encoding not in IDENTITY_ENCODINGS:
        raise MimeError("a multipart has a transfer encoding that a multipart cannot have")
    return b"--" + boundary.encode("ascii")


def _split(entity: Entity, delimiter: bytes, budget: _Budget) -> list[tuple[int, int]]:
    """The spans of the parts. The line end before a delimiter belongs to the delimiter (RFC 2046 §5.1.1)."""
    buffer, end = entity.buffer, entity.end
    spans: list[tuple[int, int]] = []
    part_start = -1
    position = entity.body_start
    entity.closed = False
    while True:
        found = _next_delimiter(buffer, delimiter, position, end, entity.body_start, budget)
        if found is None:
            break
        line_start, line_end, closing = found
        content_end = _before_line_end(buffer, line_start, max(part_start, entity.body_start))
        if part_start < 0:
            entity.preamble_end = content_end
        else:
            spans.append((part_start, content_end))
            budget.parts -= 1
            if budget.parts < 0:
                raise MimeError("the message has too many parts")
        if closing:
            _close(entity, delimiter, line_end, budget)
            part_start = -1
            break
        part_start = position = line_end
    if part_start >= 0:
        spans.append((part_start, end))
    if not spans:
        raise MimeError("a multipart has no part")
    return spans


def _close(entity: Entity, delimiter: bytes, line_end: int, budget: _Budget) -> None:
    entity.closed = True
    entity.epilogue_start = line_end
    if _next_delimiter(entity.buffer, delimiter, line_end, entity.end, entity.body_start, budget) is not None:
        raise MimeError("a boundary occurs again after its closing delimiter")


def _before_line_end(buffer: Buffer, line_start: int, floor: int) -> int:
    """The position of the line end before `line_start`, not before `floor`."""
    if line_start <= floor:
        return floor
    if line_start - 2 >= floor and buffer[line_start - 2] == 0x0D:
        return line_start - 2
    return line_start - 1


def _next_delimiter(
    buffer: Buffer, delimiter: bytes, position: int, end: int, body_start: int, budget: _Budget
) -> tuple[int, int, bool] | None:
    """The next delimiter line at or after a line start: its start, its end, and whether it is the closing one."""
    if position == body_start and buffer[position : position + len(delimiter)] == delimiter:
        found = position
    else:
        found = _after_line_end(buffer, delimiter, position - 1, end)
    while found >= 0:
        line_end, closing = _delimiter_line(buffer, found + len(delimiter), end)
        if line_end >= 0:
            return found, line_end, closing
        budget.near_misses -= 1
        if budget.near_misses < 0:
            raise MimeError("the message has too many lines that look like a delimiter")
        found = _after_line_end(buffer, delimiter, found, end)
    return None


def _after_line_end(buffer: Buffer, delimiter: bytes, position: int, end: int) -> int:
    found = buffer.find(b"\n" + delimiter, max(position, 0), end)
    return found if found < 0 else found + 1


def _delimiter_line(buffer: Buffer, position: int, end: int) -> tuple[int, bool]:
    """The end of a delimiter line whose boundary ends at `position`, or -1 if the line goes on otherwise."""
    rest_end = buffer.find(b"\n", position, end)
    line_end = end if rest_end < 0 else rest_end + 1
    if line_end - position > 1000:
        return -1, False
    rest = buffer[position:line_end]
    closing = rest[:2] == b"--"
    padding = rest[2:] if closing else rest
    if padding.endswith(b"\n"):
        padding = padding[:-2] if padding.endswith(b"\r\n") else padding[:-1]
    return (line_end, closing) if not padding.strip(b" \t") else (-1, False)
