"""The mail entities of PGP/MIME (RFC 3156): find them, read them, write them; and what servers have made of them."""

import re
import secrets
from collections.abc import Collection, Iterable
from enum import StrEnum

from mailseal.mail.entity import NEUTRAL_TYPES, Entity, MimeError
from mailseal.mail.message import Octets
from mailseal.openpgp import armor
from mailseal.openpgp.errors import PgpError, malformed
from mailseal.openpgp.packet import ENCRYPTED_TAGS, Tag
from mailseal.policy.reason import ReasonCode

ENCRYPTED_TYPE = "application/pgp-encrypted"
SIGNATURE_TYPE = "application/pgp-signature"

FILE_SUFFIXES = (".asc", ".pgp", ".gpg")
_SIGNATURES = frozenset({armor.SIGNATURE, armor.MESSAGE})
"""Kinds of armor of a signature: some call it a message."""

_VERSION = b"version: 1"
_BLANK_OCTETS = 2000
_PEEK_OCTETS = 1024
_BEGIN_MESSAGE = b"-----BEGIN PGP MESSAGE-----"
_BEGIN_SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
_FIRST_ENCRYPTED = frozenset({Tag.PKESK, Tag.SKESK, *ENCRYPTED_TAGS})
_USUAL_PREAMBLE = re.compile(
    rb"This is an OpenPGP/MIME (?:encrypted|signed) message \(RFC [0-9]{4}(?: and [0-9]{4})?\)"
)

_SIGNED_PARTS = (
    b'Content-Type: multipart/signed; protocol="application/pgp-signature";\r\n micalg=%b; boundary="%b"\r\n\r\n'
    b"This is an OpenPGP/MIME signed message (RFC 9580 and 3156)\r\n--%b\r\n"
)
_ENCRYPTED_PARTS = (
    b"This is an OpenPGP/MIME encrypted message (RFC 9580 and 3156)\r\n"
    b"--%b\r\n"
    b"Content-Type: application/pgp-encrypted\r\n"
    b"Content-Description: PGP/MIME version identification\r\n\r\n"
    b"Version: 1\r\n\r\n"
    b"--%b\r\n"
    b'Content-Type: application/octet-stream; name="encrypted.asc"\r\n'
    b"Content-Description: OpenPGP encrypted message\r\n"
    b'Content-Disposition: inline; filename="encrypted.asc"\r\n\r\n'
)
_SIGNATURE_HEADER = (
    b'\r\nContent-Type: application/pgp-signature; name="signature.asc"\r\n'
    b"Content-Description: OpenPGP digital signature\r\n"
    b'Content-Disposition: attachment; filename="signature.asc"\r\n\r\n'
)


class LayerKind(StrEnum):
    """The kinds of OpenPGP layer."""

    ENCRYPTED = "pgp-encrypted"
    SIGNED = "pgp-signed"


def classify(entity: Entity) -> LayerKind | None:
    """The kind of PGP/MIME entity, or None. Whether it can be read is another question."""
    kind = entity.content_type.type
    if kind == "multipart/encrypted":
        return LayerKind.ENCRYPTED if _says(entity, ENCRYPTED_TYPE, 0) else None
    if kind == "multipart/signed":
        return LayerKind.SIGNED if _says(entity, SIGNATURE_TYPE, 1) or _has_lost_protocol(entity) else None
    return LayerKind.ENCRYPTED if _mangled(entity) is not None else None


def _says(entity: Entity, kind: str, position: int) -> bool:
    """Whether the protocol, or where there is none the part at that position, names the type."""
    protocol = entity.content_type.parameters.get("protocol", "").strip().lower()
    if protocol:
        return protocol == kind
    return len(entity.children) > position and entity.children[position].content_type.type == kind


def _has_lost_protocol(entity: Entity) -> bool:
    if "protocol" in entity.content_type.parameters or len(entity.children) != 2:
        return False
    part = entity.children[1]
    start = part.decoded_start(_PEEK_OCTETS).lstrip()
    return part.content_type.type in NEUTRAL_TYPES and start.startswith(_BEGIN_SIGNATURE)


def _mangled(entity: Entity) -> Entity | None:
    """The part with the message of an encrypted mail whose types a server has changed; None for any other entity.

    Exchange makes multipart/mixed of multipart/encrypted, puts an empty text before the two parts, and may forget what
    they are. With anything else beside them it is not the whole mail.
    """
    if entity.content_type.type == "multipart/mixed":
        parts = [one for one in entity.children if not _is_blank(one)]
        if len(parts) == 2 and is_version(parts[0]) and holds_encrypted(parts[1]):
            return parts[1]
    elif not entity.path and _is_file(entity) and holds_encrypted(entity):
        return entity
    return None


def _is_file(entity: Entity) -> bool:
    kind = entity.content_type.type
    return kind == ENCRYPTED_TYPE or (kind in NEUTRAL_TYPES and (entity.filename or "").lower().endswith(".asc"))


def _is_blank(part: Entity) -> bool:
    return part.content_type.type == "text/plain" and _small_body(part) == b""


def is_version(part: Entity) -> bool:
    """Whether it is the first part of RFC 3156 §4, whatever its type has become."""
    kind = part.content_type.type
    return (kind in NEUTRAL_TYPES or kind in (ENCRYPTED_TYPE, "text/plain")) and _small_body(part) == _VERSION


def _small_body(part: Entity) -> bytes | None:
    """The body in lower case without white space around it; None for one that is larger than a line or two."""
    try:
        return None if part.children else part.decoded_body(_BLANK_OCTETS).strip().lower()
    except MimeError:
        return None


def holds_encrypted(part: Entity) -> bool:
    """Whether a part starts like an encrypted OpenPGP message, armored or not."""
    if part.children or part.content_type.type.startswith(("multipart/", "text/", "message/")):
        return False
    start = part.decoded_start(_PEEK_OCTETS)
    return start.lstrip().startswith(_BEGIN_MESSAGE) or is_encrypted_message(start)


def is_encrypted_message(octets: bytes) -> bool:
    """Whether packets start like an encrypted message, not like one that is only signed."""
    return octets[:1] >= b"\x80" and _tag(octets[0]) in _FIRST_ENCRYPTED


def _tag(first: int) -> int:
    return first & 0x3F if first & 0x40 else first >> 2 & 0x0F


def message_part(entity: Entity) -> Entity:
    """The part with the message of an entity that is classified as encrypted; raises PgpError."""
    if entity.content_type.type != "multipart/encrypted":
        part = _mangled(entity)
        if part is None:
            raise malformed("this is no encrypted mail")
        return part
    if len(entity.children) != 2 or not entity.closed:
        raise malformed("an encrypted multipart has two parts and a closing delimiter")
    return entity.children[1]


def read_message(part: Entity) -> bytes:
    """The packets of the one message in a part, armored or not; raises PgpError."""
    octets = decoded(part)
    if armor.find_armor(octets) is None:
        return octets
    block = armor.read_armor(octets, {armor.MESSAGE})
    if armor.find_armor(octets, block.end) is not None:
        raise malformed("there is more than one armored block")
    return block.octets


def is_all(entity: Entity) -> bool:
    """Whether nothing readable stands around the message of an encrypted entity."""
    try:
        part = message_part(entity)
    except PgpError:
        return False
    return (
        is_bare(entity)
        and all(one is part or is_version(one) or _is_blank(one) for one in entity.children)
        and all(one.is_exactly_encoded() for one in entity.children)
        and holds_only(part, {armor.MESSAGE})
    )


def is_bare(entity: Entity) -> bool:
    """Whether no words are around the parts of a multipart, but those that programs put there for others."""
    if not entity.children:
        return True
    around = bytes(entity.preamble).strip() + bytes(entity.epilogue).strip()
    return not around or _USUAL_PREAMBLE.fullmatch(around) is not None


def holds_only(part: Entity, kinds: Collection[str]) -> bool:
    """Whether nothing that can be read stands around the armored blocks of a part, or behind what is not armored.

    Raises PgpError for a block that cannot be read, or is of another kind.
    """
    octets, behind = decoded(part), 0
    if armor.find_armor(octets) is not None:
        for block in armor.read_armored_blocks(octets, kinds):
            if octets[behind : block.start].strip():
                return False
            behind = block.end
        if octets[behind:].strip():
            return False
    return part.is_exactly_encoded()


def signed_parts(entity: Entity) -> tuple[memoryview, bytes]:
    """The signed octets and the packets of the signatures of a multipart/signed (RFC 3156 §5).

    Raises PgpError, NOT_WHOLE_MESSAGE if the second part holds anything besides: programs show it as a file.
    """
    if len(entity.children) != 2 or not entity.closed:
        raise malformed("a signed multipart has two parts and a closing delimiter")
    content, signature = entity.children
    if signature.content_type.type not in NEUTRAL_TYPES | {SIGNATURE_TYPE}:
        raise malformed("the second part is no OpenPGP signature")
    if not holds_only(signature, _SIGNATURES):
        raise not_whole()
    octets = decoded(signature)
    if armor.find_armor(octets) is None:
        return content.octets, octets
    return content.octets, b"".join(one.octets for one in armor.read_armored_blocks(octets, _SIGNATURES))


def not_whole() -> PgpError:
    """For something beside an OpenPGP message that would be taken for a part of it."""
    return PgpError(ReasonCode.NOT_WHOLE_MESSAGE, "the OpenPGP message is not the whole of the mail")


def decoded(part: Entity) -> bytes:
    """The body without its transfer encoding; raises PgpError."""
    try:
        return part.decoded_body(len(part.body))
    except MimeError as error:
        raise malformed(str(error)) from error


def signed_entity(entity: bytes, signatures: bytes, micalg: str) -> tuple[Octets, ...]:
    """multipart/signed with the octets of `entity` as they are (RFC 3156 §5), in pieces to send one after the other."""
    boundary = _boundary()
    start = _SIGNED_PARTS % (micalg.encode(), boundary, boundary)
    lines = armor.write_armor(armor.SIGNATURE, (signatures,))
    return start, entity, b"\r\n--%b%b" % (boundary, _SIGNATURE_HEADER), *lines, b"\r\n--%b--\r\n" % boundary


def encrypted_entity(message: Iterable[Octets]) -> tuple[Octets, ...]:
    """multipart/encrypted with an armored message (RFC 3156 §4), in pieces to send one after the other."""
    boundary = _boundary()
    start = (
        b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";\r\n boundary="%b"\r\n\r\n' % boundary
    )
    return start, _ENCRYPTED_PARTS % (boundary, boundary), *message, b"\r\n--%b--\r\n" % boundary


def _boundary() -> bytes:
    # 128 random bits: nobody can have put them into the content, so that it need not be searched.
    return b"----" + secrets.token_hex(16).encode()
