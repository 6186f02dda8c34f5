"""The algorithms of OpenPGP (RFC 9580 §9), one table per job: their numbers, and what reads or writes by them."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from cryptography.hazmat.decrepit.ciphers.algorithms import CAST5, IDEA, Blowfish, Camellia, TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm
from cryptography.hazmat.primitives.ciphers.algorithms import AES


class KeyAlgorithm(IntEnum):
    """Public-key algorithms (RFC 9580 §9.1)."""

    RSA = 1
    RSA_ENCRYPT_ONLY = 2
    RSA_SIGN_ONLY = 3
    ELGAMAL = 16
    DSA = 17
    ECDH = 18
    ECDSA = 19
    EDDSA_LEGACY = 22
    X25519 = 25
    X448 = 26
    ED25519 = 27
    ED448 = 28


class CipherId(IntEnum):
    """Symmetric ciphers (RFC 9580 §9.3)."""

    IDEA = 1
    TRIPLE_DES = 2
    CAST5 = 3
    BLOWFISH = 4
    AES128 = 7
    AES192 = 8
    AES256 = 9
    TWOFISH = 10
    CAMELLIA128 = 11
    CAMELLIA192 = 12
    CAMELLIA256 = 13


class AeadId(IntEnum):
    """Modes of authenticated encryption (RFC 9580 §9.6)."""

    EAX = 1
    OCB = 2
    GCM = 3


class HashId(IntEnum):
    """Message digests (RFC 9580 §9.5)."""

    MD5 = 1
    SHA1 = 2
    RIPEMD160 = 3
    SHA256 = 8
    SHA384 = 9
    SHA512 = 10
    SHA224 = 11
    SHA3_256 = 12
    SHA3_512 = 14


class CompressionId(IntEnum):
    """Compression (RFC 9580 §9.4)."""

    UNCOMPRESSED = 0
    ZIP = 1
    ZLIB = 2
    BZIP2 = 3


@dataclass(frozen=True, slots=True)
class CipherRow:
    """A symmetric cipher. `weak`: of old mail, read and never written."""

    id: CipherId
    name: str
    key_octets: int
    block_octets: int
    make: Callable[[bytes], BlockCipherAlgorithm]
    weak: bool = False


_CIPHER_ROWS = (
    CipherRow(CipherId.AES128, "aes128", 16, 16, AES),
    CipherRow(CipherId.AES192, "aes192", 24, 16, AES),
    CipherRow(CipherId.AES256, "aes256", 32, 16, AES),
    CipherRow(CipherId.CAMELLIA128, "camellia128", 16, 16, Camellia, weak=True),
    CipherRow(CipherId.CAMELLIA192, "camellia192", 24, 16, Camellia, weak=True),
    CipherRow(CipherId.CAMELLIA256, "camellia256", 32, 16, Camellia, weak=True),
    CipherRow(CipherId.TRIPLE_DES, "3des", 24, 8, TripleDES, weak=True),
    CipherRow(CipherId.CAST5, "cast5", 16, 8, CAST5, weak=True),
    CipherRow(CipherId.BLOWFISH, "blowfish", 16, 8, Blowfish, weak=True),
    CipherRow(CipherId.IDEA, "idea", 16, 8, IDEA, weak=True),
)
CIPHERS: dict[int, CipherRow] = {row.id: row for row in _CIPHER_ROWS}
"""No library at hand has Twofish."""


@dataclass(frozen=True, slots=True)
class HashRow:
    """A message digest: as an algorithm of `cryptography`, as a hashlib constructor.

    `weak`: a signature by it counts for nothing (RFC 9580 §9.5).
    """

    id: HashId
    name: str
    algorithm: hashes.HashAlgorithm
    make: Callable[..., Any]
    weak: bool = False


_HASH_ROWS = (
    HashRow(HashId.SHA256, "sha256", hashes.SHA256(), hashlib.sha256),
    HashRow(HashId.SHA384, "sha384", hashes.SHA384(), hashlib.sha384),
    HashRow(HashId.SHA512, "sha512", hashes.SHA512(), hashlib.sha512),
    HashRow(HashId.SHA224, "sha224", hashes.SHA224(), hashlib.sha224),
    HashRow(HashId.SHA3_256, "sha3-256", hashes.SHA3_256(), hashlib.sha3_256),
    HashRow(HashId.SHA3_512, "sha3-512", hashes.SHA3_512(), hashlib.sha3_512),
    HashRow(HashId.SHA1, "sha1", hashes.SHA1(), hashlib.sha1, weak=True),  # noqa: S303 - fingerprints, old mail
    HashRow(HashId.MD5, "md5", hashes.MD5(), hashlib.md5, weak=True),  # noqa: S303 - passwords of old keys
)
HASHES: dict[int, HashRow] = {row.id: row for row in _HASH_ROWS}


@dataclass(frozen=True, slots=True)
class Curve:
    """An elliptic curve by its object identifier (RFC 9580 §9.2); `kdf` is for ECDH (§11.5.1).

    `curve` is None for the two that `cryptography` has as key types of their own.
    """

    name: str
    oid: bytes
    kdf: tuple[HashId, CipherId]
    curve: ec.EllipticCurve | None = None


_AES128_KDF = (HashId.SHA256, CipherId.AES128)
_AES192_KDF = (HashId.SHA384, CipherId.AES192)
_AES256_KDF = (HashId.SHA512, CipherId.AES256)
CV25519 = Curve("cv25519", bytes.fromhex("2b060104019755010501"), _AES128_KDF)
ED25519_LEGACY = Curve("ed25519", bytes.fromhex("2b06010401da470f01"), _AES128_KDF)
_CURVE_ROWS = (
    Curve("nistp256", bytes.fromhex("2a8648ce3d030107"), _AES128_KDF, ec.SECP256R1()),
    Curve("nistp384", bytes.fromhex("2b81040022"), _AES192_KDF, ec.SECP384R1()),
    Curve("nistp521", bytes.fromhex("2b81040023"), _AES256_KDF, ec.SECP521R1()),
    Curve("brainpoolP256r1", bytes.fromhex("2b2403030208010107"), _AES128_KDF, ec.BrainpoolP256R1()),
    Curve("brainpoolP384r1", bytes.fromhex("2b240303020801010b"), _AES192_KDF, ec.BrainpoolP384R1()),
    Curve("brainpoolP512r1", bytes.fromhex("2b240303020801010d"), _AES256_KDF, ec.BrainpoolP512R1()),
    CV25519,
    ED25519_LEGACY,
)
CURVES = {row.oid: row for row in _CURVE_ROWS}
CURVES_BY_NAME = {row.curve.name: row for row in _CURVE_ROWS if row.curve is not None}
"""By the name that `cryptography` has for the curve."""
