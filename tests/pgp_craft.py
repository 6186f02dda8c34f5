"""OpenPGP certificates made by hand, sound or not, each signature as a test wants it; times are around pki.NOW.

anna = key(); sub = key("cv25519")
octets = certificate(anna, user_id(anna, "anna@example.com"), subkey(anna, sub, ENCRYPT))
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x448, x25519

from mailseal.keys import PrivateKey
from mailseal.openpgp.algorithms import HASHES, HashId, KeyAlgorithm
from mailseal.openpgp.component import KeyFlags
from mailseal.openpgp.key import PublicKey, public_key_body, read_public_key
from mailseal.openpgp.packet import Tag, read_packet, write_packet
from mailseal.openpgp.sign import _material, sign
from mailseal.openpgp.signature import SignatureType, digest_of, over_keys, over_user_id
from mailseal.openpgp.subpackets import Kind, seconds, write_subpacket
from pki import NOW

DAY = timedelta(days=1)
MADE = NOW - 100 * DAY
CERTIFY_SIGN = KeyFlags.CERTIFY | KeyFlags.SIGN
ENCRYPT = KeyFlags.ENCRYPT_COMMUNICATIONS | KeyFlags.ENCRYPT_STORAGE

CURVES = ("p256", "p384", "p521", "bp256", "bp384", "bp512")
"""Kinds of key that sign; with "-ecdh" behind, they are encrypted to."""

_A = KeyAlgorithm
_KINDS = {
    "ed25519": (ed25519.Ed25519PrivateKey.generate, _A.EDDSA_LEGACY, _A.ED25519),
    "ed25519-native": (ed25519.Ed25519PrivateKey.generate, _A.ED25519, _A.ED25519),
    "ed448": (ed448.Ed448PrivateKey.generate, _A.ED448, _A.ED448),
    "p256": (lambda: ec.generate_private_key(ec.SECP256R1()), _A.ECDSA, _A.ECDSA),
    "p384": (lambda: ec.generate_private_key(ec.SECP384R1()), _A.ECDSA, _A.ECDSA),
    "p521": (lambda: ec.generate_private_key(ec.SECP521R1()), _A.ECDSA, _A.ECDSA),
    "bp256": (lambda: ec.generate_private_key(ec.BrainpoolP256R1()), _A.ECDSA, _A.ECDSA),
    "bp384": (lambda: ec.generate_private_key(ec.BrainpoolP384R1()), _A.ECDSA, _A.ECDSA),
    "bp512": (lambda: ec.generate_private_key(ec.BrainpoolP512R1()), _A.ECDSA, _A.ECDSA),
    "rsa1024": (lambda: _rsa(1024), _A.RSA, _A.RSA),
    "rsa2048": (lambda: _rsa(2048), _A.RSA, _A.RSA),
    "rsa3072": (lambda: _rsa(3072), _A.RSA, _A.RSA),
    "rsa4096": (lambda: _rsa(4096), _A.RSA, _A.RSA),
    "cv25519": (x25519.X25519PrivateKey.generate, _A.ECDH, _A.X25519),
    "x448": (x448.X448PrivateKey.generate, _A.X448, _A.X448),
}
_KINDS |= {f"{curve}-ecdh": (_KINDS[curve][0], _A.ECDH, _A.ECDH) for curve in CURVES}


@cache
def _rsa(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, bits)


@dataclass(frozen=True)
class Key:
    """A component key."""

    public: PublicKey
    private: PrivateKey

    @property
    def fingerprint(self) -> str:
        return self.public.fingerprint


def key(kind: str = "ed25519", *, at: datetime = MADE, version: int = 4) -> Key:
    make, *algorithms = _KINDS[kind]
    private = make()
    return Key(read_public_key(public_key_body(private.public_key(), algorithms[version == 6], at, version)), private)


def flags(value: int) -> bytes:
    return write_subpacket(Kind.KEY_FLAGS, bytes((value,)))


def expires(after: timedelta) -> bytes:
    """Of a key, after its creation."""
    return write_subpacket(Kind.KEY_EXPIRES, seconds(int(after.total_seconds())))


def reason(code: int, text: str = "") -> bytes:
    return write_subpacket(Kind.REVOCATION_REASON, bytes((code,)) + text.encode())


PRIMARY = write_subpacket(Kind.PRIMARY_USER_ID, b"\1")


def signature(
    by: Key,
    kind: SignatureType,
    hashed,
    *says: bytes,
    at: datetime = MADE,
    digest=HashId.SHA256,
    old: bool = False,
) -> bytes:
    """A packet. `old`: of version 4 with a key ID instead of a fingerprint; also by a digest that nobody is to use."""
    row = HASHES[digest]
    if not (old or row.weak):
        return sign(by.private, by.public, kind, hashed, at=at, subpackets=says, digest=digest)
    area = write_subpacket(Kind.CREATED, seconds(int(at.timestamp()))) + b"".join(says)
    head = bytes((4, kind, by.public.algorithm, digest)) + len(area).to_bytes(2, "big") + area
    value = digest_of(row, b"", hashed, head)
    issuer = write_subpacket(Kind.ISSUER, bytes.fromhex(by.public.key_id))
    unhashed = len(issuer).to_bytes(2, "big") + issuer
    return write_packet(Tag.SIGNATURE, head + unhashed + value[:2] + _material(by.private, by.public, value, row))


def body(packet: bytes) -> bytes:
    return read_packet(memoryview(packet), 0).octets


def certify(primary: Key, text: str | bytes, *says: bytes, by: Key | None = None, kind=SignatureType.POSITIVE, **more):
    """A signature over a user ID."""
    by = by or primary
    octets = text if isinstance(text, bytes) else text.encode()
    return signature(by, kind, over_user_id(by.public.version, primary.public, octets), *says, **more)


def revoke_user_id(primary: Key, text: str, *says: bytes, by: Key | None = None, **more):
    return certify(primary, text, *says, by=by, kind=SignatureType.CERTIFICATION_REVOCATION, **more)


def user_id(primary: Key, text: str | bytes, *says: bytes, **more) -> bytes:
    """A user ID with its self-signature."""
    says = says or (flags(CERTIFY_SIGN),)
    return user_id_packet(text) + certify(primary, text, *says, **more)


def user_id_packet(text: str | bytes) -> bytes:
    return write_packet(Tag.USER_ID, text if isinstance(text, bytes) else text.encode())


def direct(primary: Key, *says: bytes, **more) -> bytes:
    hashed = over_keys(primary.public.version, primary.public)
    return signature(primary, SignatureType.DIRECT_KEY, hashed, *says, **more)


def revoke(primary: Key, *says: bytes, by: Key | None = None, **more) -> bytes:
    hashed = over_keys(primary.public.version, primary.public)
    return signature(by or primary, SignatureType.KEY_REVOCATION, hashed, *says, **more)


def bind(primary: Key, sub: Key, *says: bytes, by: Key | None = None, back: bytes | None = None, **more) -> bytes:
    """A subkey binding; `back` is the packet of a back signature."""
    if back is not None:
        says = (*says, write_subpacket(Kind.EMBEDDED, body(back)))
    hashed = over_keys(primary.public.version, primary.public, sub.public)
    return signature(by or primary, SignatureType.SUBKEY_BINDING, hashed, *says, **more)


def back_signature(primary: Key, sub: Key, *says: bytes, **more) -> bytes:
    hashed = over_keys(primary.public.version, primary.public, sub.public)
    return signature(sub, SignatureType.PRIMARY_KEY_BINDING, hashed, *says, **more)


def revoke_subkey(primary: Key, sub: Key, *says: bytes, **more) -> bytes:
    hashed = over_keys(primary.public.version, primary.public, sub.public)
    return signature(primary, SignatureType.SUBKEY_REVOCATION, hashed, *says, **more)


def subkey_packet(sub: Key) -> bytes:
    return write_packet(Tag.PUBLIC_SUBKEY, sub.public.octets)


def subkey(primary: Key, sub: Key, value: int, *says: bytes, **more) -> bytes:
    """A subkey with its binding, and the back signature that one for signing needs."""
    if value & KeyFlags.SIGN and "back" not in more:
        more["back"] = back_signature(primary, sub)
    return subkey_packet(sub) + bind(primary, sub, flags(value), *says, **more)


def certificate(primary: Key, *packets: bytes) -> bytes:
    return write_packet(Tag.PUBLIC_KEY, primary.public.octets) + b"".join(packets)
