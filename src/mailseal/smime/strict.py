"""Strict DER reading for certificates and CRLs (X.690 §10): one walk over bounds, no copy, no leniency.

CMS from the wire has its own reader that takes BER; what is signed as DER is read as DER.
"""

from datetime import UTC, datetime
from functools import lru_cache

from mailseal.errors import PermanentError

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OID = 0x01, 0x02, 0x03, 0x04, 0x06
ENUMERATED, UTF8_STRING, IA5_STRING = 0x0A, 0x0C, 0x16
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
SEQUENCE, SET = 0x30, 0x31

Element = tuple[int, int, int, int]
"""(tag octet, start, start of the content, end): offsets into the one buffer."""


MAX_ELEMENTS = 200_000
"""Read at once: a certificate can have 131,072, a CRL without a bound millions, of a hundred octets each."""


class DerError(PermanentError):
    """The octets are not DER, or not of the expected type."""


def element(data: bytes, start: int, end: int) -> Element:
    """The element that begins at `start` and ends at or before `end`; raises DerError."""
    content = start + 2
    if content > end:
        raise DerError("an element is cut off")
    tag, length = data[start], data[start + 1]
    if tag & 0x1F == 0x1F:
        raise DerError("an element has a tag of several octets")
    if length >= 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4 or content + count > end or data[content] == 0:
            raise DerError("an element has a length that DER does not allow")
        length = int.from_bytes(data[content : content + count], "big")
        if length < 0x80:
            raise DerError("an element has a length that DER does not allow")
        content += count
    if content + length > end:
        raise DerError("an element is longer than what holds it")
    return tag, start, content, content + length


def elements(data: bytes, start: int, end: int) -> list[Element]:
    """The elements that fill `data[start:end]` exactly; raises DerError."""
    if end - start > 2 * MAX_ELEMENTS:
        return _counted(data, start, end)
    found: list[Element] = []
    while start < end:
        content = start + 2
        # The short form of a length, which most elements have, without a call.
        if content <= end and (length := data[start + 1]) < 0x80 and content + length <= end:
            tag = data[start]
            if tag & 0x1F != 0x1F:
                found.append((tag, start, content, content + length))
                start = content + length
                continue
        one = element(data, start, end)
        found.append(one)
        start = one[3]
    return found


def _counted(data: bytes, start: int, end: int) -> list[Element]:
    """As `elements`, of octets that have room for too many of them."""
    found: list[Element] = []
    while start < end:
        if len(found) >= MAX_ELEMENTS:
            raise DerError("there are too many elements")
        found.append(element(data, start, end))
        start = found[-1][3]
    return found


def only(data: bytes, start: int, end: int, tag: int) -> tuple[int, int]:
    """The content bounds of the one element of type `tag` that fills `data[start:end]`; raises DerError."""
    found = elements(data, start, end)
    if len(found) != 1 or found[0][0] != tag:
        raise DerError("an element is not of the type that stands here")
    return found[0][2], found[0][3]


def children(data: bytes, parent: Element, tag: int = SEQUENCE) -> list[Element]:
    """The elements inside a constructed element of type `tag`; raises DerError."""
    if parent[0] != tag:
        raise DerError("an element is not of the type that stands here")
    return elements(data, parent[2], parent[3])


def integer(data: bytes, one: Element, max_octets: int = 64) -> int:
    """A signed INTEGER or ENUMERATED in its shortest form; raises DerError."""
    tag, _, content, end = one
    if tag not in {INTEGER, ENUMERATED} or not 1 <= end - content <= max_octets:
        raise DerError("an INTEGER is missing or too long")
    if end - content > 1 and (data[content] == 0 and data[content + 1] < 0x80):
        raise DerError("an INTEGER is not in its shortest form")
    return int.from_bytes(data[content:end], "big", signed=True)


@lru_cache(maxsize=1024)
def dotted(content: bytes) -> str:
    """The dotted form of an OBJECT IDENTIFIER's content; raises DerError."""
    if not 1 <= len(content) <= 64 or content[-1] >= 0x80:
        raise DerError("an OBJECT IDENTIFIER is malformed")
    arcs: list[int] = []
    arc = 0
    for octet in content:
        if arc == 0 and octet == 0x80:
            raise DerError("an OBJECT IDENTIFIER is malformed")
        arc = (arc << 7) | (octet & 0x7F)
        if octet < 0x80:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def moment(data: bytes, one: Element) -> datetime:
    """UTCTime or GeneralizedTime in the one form that RFC 5280 §4.1.2.5 allows; raises DerError."""
    tag, _, start, end = one
    return _read_time(tag, data[start:end])


@lru_cache(maxsize=4096)
def _read_time(tag: int, content: bytes) -> datetime:
    if tag == UTC_TIME and len(content) == 13:
        content = (b"19" if content >= b"50" else b"20") + content
    elif tag != GENERALIZED_TIME or len(content) != 15:
        raise DerError("a time is not in the form that RFC 5280 allows")
    if content[14:] != b"Z" or not content[:14].isdigit():
        raise DerError("a time is not in the form that RFC 5280 allows")
    try:
        return datetime.strptime(content.decode(), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise DerError("a time is not a time") from None
