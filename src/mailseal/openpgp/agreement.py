"""Keys that wrap session keys, agreed with an ephemeral key: ECDH (RFC 9580 §11.5), X25519 (§5.1.6), X448 (§5.1.7)."""

from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mailseal.openpgp.algorithms import CIPHERS, CV25519, HASHES, KeyAlgorithm
from mailseal.openpgp.errors import malformed, unsupported
from mailseal.openpgp.fields import Fields, write_mpi
from mailseal.openpgp.key import NATIVE_POINT, PublicKey, encoded_point

AgreeingPrivateKey = ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey | x448.X448PrivateKey
AgreeingPublicKey = ec.EllipticCurvePublicKey | x25519.X25519PublicKey | x448.X448PublicKey
_ANONYMOUS = b"Anonymous Sender    "


@dataclass(frozen=True, slots=True)
class _Native:
    """How an algorithm with a key type of its own derives: `info` and hash of HKDF, the sizes of point and key."""

    info: bytes
    hash: hashes.HashAlgorithm
    point_octets: int
    key_octets: int


_NATIVE: dict[int, _Native] = {
    KeyAlgorithm.X25519: _Native(b"OpenPGP X25519", hashes.SHA256(), 32, 16),
    KeyAlgorithm.X448: _Native(b"OpenPGP X448", hashes.SHA512(), 56, 32),
}


def is_native(public: PublicKey) -> bool:
    """Whether the algorithm is X25519 or X448 of RFC 9580, not ECDH."""
    return public.algorithm in _NATIVE


def sent(public: PublicKey, key: AgreeingPublicKey) -> tuple[bytes, bytes]:
    """The field with the ephemeral key, and the key that wraps; raises ValueError for a key of small order."""
    match key:
        case ec.EllipticCurvePublicKey():
            on_curve = ec.generate_private_key(key.curve)
            shared, point = on_curve.exchange(ec.ECDH(), key), encoded_point(on_curve.public_key())
        case x25519.X25519PublicKey():
            ephemeral = x25519.X25519PrivateKey.generate()
            shared, point = ephemeral.exchange(key), ephemeral.public_key().public_bytes_raw()
        case x448.X448PublicKey():
            larger = x448.X448PrivateKey.generate()
            shared, point = larger.exchange(key), larger.public_key().public_bytes_raw()
    if is_native(public):
        return point, _native_key(public, point, shared)
    if public.curve is CV25519:
        point = bytes((NATIVE_POINT,)) + point
    return write_mpi(point), _ecdh_key(public, shared)


def received(public: PublicKey, private: AgreeingPrivateKey, fields: Fields) -> bytes:
    """The key that wraps, by the field with the ephemeral key, which comes next.

    Raises PgpError, and ValueError for what is no point of the curve.
    """
    native = _NATIVE.get(public.algorithm)
    if native is not None:
        point = fields.octets(native.point_octets)
        return _native_key(public, point, _exchange(private, point))
    point = fields.mpi()
    if public.curve is CV25519:
        if len(point) != 33 or point[0] != NATIVE_POINT:
            raise malformed("the ephemeral key is no point of the curve")
        point = point[1:]
    return _ecdh_key(public, _exchange(private, point))


def _exchange(private: AgreeingPrivateKey, point: bytes) -> bytes:
    match private:
        case ec.EllipticCurvePrivateKey():
            return private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(private.curve, point))
        case x25519.X25519PrivateKey():
            return private.exchange(x25519.X25519PublicKey.from_public_bytes(point))
        case x448.X448PrivateKey():
            return private.exchange(x448.X448PublicKey.from_public_bytes(point))


def _native_key(public: PublicKey, point: bytes, shared: bytes) -> bytes:
    row = _NATIVE[public.algorithm]
    recipient = public.octets[-row.point_octets :]
    return HKDF(row.hash, row.key_octets, None, row.info).derive(point + recipient + shared)


def _ecdh_key(public: PublicKey, shared: bytes) -> bytes:
    """RFC 9580 §11.5: one block of a hash over the secret and what it is for."""
    made_by, cipher = (HASHES.get(public.kdf[0]), CIPHERS.get(public.kdf[1])) if public.kdf else (None, None)
    if public.curve is None or public.kdf is None or made_by is None or cipher is None or cipher.make is not AES:
        raise unsupported("the key derivation of the key is not supported")
    oid = public.curve.oid
    use = bytes((len(oid),)) + oid + bytes((KeyAlgorithm.ECDH, 3, 1, *public.kdf)) + _ANONYMOUS
    digest: bytes = made_by.make(b"\0\0\0\1" + shared + use + bytes.fromhex(public.fingerprint)).digest()
    return digest[: cipher.key_octets]
