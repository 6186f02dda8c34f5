"""New certificates (RFC 9580 §10.1): a primary key that certifies and signs, an encryption subkey, version 4.

They say that SEIPDv1 is read, and not v2: what answers must be readable by GnuPG 2.2 as well, to which keys move.
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa, x25519

from mailseal.keys import PrivateKey
from mailseal.openpgp.algorithms import CipherId, CompressionId, HashId, KeyAlgorithm
from mailseal.openpgp.component import Features, KeyFlags
from mailseal.openpgp.errors import PgpError, malformed
from mailseal.openpgp.key import PublicKey, public_key_body, read_public_key
from mailseal.openpgp.packet import Tag, write_packet
from mailseal.openpgp.parts import MAX_USER_ID_OCTETS, MAX_USER_IDS
from mailseal.openpgp.sign import sign
from mailseal.openpgp.signature import SignatureType, over_keys, over_user_id
from mailseal.openpgp.subpackets import MAX_SECONDS, Kind, seconds, write_subpacket
from mailseal.policy.reason import ReasonCode


class KeyKind(StrEnum):
    """What new keys are made of. `ed25519` takes a fraction of a millisecond, RSA up to seconds."""

    ED25519 = "ed25519"
    RSA3072 = "rsa3072"
    RSA4096 = "rsa4096"


@dataclass(frozen=True, slots=True)
class GeneratedKey:
    """A certificate's packets, and its keys: the primary one, then the subkey."""

    octets: bytes
    keys: tuple[tuple[PublicKey, PrivateKey], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Row:
    """How a kind makes its two keys, and by which algorithms."""

    primary: Callable[[], PrivateKey]
    subkey: Callable[[], PrivateKey]
    algorithms: tuple[KeyAlgorithm, KeyAlgorithm]


def _rsa(bits: int) -> _Row:
    def make() -> PrivateKey:
        return rsa.generate_private_key(65_537, bits)

    return _Row(make, make, (KeyAlgorithm.RSA, KeyAlgorithm.RSA))


_ROWS = {
    KeyKind.ED25519: _Row(
        ed25519.Ed25519PrivateKey.generate,
        x25519.X25519PrivateKey.generate,
        (KeyAlgorithm.EDDSA_LEGACY, KeyAlgorithm.ECDH),
    ),
    KeyKind.RSA3072: _rsa(3072),
    KeyKind.RSA4096: _rsa(4096),
}

_PREFERENCES = (
    write_subpacket(Kind.CIPHERS, bytes((CipherId.AES256, CipherId.AES192, CipherId.AES128))),
    write_subpacket(Kind.DIGESTS, bytes((HashId.SHA512, HashId.SHA384, HashId.SHA256))),
    write_subpacket(Kind.COMPRESSIONS, bytes((CompressionId.ZLIB, CompressionId.ZIP))),
    write_subpacket(Kind.FEATURES, bytes((Features.SEIPD_V1,))),
    write_subpacket(Kind.KEY_SERVER_PREFERENCES, b"\x80"),  # nobody else is to change it there
)


def generate(
    user_ids: Sequence[str],
    kind: KeyKind = KeyKind.ED25519,
    *,
    expires_after: timedelta | None = None,
    at: datetime,
) -> GeneratedKey:
    """A certificate with these user IDs, the first one primary, and its secret keys; raises PgpError."""
    if not 1 <= len(set(user_ids)) == len(user_ids) <= MAX_USER_IDS:
        raise malformed("a certificate needs a user ID, each of them once")
    names = [user_id_octets(one) for one in user_ids]
    row = _ROWS[kind]
    key, primary = _made(row.primary, row.algorithms[0], at)
    subkey, encryption = _made(row.subkey, row.algorithms[1], at)
    expiry = () if expires_after is None else (key_expiry(at, at + expires_after),)
    packets = [write_packet(Tag.PUBLIC_KEY, primary.octets)]
    for number, name in enumerate(names):
        says = (_flags(KeyFlags.CERTIFY | KeyFlags.SIGN), *expiry, *_PREFERENCES, *([PRIMARY] if not number else []))
        hashed = over_user_id(primary.version, primary, name)
        packets += (
            write_packet(Tag.USER_ID, name),
            sign(key, primary, SignatureType.POSITIVE, hashed, at=at, subpackets=says),
        )
    says = (_flags(KeyFlags.ENCRYPT_COMMUNICATIONS | KeyFlags.ENCRYPT_STORAGE), *expiry)
    hashed = over_keys(primary.version, primary, encryption)
    packets += (
        write_packet(Tag.PUBLIC_SUBKEY, encryption.octets),
        sign(key, primary, SignatureType.SUBKEY_BINDING, hashed, at=at, subpackets=says),
    )
    return GeneratedKey(b"".join(packets), ((primary, key), (encryption, subkey)))


PRIMARY = write_subpacket(Kind.PRIMARY_USER_ID, b"\1")


def key_expiry(created: datetime, expires: datetime) -> bytes:
    """The subpacket by which a key of that age expires then; raises PgpError if that is not after its creation."""
    after = int(expires.timestamp()) - int(created.timestamp())
    if not 0 < after <= MAX_SECONDS:
        raise malformed("a key cannot expire before it is made, or in more than 136 years")
    return write_subpacket(Kind.KEY_EXPIRES, seconds(after))


def user_id_octets(text: str) -> bytes:
    """A user ID for a certificate of ours; raises PgpError for an empty one, a very long one, or one with controls."""
    try:
        octets = text.encode()
    except UnicodeEncodeError:
        raise malformed("a user ID has characters that are none") from None
    if len(octets) > MAX_USER_ID_OCTETS:
        raise PgpError(ReasonCode.TOO_LARGE, "a user ID is too long")
    if not text.strip() or any(unicodedata.category(one) in {"Cc", "Zl", "Zp"} for one in text):
        raise malformed("a user ID is empty or has control characters")
    return octets


def _flags(flags: KeyFlags) -> bytes:
    return write_subpacket(Kind.KEY_FLAGS, bytes((flags,)))


def _made(make: Callable[[], PrivateKey], algorithm: KeyAlgorithm, at: datetime) -> tuple[PrivateKey, PublicKey]:
    key = make()
    return key, read_public_key(public_key_body(key.public_key(), algorithm, at))
