"""The header fields and the body of a mail as signatures see them: raw fields by name, taken from the bottom up."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mailseal.dkim.canon import Canon, body_hash, header_field
from mailseal.errors import PermanentError
from mailseal.mail.entity import Entity
from mailseal.mail.header import seen_values, unfolded
from mailseal.mail.message import Octets

MAX_HEADER_OCTETS = 1 << 20
_STEP_OCTETS = 1 << 14
_FIELD = re.compile(rb"[^\n]++(?:\n[ \t][^\n]*+)*+\n?")
_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:")


class HeaderTooLargeError(PermanentError):
    """The header does not end within MAX_HEADER_OCTETS."""


class Field(NamedTuple):
    """A field: its name in lower case and its octets, line end included."""

    name: str
    raw: bytes

    @property
    def value(self) -> str:
        """The octets behind the colon as text; a lone surrogate stands for an octet that is no UTF-8."""
        return self.raw.partition(b":")[2].decode("utf-8", "surrogateescape")


class Mail:
    """A mail: its fields from the top down, its body in chunks. Each hash of the body is made once."""

    def __init__(self, fields: Iterable[Field], body: Sequence[Octets]) -> None:
        self.fields = tuple(fields)
        self.body = body
        self._named: dict[str, list[Field]] = {}
        for field in self.fields:
            self._named.setdefault(field.name, []).append(field)
        self._hashes: dict[Canon, tuple[bytes, int]] = {}

    @staticmethod
    def of_entity(root: Entity) -> "Mail":
        """A mail as it was received."""
        return Mail((Field(one.name, one.raw(root.buffer)) for one in root.fields if one.name), (root.body,))

    @staticmethod
    def of_chunks(chunks: Sequence[Octets]) -> "Mail":
        """A mail as it is to be sent; raises HeaderTooLargeError."""
        header, body = _split(chunks)
        return Mail(read_fields(header), body)

    def body_hash(self, canon: Canon) -> tuple[bytes, int]:
        """As of `canon.body_hash`."""
        if canon not in self._hashes:
            self._hashes[canon] = body_hash(self.body, canon)
        return self._hashes[canon]

    def named(self, name: str) -> Sequence[Field]:
        """The fields of a name, from the top down."""
        return self._named.get(name, ())

    def count_authors(self) -> int:
        """How many From fields some reader may see: one behind a bare CR too."""
        return sum(len(seen_values(unfolded(one.raw), b"from")) for one in self.fields)

    def signed_fields(self, names: Sequence[str], canon: Canon, without: Field | None = None) -> bytes:
        """The fields that a list of names stands for, each time the lowest that is left, canonical (§5.4.2).

        A name of which none is left stands for nothing: so a field is signed to be absent. `without`: the signature's
        own field, which never counts.
        """
        left: dict[str, list[Field]] = {}
        pieces: list[bytes] = []
        for name in names:
            if name not in left:
                left[name] = [one for one in self.named(name) if one is not without]
            if left[name]:
                pieces.append(header_field(left[name].pop().raw, canon))
        return b"".join(pieces)


def read_fields(header: bytes) -> list[Field]:
    """The fields of a header; lines that are no field are left out."""
    fields = []
    for found in _FIELD.finditer(header):
        name = _NAME.match(found[0])
        if name is not None:
            fields.append(Field(name[1].decode("ascii").lower(), found[0]))
    return fields


def _split(chunks: Sequence[Octets]) -> tuple[bytes, list[Octets]]:
    """Header and body; only the header is copied."""
    header = b""
    for index, chunk in enumerate(chunks):
        view = memoryview(chunk)
        for start in range(0, len(view), _STEP_OCTETS):
            before = len(header)
            header += view[start : start + _STEP_OCTETS]
            end = _body_start(header, before)
            if end >= 0:
                return header[:end], [view[start + end - before :], *chunks[index + 1 :]]
            if len(header) > MAX_HEADER_OCTETS:
                raise HeaderTooLargeError("the header is too large to be signed")
    return header, []


def _body_start(header: bytes, searched: int) -> int:
    if header.startswith(b"\r\n"):
        return 2
    found = header.find(b"\r\n\r\n", max(0, searched - 3))
    return found if found < 0 else found + 4
