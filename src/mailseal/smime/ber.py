"""A bounded reader of BER (ITU-T X.690 §8), as far as CMS needs it: one-byte tags, definite and indefinite lengths.

Elements are spans of one buffer. A level is read when it is asked for; only an indefinite length makes the reader
look ahead for its end. Anything beyond the bounds, or not BER, is a CmsError.
"""

from mailseal.mail.message import Octets
from mailseal.policy.reason import ReasonCode
from mailseal.smime.errors import CmsError, malformed

MAX_DEPTH = 64
MAX_LENGTH_OCTETS = 5
"""Of the length field, its first octet included: 4 GiB."""
MAX_INTEGER_OCTETS = 128

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x17, 0x18, 0x30, 0x31
CONSTRUCTED = 0x20


class Element:
    """One tag-length-value: `start` the tag, `body`..`stop` the contents, `end` behind it all."""

    __slots__ = ("_children", "_level", "body", "end", "start", "stop", "tag")

    def __init__(self, level: "_Level", tag: int, start: int, body: int, stop: int, end: int) -> None:
        self._level = level
        self.tag = tag
        self.start = start
        self.body = body
        self.stop = stop
        self.end = end
        self._children: list[Element] | None = None

    @property
    def value(self) -> bytes:
        """A copy of the contents octets; for small ones."""
        return self._level.data[self.body : self.stop]

    @property
    def whole(self) -> bytes:
        """A copy of the octets as received, tag and length included."""
        return self._level.data[self.start : self.end]

    @property
    def view(self) -> memoryview:
        """The contents octets, not copied."""
        return memoryview(self._level.data)[self.body : self.stop]

    @property
    def definite(self) -> bool:
        """Whether the length was written before the contents."""
        return self.stop == self.end

    @property
    def children(self) -> "list[Element]":
        """The elements inside a constructed one."""
        if self._children is None:
            if not self.tag & CONSTRUCTED:
                raise malformed("a constructed element is expected")
            self._children = self._level.below().read_all(self.body, self.stop)
        return self._children

    def adopt(self, children: "list[Element]") -> None:
        """Take the children found while looking for the end of an indefinite length."""
        self._children = children


class _Level:
    """What elements of one depth have in common: the buffer, the depth, how many elements may still be read."""

    __slots__ = ("_below", "_budget", "_depth", "data")

    def __init__(self, data: bytes, depth: int, budget: list[int]) -> None:
        self.data = data
        self._depth = depth
        self._budget = budget
        self._below: _Level | None = None

    def below(self) -> "_Level":
        """The next level."""
        if self._below is None:
            if self._depth >= MAX_DEPTH:
                raise CmsError(ReasonCode.TOO_DEEP, "BER is nested too deeply")
            self._below = _Level(self.data, self._depth + 1, self._budget)
        return self._below

    def read_all(self, position: int, limit: int) -> list[Element]:
        """The elements that fill the span."""
        data, room = self.data, self._budget[0]
        found = []
        while position < limit:
            # The common case without a call: a length of one octet. `read` says what is wrong in the other cases.
            body = position + 2
            tag = data[position]
            if body <= limit and (length := data[position + 1]) < 0x80 and room > 0 and tag & 0x1F != 0x1F:
                end = body + length
                element = Element(self, tag, position, body, end, end)
                room -= 1
            else:
                self._budget[0] = room
                element = self.read(position, limit)
                room = self._budget[0]
            found.append(element)
            position = element.end
        if position > limit:
            raise malformed("BER length reaches beyond its end")
        self._budget[0] = room
        return found

    def read(self, position: int, limit: int) -> Element:
        """The element that starts at the position and ends before the limit."""
        data = self.data
        body = position + 2
        if body > limit:
            raise malformed("BER ends too early")
        self._budget[0] -= 1
        if self._budget[0] < 0:
            raise CmsError(ReasonCode.TOO_LARGE, "BER has too many elements")
        tag, length = data[position], data[position + 1]
        if tag & 0x1F == 0x1F:
            raise malformed("BER tags of several octets do not occur in CMS")
        if length >= 0x80:
            if length == 0x80:
                return self._indefinite(position, limit)
            length, body = _long_length(data, body, length & 0x7F, limit)
        end = body + length
        if end > limit:
            raise malformed("BER length reaches beyond its end")
        return Element(self, tag, position, body, end, end)

    def _indefinite(self, start: int, limit: int) -> Element:
        """An element whose end is found by reading what is inside (X.690 §8.1.3.6)."""
        tag = self.data[start]
        if not tag & CONSTRUCTED:
            raise malformed("BER indefinite length needs a constructed element")
        below = self.below()
        children = []
        position = start + 2
        while self.data[position : min(position + 2, limit)] != b"\0\0":
            child = below.read(position, limit)
            children.append(child)
            position = child.end
        element = Element(self, tag, start, start + 2, position, position + 2)
        element.adopt(children)
        return element


def read(octets: Octets) -> Element:
    """The first element in the buffer. Octets behind it are left alone."""
    data = octets if isinstance(octets, bytes) else bytes(octets)
    # One element for 64 octets is more than any real message has; strings cut into pieces have far larger ones.
    return _Level(data, 0, [20_000 + len(data) // 64]).read(0, len(data))


def _long_length(data: bytes, start: int, count: int, limit: int) -> tuple[int, int]:
    """A length of several octets, and where it ends."""
    behind = start + count
    if count >= MAX_LENGTH_OCTETS or behind > limit:
        raise malformed("BER length is too long")
    return int.from_bytes(data[start:behind], "big"), behind


class Fields:
    """The fields of a SEQUENCE in order, some of them optional."""

    __slots__ = ("_items", "_next")

    def __init__(self, element: Element, tag: int = SEQUENCE) -> None:
        if element.tag != tag:
            raise malformed(f"expected tag 0x{tag:02x}, found 0x{element.tag:02x}")
        self._items = element.children
        self._next = 0

    def take(self, *tags: int) -> Element:
        """The next field, which must have one of the tags (any, if none is given)."""
        if self._next >= len(self._items):
            raise malformed("a field is missing")
        element = self._items[self._next]
        if tags and element.tag not in tags:
            raise malformed(f"unexpected tag 0x{element.tag:02x}")
        self._next += 1
        return element

    def optional(self, *tags: int) -> Element | None:
        """The next field if it has one of the tags."""
        if self._next < len(self._items) and self._items[self._next].tag in tags:
            self._next += 1
            return self._items[self._next - 1]
        return None

    def rest(self) -> list[Element]:
        """All fields not taken yet."""
        return self._items[self._next :]


def only_child(element: Element) -> Element:
    """The one element inside an EXPLICIT tag."""
    children = element.children
    if len(children) != 1:
        raise malformed("an explicit tag holds one element")
    return children[0]


def oid(element: Element) -> bytes:
    """An OBJECT IDENTIFIER as its DER, tag included; the form in which the tables have it."""
    if element.tag != OID or not 1 <= element.stop - element.body < 0x80:
        raise malformed("an object identifier is expected")
    if element.body == element.start + 2:
        return element.whole
    return b"\x06" + bytes((element.stop - element.body,)) + element.value


def integer(element: Element) -> int:
    """An INTEGER of bounded size."""
    if element.tag != INTEGER or not 1 <= element.stop - element.body <= MAX_INTEGER_OCTETS:
        raise malformed("an integer of bounded size is expected")
    return int.from_bytes(element.value, "big", signed=True)


def string_pieces(element: Element) -> list[memoryview]:
    """The contents of an OCTET STRING, also one cut into pieces (X.690 §8.7.3) or under an IMPLICIT tag."""
    if not element.tag & CONSTRUCTED:
        return [element.view]
    pieces: list[memoryview] = []
    waiting = [iter(element.children)]
    while waiting:
        piece = next(waiting[-1], None)
        if piece is None:
            waiting.pop()
        elif piece.tag == OCTET_STRING:
            pieces.append(piece.view)
        elif piece.tag == OCTET_STRING | CONSTRUCTED:
            waiting.append(iter(piece.children))
        else:
            raise malformed("an octet string has pieces of another type")
    return pieces


def octets(element: Element, *tags: int) -> bytes:
    """The contents of an OCTET STRING in one piece. `tags`: those allowed instead, without the constructed bit."""
    if element.tag & ~CONSTRUCTED not in (tags or (OCTET_STRING,)):
        raise malformed("an octet string is expected")
    if not element.tag & CONSTRUCTED:
        return element.value
    return b"".join(string_pieces(element))


def bits(element: Element) -> bytes:
    """The contents of a BIT STRING whose bits fill whole octets."""
    value = element.value
    if element.tag != BIT_STRING or not value or value[0] != 0:
        raise malformed("a bit string of whole octets is expected")
    return value[1:]
