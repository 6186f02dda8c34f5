"""Public keys (RFC 9580 §5.5.2): the component keys of a certificate, read and written, their fingerprints and key IDs.

A key by an algorithm that we do not have is read, too: `key` is None, and everything else is a fact about it.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x448, x25519
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailseal.openpgp.algorithms import (
    CIPHERS,
    CURVES,
    CURVES_BY_NAME,
    CV25519,
    ED25519_LEGACY,
    HASHES,
    Curve,
    KeyAlgorithm,
)
from mailseal.openpgp.errors import malformed, unsupported
from mailseal.openpgp.fields import Fields, write_mpi

MAX_KEY_OCTETS = 16_384
"""Of one key packet; RSA with 16,384 bits needs 2,100 for the public key, 9,500 for the secret one."""
MIN_RSA_BITS, MAX_RSA_BITS = 1024, 16_384
MAX_EXPONENT_BITS = 64
"""A huge exponent makes every use of the key slow."""
NATIVE_POINT = 0x40
"""The octet before a point of Curve25519 or Ed25519 in the older form (RFC 9580 §11.2)."""
FINGERPRINT_OCTETS = {4: 20, 6: 32}
"""By the version of the key."""

AnyPublicKey = (
    rsa.RSAPublicKey
    | ec.EllipticCurvePublicKey
    | ed25519.Ed25519PublicKey
    | ed448.Ed448PublicKey
    | x25519.X25519PublicKey
    | x448.X448PublicKey
)
_RSA = frozenset({KeyAlgorithm.RSA, KeyAlgorithm.RSA_ENCRYPT_ONLY, KeyAlgorithm.RSA_SIGN_ONLY})
_ENCRYPTING = frozenset(
    {KeyAlgorithm.RSA, KeyAlgorithm.RSA_ENCRYPT_ONLY, KeyAlgorithm.ECDH, KeyAlgorithm.X25519, KeyAlgorithm.X448}
)
_SIGNING = frozenset(
    {
        KeyAlgorithm.RSA,
        KeyAlgorithm.RSA_SIGN_ONLY,
        KeyAlgorithm.ECDSA,
        KeyAlgorithm.EDDSA_LEGACY,
        KeyAlgorithm.ED25519,
        KeyAlgorithm.ED448,
    }
)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One component key. `fingerprint` is 40 (version 4) or 64 (version 6), `key_id` 16 lower-case hex digits.

    `algorithm` is a KeyAlgorithm or a number that we do not know; `name` is like "rsa3072", "cv25519", "nistp256".
    `octets` is the body of the packet, `kdf` what ECDH derives its key by: numbers of a hash and of a cipher.
    """

    version: int
    algorithm: int
    created: datetime
    fingerprint: str
    key_id: str
    name: str
    octets: bytes = field(repr=False)
    key: AnyPublicKey | None = field(repr=False, compare=False)
    curve: Curve | None = field(default=None, repr=False, compare=False)
    kdf: tuple[int, int] | None = field(default=None, repr=False, compare=False)

    @property
    def hashed(self) -> bytes:
        """What a signature hashes of the key (RFC 9580 §5.2.4), and of what the fingerprint is one."""
        return hashed_key(self.version, self.octets)

    @property
    def can_encrypt(self) -> bool:
        """Whether the algorithm encrypts, and we can do it."""
        return self.key is not None and self.algorithm in _ENCRYPTING

    @property
    def can_sign(self) -> bool:
        """Whether the algorithm signs, and we can do it."""
        return self.key is not None and self.algorithm in _SIGNING

    @property
    def spki_sha256(self) -> str:
        """The name under which the private key is kept (`keys.software`); "" for a key that we cannot use."""
        if self.key is None:
            return ""
        return hashlib.sha256(self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def hashed_key(version: int, body: bytes) -> bytes:
    """A key's body behind the octet and the length by which it is hashed (RFC 9580 §5.2.4, §5.5.4)."""
    if version == 6:
        return b"\x9b" + len(body).to_bytes(4, "big") + body
    return b"\x99" + len(body).to_bytes(2, "big") + body


def fingerprint_of(version: int, body: bytes) -> str:
    """RFC 9580 §5.5.4.2, §5.5.4.3."""
    make = hashlib.sha256 if version == 6 else hashlib.sha1
    return make(hashed_key(version, body)).hexdigest()


def key_id_of(version: int, fingerprint: str) -> str:
    """RFC 9580 §5.5.4.2, §5.5.4.3."""
    return fingerprint[:16] if version == 6 else fingerprint[-16:]


def read_public_key(body: bytes | memoryview) -> PublicKey:
    """The body of a public-key or public-subkey packet; raises PgpError, UNSUPPORTED_ALGORITHM for other versions."""
    if len(body) > MAX_KEY_OCTETS:
        raise malformed("a key is too large")
    fields = Fields(body)
    public = _read(fields, secret_follows=False)
    fields.done()
    return public


def read_public_fields(fields: Fields) -> PublicKey:
    """What `read_public_key` reads, from the front of a secret key's fields; they stay behind it.

    Raises UNSUPPORTED_ALGORITHM, too, where nobody but who knows the algorithm can tell where the secret begins.
    """
    return _read(fields, secret_follows=True)


def _read(fields: Fields, *, secret_follows: bool) -> PublicKey:
    start = fields.at
    version = fields.number()
    if version not in FINGERPRINT_OCTETS:
        raise unsupported(f"a key of version {version} is not supported")
    created = datetime.fromtimestamp(fields.number(4), UTC)
    algorithm = fields.number()
    if secret_follows and version != 6 and algorithm not in _READERS:
        raise unsupported("a secret key by an algorithm that is not supported")
    material = Fields(fields.sized(4)) if version == 6 else fields
    found = _READERS.get(algorithm, _unknown(algorithm))(material, version)
    if version == 6:
        material.done()
    body = fields.since(start)
    fingerprint = fingerprint_of(version, body)
    return PublicKey(
        version=version,
        algorithm=algorithm,
        created=created,
        fingerprint=fingerprint,
        key_id=key_id_of(version, fingerprint),
        name=found.name,
        octets=body,
        key=found.key,
        curve=found.curve,
        kdf=found.kdf,
    )


@dataclass(frozen=True, slots=True)
class _Material:
    name: str
    key: AnyPublicKey | None = None
    curve: Curve | None = None
    kdf: tuple[int, int] | None = None


_Reader = Callable[[Fields, int], _Material]


def _rsa(fields: Fields, _: int) -> _Material:
    """RFC 9580 §5.5.5.1."""
    n, e = (int.from_bytes(fields.mpi(), "big") for _ in range(2))
    bits = n.bit_length()
    sound = MIN_RSA_BITS <= bits <= MAX_RSA_BITS and n % 2 and e.bit_length() <= MAX_EXPONENT_BITS
    return _Material(f"rsa{bits}", _loaded(lambda: rsa.RSAPublicNumbers(e, n).public_key()) if sound else None)


def _of_integers(name: str, count: int) -> _Reader:
    """DSA and ElGamal (RFC 9580 §5.5.5.2, §5.5.5.3): the first integer is the modulus."""

    def read(fields: Fields, _: int) -> _Material:
        modulus, *_rest = [fields.mpi() for _ in range(count)]
        return _Material(f"{name}{8 * len(modulus)}")

    return read


def _elliptic(fields: Fields, version: int) -> _Material:
    """ECDSA and EdDSALegacy (RFC 9580 §5.5.5.4, §5.5.5.5)."""
    curve, oid = _curve(fields, version)
    point = fields.mpi()
    if curve is None:
        return _Material(f"curve-{oid.hex()}")
    return _Material(curve.name, _loaded(lambda: _point(curve, point)), curve)


def _ecdh(fields: Fields, version: int) -> _Material:
    """RFC 9580 §5.5.5.6. Without a derivation that we have and that is long enough nothing can be made of the key."""
    found = _elliptic(fields, version)
    parameters = fields.sized()
    if len(parameters) < 3 or parameters[0] != 1:
        return _Material(found.name)
    made_by, cipher = HASHES.get(parameters[1]), CIPHERS.get(parameters[2])
    if made_by is None or made_by.weak or cipher is None or cipher.make is not AES:
        return _Material(found.name)
    if made_by.algorithm.digest_size < cipher.key_octets:
        return _Material(found.name)
    return replace(found, kdf=(made_by.id, cipher.id))


def _x25519(point: bytes) -> x25519.X25519PublicKey:
    """Raises ValueError for a point of small order, to which nobody could encrypt."""
    key = x25519.X25519PublicKey.from_public_bytes(point)
    _PROBE_25519.exchange(key)
    return key


def _x448(point: bytes) -> x448.X448PublicKey:
    """As `_x25519`."""
    key = x448.X448PublicKey.from_public_bytes(point)
    _PROBE_448.exchange(key)
    return key


_PROBE_25519 = x25519.X25519PrivateKey.from_private_bytes(b"\1" * 32)
_PROBE_448 = x448.X448PrivateKey.from_private_bytes(b"\1" * 56)
"""Any will do: what a point of small order gives is always zero."""


def _raw(name: str, octets: int, load: Callable[[bytes], AnyPublicKey]) -> _Reader:
    """RFC 9580 §5.5.5.7 to §5.5.5.10."""

    def read(fields: Fields, _: int) -> _Material:
        point = fields.octets(octets)
        return _Material(name, _loaded(lambda: load(point)))

    return read


def _unknown(algorithm: int) -> _Reader:
    def read(fields: Fields, _: int) -> _Material:
        fields.rest()
        return _Material(f"algorithm{algorithm}")

    return read


_READERS: dict[int, _Reader] = {
    KeyAlgorithm.RSA: _rsa,
    KeyAlgorithm.RSA_ENCRYPT_ONLY: _rsa,
    KeyAlgorithm.RSA_SIGN_ONLY: _rsa,
    KeyAlgorithm.ELGAMAL: _of_integers("elgamal", 3),
    KeyAlgorithm.DSA: _of_integers("dsa", 4),
    KeyAlgorithm.ECDH: _ecdh,
    KeyAlgorithm.ECDSA: _elliptic,
    KeyAlgorithm.EDDSA_LEGACY: _elliptic,
    KeyAlgorithm.X25519: _raw("x25519", 32, _x25519),
    KeyAlgorithm.X448: _raw("x448", 56, _x448),
    KeyAlgorithm.ED25519: _raw("ed25519", 32, ed25519.Ed25519PublicKey.from_public_bytes),
    KeyAlgorithm.ED448: _raw("ed448", 57, ed448.Ed448PublicKey.from_public_bytes),
}


def _curve(fields: Fields, version: int) -> tuple[Curve | None, bytes]:
    oid = fields.sized()
    curve = CURVES.get(oid)
    if version == 6 and curve in (CV25519, ED25519_LEGACY):
        raise malformed("a key of version 6 is on a curve of the older form")  # RFC 9580 §5.5.5.5, §5.5.5.6
    return curve, oid


def _loaded(load: Callable[[], AnyPublicKey]) -> AnyPublicKey | None:
    try:
        return load()
    except (ValueError, UnsupportedAlgorithm):
        return None  # no point of the curve, or of small order, an even modulus: nothing can be made of the key


def _point(curve: Curve, point: bytes) -> AnyPublicKey:
    if curve.curve is not None:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve.curve, point)
    if len(point) != 33 or point[0] != NATIVE_POINT:
        raise ValueError
    if curve is CV25519:
        return _x25519(point[1:])
    return ed25519.Ed25519PublicKey.from_public_bytes(point[1:])


def public_key_body(key: AnyPublicKey, algorithm: KeyAlgorithm, created: datetime, version: int = 4) -> bytes:
    """The body of a packet with the key; raises PgpError when algorithm or version cannot have such a key."""
    material = _written(key, algorithm, version)
    head = bytes((version,)) + int(created.timestamp()).to_bytes(4, "big") + bytes((algorithm,))
    return head + (len(material).to_bytes(4, "big") if version == 6 else b"") + material


def _written(key: AnyPublicKey, algorithm: KeyAlgorithm, version: int) -> bytes:
    if isinstance(key, rsa.RSAPublicKey) and algorithm in _RSA:
        numbers = key.public_numbers()
        return write_mpi(numbers.n) + write_mpi(numbers.e)
    if isinstance(key, ec.EllipticCurvePublicKey) and algorithm in (KeyAlgorithm.ECDH, KeyAlgorithm.ECDSA):
        curve = CURVES_BY_NAME.get(key.curve.name)
        if curve is not None:
            return _written_point(curve, algorithm, encoded_point(key))
    if version == 4 and isinstance(key, x25519.X25519PublicKey) and algorithm == KeyAlgorithm.ECDH:
        return _written_point(CV25519, algorithm, encoded_point(key))
    if version == 4 and isinstance(key, ed25519.Ed25519PublicKey) and algorithm == KeyAlgorithm.EDDSA_LEGACY:
        return _written_point(ED25519_LEGACY, algorithm, bytes((NATIVE_POINT,)) + key.public_bytes_raw())
    for kind, native in _NATIVE:
        if isinstance(key, kind) and algorithm == native:
            return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    raise unsupported("a key like this cannot be written for this algorithm")


_NATIVE = (
    (x25519.X25519PublicKey, KeyAlgorithm.X25519),
    (x448.X448PublicKey, KeyAlgorithm.X448),
    (ed25519.Ed25519PublicKey, KeyAlgorithm.ED25519),
    (ed448.Ed448PublicKey, KeyAlgorithm.ED448),
)


def encoded_point(key: ec.EllipticCurvePublicKey | x25519.X25519PublicKey) -> bytes:
    """A point as the fields of ECDH and ECDSA have it (RFC 9580 §11.2)."""
    if isinstance(key, x25519.X25519PublicKey):
        return bytes((NATIVE_POINT,)) + key.public_bytes_raw()
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _written_point(curve: Curve, algorithm: KeyAlgorithm, point: bytes) -> bytes:
    octets = bytes((len(curve.oid),)) + curve.oid + write_mpi(point)
    return octets + bytes((3, 1, *curve.kdf)) if algorithm == KeyAlgorithm.ECDH else octets
