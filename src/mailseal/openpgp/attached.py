"""Public keys that are attached to a mail (RFC 3156 §7): found, read, taken out."""

from collections.abc import Iterator
from itertools import pairwise

from mailseal.mail.entity import NEUTRAL_TYPES, Entity, MimeError
from mailseal.openpgp import armor
from mailseal.openpgp.errors import PgpError, malformed
from mailseal.openpgp.mime import FILE_SUFFIXES, holds_only
from mailseal.openpgp.packet import Tag, read_packets
from mailseal.openpgp.secret_key import SECRET_TAGS

KEYS_TYPE = "application/pgp-keys"
MAX_PARTS = 8
MAX_PART_OCTETS = 512 * 1024
MAX_CERTIFICATES = 8
"""Of one mail: more than that is a keyring, which nobody sends to be encrypted to."""
_KEY_SUFFIXES = (*FILE_SUFFIXES, ".key", ".pub")
_BEGIN_KEY = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"


def _seems_keys(part: Entity) -> bool:
    """Whether a part may hold public keys: by its type, or by what a file of that name begins with."""
    kind = part.content_type.type
    if kind == KEYS_TYPE:
        return True
    named = (kind in NEUTRAL_TYPES or kind == "text/plain") and (part.filename or "").lower().endswith(_KEY_SUFFIXES)
    return named and _octets(part).lstrip().startswith(_BEGIN_KEY)


def _octets(part: Entity) -> bytes:
    try:
        return b"" if part.children else part.decoded_body(MAX_PART_OCTETS)
    except MimeError:
        return b""


def attached_certificates(entity: Entity) -> list[bytes]:
    """The packets of each certificate in the attached keys, not looked at yet, at most MAX_CERTIFICATES."""
    found: list[bytes] = []
    for part in [one for one in entity.walk() if _seems_keys(one)][:MAX_PARTS]:
        found += _certificates(_octets(part))
    return found[:MAX_CERTIFICATES]


def _certificates(octets: bytes) -> list[bytes]:
    try:
        if armor.find_armor(octets) is None:
            return split_certificates(octets)
        blocks = armor.read_armored_blocks(octets, {armor.PUBLIC_KEY})
        return [one for block in blocks for one in split_certificates(block.octets)]
    except PgpError:
        return []


def _is_keys(part: Entity) -> bool:
    """Whether a part is public keys and nothing else: programs give that type to every file called *.key."""
    try:
        return _seems_keys(part) and bool(_certificates(_octets(part))) and holds_only(part, {armor.PUBLIC_KEY})
    except PgpError:
        return False


def split_certificates(octets: bytes) -> list[bytes]:
    """The packets from each primary key up to the next.

    Raises PgpError for what is no packet, before the first, or a secret key: nothing keeps one that came by mistake.
    """
    packets = [one for one in read_packets(octets) if not one.ignored]
    if packets and packets[0].tag != Tag.PUBLIC_KEY:
        raise malformed("something is before the first public key")
    if any(one.tag in SECRET_TAGS for one in packets):
        raise malformed("a secret key is among public ones")
    starts = [one.start for one in packets if one.tag == Tag.PUBLIC_KEY]
    return [octets[start:end] for start, end in pairwise((*starts, len(octets)))]


def without_keys(entity: Entity) -> bytes | None:
    """The entity without the attached keys that no signature covers; None if there are none, or nothing else.

    What stays keeps its octets.
    """
    spans = list(_spans(entity))
    if not spans:
        return None
    pieces, kept_from = [], entity.start
    for start, end in spans:
        pieces.append(entity.buffer[kept_from:start])
        kept_from = end
    return b"".join((*pieces, entity.buffer[kept_from : entity.end]))


def _spans(entity: Entity) -> Iterator[tuple[int, int]]:
    """From the end of the part before up to the end of the key: with it goes the delimiter line above it."""
    if entity.content_type.type != "multipart/mixed":
        return
    keys = [_is_keys(one) for one in entity.children]
    if all(keys):
        return
    before = entity.preamble_end
    for child, is_key in zip(entity.children, keys, strict=True):
        if is_key:
            yield before, child.end
        else:
            yield from _spans(child)
        before = child.end
