"""Mails inside a mail: message/rfc822 (RFC 2046 §5.2.1). Another can take one's place; all around it stays as it came.

The labels of what is around it change only where they would no longer be true: a part that was said to be seven-bit
(RFC 2045 §6.4), or whose encoding the new mail would have to share.
"""

from base64 import encodebytes
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mailseal.errors import PermanentError
from mailseal.mail.entity import IDENTITY_ENCODINGS, Entity
from mailseal.mail.message import Octets

_CODING = "content-transfer-encoding"
_EIGHT_BIT = b"Content-Transfer-Encoding: 8bit\r\n"
_BASE64 = b"Content-Transfer-Encoding: base64\r\n"


class EmbeddingError(PermanentError):
    """A mail cannot stand where it is to be put."""


class _Edit(NamedTuple):
    start: int
    end: int
    octets: bytes


def replace_embedded(root: Entity, mails: Sequence[tuple[Entity, bytes]]) -> tuple[Octets, ...]:
    """The octets of a mail with others as the content of some of its parts; raises EmbeddingError.

    The parts are children of `root`, a multipart. A part that is encoded, which none should be, becomes base64.
    """
    edits: list[_Edit] = []
    delimiter = b"--" + root.content_type.parameters.get("boundary", "").encode("ascii", "replace")
    eight_bit = False
    for part, octets in mails:
        if octets.startswith(delimiter) or b"\n" + delimiter in octets:
            raise EmbeddingError("a line of the new content would end the part that it stands in")
        if part.transfer_encoding not in IDENTITY_ENCODINGS:
            encoded = encodebytes(octets).replace(b"\n", b"\r\n").removesuffix(b"\r\n")
            edits += (*_labelled(part, _BASE64), _Edit(part.body_start, part.end, encoded))
            continue
        if not octets.isascii():
            eight_bit = True
            edits += _relabelled(part)
        edits.append(_Edit(part.body_start, part.end, octets))
    if eight_bit:
        edits += _relabelled(root)
    return _edited(root, edits)


def _relabelled(entity: Entity) -> Iterable[_Edit]:
    """What is seven-bit, said or not (RFC 2045 §6.1), becomes eight-bit."""
    return _labelled(entity, _EIGHT_BIT) if entity.transfer_encoding == "7bit" else ()


def _labelled(entity: Entity, label: bytes) -> Iterable[_Edit]:
    """In place of the label that is there, else before the others."""
    found = next((one for one in entity.fields if one.name == _CODING), None)
    start, end = (entity.start, entity.start) if found is None else (found.start, found.end)
    yield _Edit(start, end, label)


def _edited(root: Entity, edits: Iterable[_Edit]) -> tuple[Octets, ...]:
    view = memoryview(root.buffer)
    chunks: list[Octets] = []
    position = root.start
    for edit in sorted(edits):
        chunks += (view[position : edit.start], edit.octets)
        position = edit.end
    return (*chunks, view[position : root.end])
