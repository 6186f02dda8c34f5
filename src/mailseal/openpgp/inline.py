"""OpenPGP in the text of a mail and in attached files (inline: RFC 9580 §6, §7, without RFC 3156), found and read.

A block counts only where nothing but white space is around it: whatever else there is would be shown beside it, as if
it were of the same hand. A mail of several parts is opened only if each of them is encrypted as a whole, and what
comes out is text, or a file to be saved: never a page that could carry the text elsewhere (EFAIL).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from mailseal.mail.entity import Entity, MimeError
from mailseal.openpgp import armor, mime
from mailseal.openpgp.armor import Armored, Cleartext
from mailseal.openpgp.errors import PgpError, malformed
from mailseal.openpgp.mime import (
    FILE_SUFFIXES,
    LayerKind,
    holds_encrypted,
    holds_only,
    is_encrypted_message,
    not_whole,
    read_message,
)

_BLOCKS = (armor.MESSAGE, armor.SIGNED_MESSAGE)
_CONTAINERS = frozenset({"multipart/mixed", "multipart/alternative", "multipart/related"})


@dataclass(frozen=True, slots=True)
class Sealed:
    """One part that is an OpenPGP message and nothing else.

    `charset` is what the part says of its text, `filename` what the file was called before it was encrypted; without
    one it is text to be shown.
    """

    message: bytes = field(repr=False)
    charset: str = ""
    filename: str | None = None


def classify(entity: Entity) -> LayerKind | None:
    """The kind of layer that is in a text, in every part of a multipart, or in the file that a mail is; or None."""
    text = _text(entity)
    if text is None:
        whole = entity.content_type.type in _CONTAINERS if entity.children else not entity.path
        return LayerKind.ENCRYPTED if whole and all(_seems_sealed(one) for one in leaves(entity)) else None
    found = armor.find_armor(text, kinds=_BLOCKS)
    if found is None:
        return None
    kind, start = found
    if kind == armor.SIGNED_MESSAGE:
        return LayerKind.SIGNED
    try:
        encrypted = is_encrypted_message(armor.read_armor(text, {kind}, start).octets)
    except PgpError:
        encrypted = True
    return LayerKind.ENCRYPTED if encrypted else LayerKind.SIGNED


def leaves(entity: Entity) -> Iterator[Entity]:
    """The parts that are no multipart, in order."""
    return (one for one in entity.walk() if not one.children)


def _seems_sealed(part: Entity) -> bool:
    text = _text(part)
    if text is None:
        return _is_file(part) and holds_encrypted(part)
    return armor.find_armor(text, kinds={armor.MESSAGE}) is not None


def _is_file(part: Entity) -> bool:
    return (part.filename or "").lower().endswith(FILE_SUFFIXES)


def _text(entity: Entity) -> bytes | None:
    """The body of a plain text without its transfer encoding."""
    if entity.children or entity.content_type.type != "text/plain":
        return None
    try:
        return entity.decoded_body(len(entity.body))
    except MimeError:
        return None


def sealed_parts(entity: Entity) -> tuple[Sealed, ...]:
    """The messages that the entity is made of; raises PgpError, NOT_WHOLE_MESSAGE if there is anything besides."""
    if any(one.content_type.type not in _CONTAINERS or not one.closed for one in entity.walk() if one.children):
        raise not_whole()
    return tuple(_sealed(one) for one in leaves(entity))


def is_bare(entity: Entity) -> bool:
    """Whether nothing readable is around the messages of `sealed_parts`; raises PgpError."""
    return all(mime.is_bare(one) for one in entity.walk()) and all(
        holds_only(one, {armor.MESSAGE}) for one in leaves(entity)
    )


def _sealed(part: Entity) -> Sealed:
    filename = part.filename
    if filename is not None and filename.lower().endswith(FILE_SUFFIXES):
        filename = filename[:-4]
    text = _text(part)
    if text is None:
        return Sealed(read_message(part), filename=filename or "")
    block = _only_block(text)
    told = dict(block.headers).get("Charset", "") or part.content_type.parameters.get("charset", "")
    return Sealed(block.octets, told, filename)


def _only_block(text: bytes) -> Armored:
    block = armor.read_armor(text, {armor.MESSAGE})
    if text[: block.start].strip() or text[block.end :].strip():
        raise not_whole()
    return block


def signed_message(entity: Entity) -> Cleartext | Sealed:
    """The signed text that an entity is: in clear, or as a signed message in armor.

    Raises PgpError, NOT_WHOLE_MESSAGE if there is anything besides.
    """
    text = _text(entity)
    if text is None:
        raise malformed("this is no text")
    found = armor.find_armor(text, kinds=_BLOCKS)
    if found is not None and found[0] == armor.MESSAGE:
        return _sealed(entity)
    signed = armor.read_cleartext(text)
    if text[: signed.start].strip() or text[signed.end :].strip():
        raise not_whole()
    return signed
