"""Whose OpenPGP keys the referees know: one person for each kind of key, the same at each call; what is sent to them.

The keys do not expire, since not every referee lets its clock be set.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache

import pgp_craft as craft
from mailseal.openpgp.algorithms import CipherId, CompressionId, HashId
from mailseal.openpgp.component import Features, KeyFlags
from mailseal.openpgp.subpackets import Kind, write_subpacket
from pgp_keys import PgpIdentity

RSA = ("rsa2048", "rsa3072", "rsa4096")
NIST, BRAINPOOL = craft.CURVES[:3], craft.CURVES[3:]
KINDS = (*RSA, "ed25519", *NIST, *BRAINPOOL)
"""Of keys that sign, with what belongs to them to be encrypted to: an RSA key alone does both."""

BODY = b"Content-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n" + b"0123456789 abcdef\r\n" * 60
"""A whole entity."""
TEXT = "Grüße\r\n- dash\r\n--\r\nFrom here\r\n\r\n  trailing \t\r\n-----BEGIN PGP MESSAGE-----\r\nend".encode()
"""All that the cleartext framework has to take care of."""

_SAYS = (
    write_subpacket(Kind.CIPHERS, bytes((CipherId.AES256, CipherId.AES192, CipherId.AES128))),
    write_subpacket(Kind.DIGESTS, bytes((HashId.SHA512, HashId.SHA384, HashId.SHA256))),
    write_subpacket(Kind.COMPRESSIONS, bytes((CompressionId.ZLIB, CompressionId.ZIP))),
)


def features(version: int) -> bytes:
    """What the newest programs say with keys of version 6, and what all say with those of version 4."""
    both = Features.SEIPD_V1 | Features.SEIPD_V2
    return write_subpacket(Kind.FEATURES, bytes((both if version == 6 else Features.SEIPD_V1,)))


def person(kind: str, version: int = 4) -> PgpIdentity:
    """A certificate that signs and is encrypted to by keys of this kind, with its secret keys."""
    return _same(kind, version)


def new_person(kind: str, version: int = 4, *more: bytes, text: str = "", at: datetime = craft.MADE) -> PgpIdentity:
    """Another one; `text` is its user ID, `more` are subpackets that it says of itself."""
    primary = craft.key(kind, version=version, at=at)
    does = craft.CERTIFY_SIGN | (craft.ENCRYPT if kind in RSA else KeyFlags(0))
    says = (craft.flags(does), features(version), *_SAYS, *more)
    packets = [craft.user_id(primary, text or f"{kind}@example.org", *says, at=at)]
    if version == 6:
        packets.insert(0, craft.direct(primary, *says, at=at))
    keys = [(primary.public, primary.private)]
    if kind not in RSA:
        subkey = craft.key("cv25519" if kind.startswith("ed") else f"{kind}-ecdh", version=version, at=at)
        packets.append(craft.subkey(primary, subkey, craft.ENCRYPT, at=at))
        keys.append((subkey.public, subkey.private))
    return PgpIdentity(craft.certificate(primary, *packets), tuple(keys))


_same = cache(new_person)


def decrypting(kind: str, version: int = 4):
    """The public and the private key that messages to this person are opened with."""
    return person(kind, version).keys[-1]
