"""The algorithms of S/MIME (RFC 8551 §2), one table per job: object identifiers, parameters, what is weak.

Keys of the tables are object identifiers as DER, so that a look-up needs no decoding.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from mailseal.policy.settings import Cipher, Digest, KeyTransport
from mailseal.smime.der import NULL, element, integer, oid, sequence

# Content types: RFC 5652 §4, 5, 6; RFC 5083 §2; RFC 3274 §1.1
DATA = oid("1.2.840.113549.1.7.1")
SIGNED_DATA = oid("1.2.840.113549.1.7.2")
ENVELOPED_DATA = oid("1.2.840.113549.1.7.3")
COMPRESSED_DATA = oid("1.2.840.113549.1.9.16.1.9")
AUTH_ENVELOPED_DATA = oid("1.2.840.113549.1.9.16.1.23")

# Attributes: RFC 5652 §11, RFC 8551 §2.5, RFC 5035 §3, RFC 2634 §5.4
CONTENT_TYPE = oid("1.2.840.113549.1.9.3")
MESSAGE_DIGEST = oid("1.2.840.113549.1.9.4")
SIGNING_TIME = oid("1.2.840.113549.1.9.5")
SMIME_CAPABILITIES = oid("1.2.840.113549.1.9.15")
SIGNING_CERTIFICATE = oid("1.2.840.113549.1.9.16.2.12")
SIGNING_CERTIFICATE_V2 = oid("1.2.840.113549.1.9.16.2.47")

# Keys and signatures: RFC 8017 appendix C, RFC 5758, RFC 8419
RSA_ENCRYPTION = oid("1.2.840.113549.1.1.1")
RSAES_OAEP = oid("1.2.840.113549.1.1.7")
MGF1 = oid("1.2.840.113549.1.1.8")
P_SPECIFIED = oid("1.2.840.113549.1.1.9")
RSASSA_PSS = oid("1.2.840.113549.1.1.10")
EC_PUBLIC_KEY = oid("1.2.840.10045.2.1")
ED25519 = oid("1.3.101.112")
X25519 = oid("1.3.101.110")

ZLIB = oid("1.2.840.113549.1.9.16.3.8")


@dataclass(frozen=True, slots=True)
class DigestRow:
    """A message digest: as an algorithm of `cryptography`, as a hashlib constructor, as DER; `micalg` of RFC 8551."""

    name: str
    algorithm: hashes.HashAlgorithm
    make: Callable[..., Any]
    oid: bytes
    micalg: str
    weak: bool = False

    @property
    def identifier(self) -> bytes:
        """AlgorithmIdentifier without parameters (RFC 5754 §2)."""
        return sequence(self.oid)


_DIGEST_ROWS = (
    DigestRow("sha256", hashes.SHA256(), hashlib.sha256, oid("2.16.840.1.101.3.4.2.1"), "sha-256"),
    DigestRow("sha384", hashes.SHA384(), hashlib.sha384, oid("2.16.840.1.101.3.4.2.2"), "sha-384"),
    DigestRow("sha512", hashes.SHA512(), hashlib.sha512, oid("2.16.840.1.101.3.4.2.3"), "sha-512"),
    DigestRow("sha224", hashes.SHA224(), hashlib.sha224, oid("2.16.840.1.101.3.4.2.4"), "sha-224"),
    DigestRow("sha1", hashes.SHA1(), hashlib.sha1, oid("1.3.14.3.2.26"), "sha-1", weak=True),  # noqa: S303 - old mail
)
DIGESTS = {row.oid: row for row in _DIGEST_ROWS}
DIGESTS_BY_NAME = {row.name: row for row in _DIGEST_ROWS}
SHA1 = DIGESTS_BY_NAME["sha1"]
SHA256 = DIGESTS_BY_NAME["sha256"]
SHA384 = DIGESTS_BY_NAME["sha384"]
SHA512 = DIGESTS_BY_NAME["sha512"]


class Scheme(Enum):
    """The kinds of signature."""

    RSA_PKCS1V15 = auto()
    RSA_PSS = auto()
    ECDSA = auto()
    ED25519 = auto()


SCHEME_NAMES = {
    Scheme.RSA_PKCS1V15: "rsa-pkcs1v15",
    Scheme.RSA_PSS: "rsa-pss",
    Scheme.ECDSA: "ecdsa",
    Scheme.ED25519: "ed25519",
}

# The scheme and the digest; None: the digest of the signer info (or of the parameters) counts.
SIGNATURES: dict[bytes, tuple[Scheme, str | None]] = {
    RSA_ENCRYPTION: (Scheme.RSA_PKCS1V15, None),
    oid("1.2.840.113549.1.1.5"): (Scheme.RSA_PKCS1V15, "sha1"),
    oid("1.3.14.3.2.29"): (Scheme.RSA_PKCS1V15, "sha1"),
    oid("1.2.840.113549.1.1.14"): (Scheme.RSA_PKCS1V15, "sha224"),
    oid("1.2.840.113549.1.1.11"): (Scheme.RSA_PKCS1V15, "sha256"),
    oid("1.2.840.113549.1.1.12"): (Scheme.RSA_PKCS1V15, "sha384"),
    oid("1.2.840.113549.1.1.13"): (Scheme.RSA_PKCS1V15, "sha512"),
    RSASSA_PSS: (Scheme.RSA_PSS, None),
    EC_PUBLIC_KEY: (Scheme.ECDSA, None),
    oid("1.2.840.10045.4.1"): (Scheme.ECDSA, "sha1"),
    oid("1.2.840.10045.4.3.1"): (Scheme.ECDSA, "sha224"),
    oid("1.2.840.10045.4.3.2"): (Scheme.ECDSA, "sha256"),
    oid("1.2.840.10045.4.3.3"): (Scheme.ECDSA, "sha384"),
    oid("1.2.840.10045.4.3.4"): (Scheme.ECDSA, "sha512"),
    ED25519: (Scheme.ED25519, "sha512"),
}


def mask_identifier(row: DigestRow) -> bytes:
    """MGF1 as an AlgorithmIdentifier (RFC 4055 §2.1, which wants NULL behind the digest)."""
    return sequence(MGF1, sequence(row.oid, NULL))


def pss_identifier(row: DigestRow) -> bytes:
    """RSASSA-PSS with a salt as long as the digest (RFC 4055 §3.1)."""
    digest = element(0xA0, sequence(row.oid, NULL))
    salt = element(0xA2, integer(row.algorithm.digest_size))
    return sequence(RSASSA_PSS, sequence(digest, element(0xA1, mask_identifier(row)), salt))


def oaep_identifier(row: DigestRow) -> bytes:
    """RSAES-OAEP with MGF1 and no label (RFC 4055 §4.1); SHA-1 is the default and so not written."""
    if row is SHA1:
        return sequence(RSAES_OAEP, sequence())
    digest = element(0xA0, sequence(row.oid, NULL))
    return sequence(RSAES_OAEP, sequence(digest, element(0xA1, mask_identifier(row))))


@dataclass(frozen=True, slots=True)
class WrittenDigest:
    """A digest we sign with, and the AlgorithmIdentifier of such a signature for each kind of key."""

    row: DigestRow
    rsa: bytes
    pss: bytes
    ecdsa: bytes


def _written(name: str, rsa: str, ecdsa: str) -> WrittenDigest:
    row = DIGESTS_BY_NAME[name]
    return WrittenDigest(row, sequence(oid(rsa), NULL), pss_identifier(row), sequence(oid(ecdsa)))


WRITTEN_DIGESTS: dict[Digest, WrittenDigest] = {
    Digest.SHA256: _written("sha256", "1.2.840.113549.1.1.11", "1.2.840.10045.4.3.2"),
    Digest.SHA384: _written("sha384", "1.2.840.113549.1.1.12", "1.2.840.10045.4.3.3"),
    Digest.SHA512: _written("sha512", "1.2.840.113549.1.1.13", "1.2.840.10045.4.3.4"),
}

# AlgorithmIdentifier and padding for the transport of a content key (RFC 3370 §4.2.1, RFC 3560 §3).
WRITTEN_KEY_TRANSPORTS: dict[KeyTransport, tuple[bytes, padding.PKCS1v15 | padding.OAEP]] = {
    KeyTransport.PKCS1V15: (sequence(RSA_ENCRYPTION, NULL), padding.PKCS1v15())
} | {
    transport: (oaep_identifier(row), padding.OAEP(padding.MGF1(row.algorithm), row.algorithm, None))
    for transport, row in (
        (KeyTransport.OAEP_SHA1, SHA1),
        (KeyTransport.OAEP_SHA256, SHA256),
        (KeyTransport.OAEP_SHA384, SHA384),
        (KeyTransport.OAEP_SHA512, SHA512),
    )
}


class Mode(Enum):
    """How a content cipher is used."""

    CBC = auto()
    GCM = auto()
    TRIPLE_DES_CBC = auto()
    RC2_CBC = auto()
    DES_CBC = auto()
    CAST5_CBC = auto()


@dataclass(frozen=True, slots=True)
class CipherRow:
    """A content-encryption algorithm (RFC 3565, RFC 5084, RFC 3370 §5, RFC 2984).

    `weak`: of old mail, read and never written. Where the parameters tell the size, it is here the largest one.
    """

    name: str
    key_octets: int
    mode: Mode
    oid: bytes
    weak: bool = False


_CIPHER_ROWS = (
    CipherRow("aes256-gcm", 32, Mode.GCM, oid("2.16.840.1.101.3.4.1.46")),
    CipherRow("aes192-gcm", 24, Mode.GCM, oid("2.16.840.1.101.3.4.1.26")),
    CipherRow("aes128-gcm", 16, Mode.GCM, oid("2.16.840.1.101.3.4.1.6")),
    CipherRow("aes256-cbc", 32, Mode.CBC, oid("2.16.840.1.101.3.4.1.42")),
    CipherRow("aes192-cbc", 24, Mode.CBC, oid("2.16.840.1.101.3.4.1.22")),
    CipherRow("aes128-cbc", 16, Mode.CBC, oid("2.16.840.1.101.3.4.1.2")),
    CipherRow("3des-cbc", 24, Mode.TRIPLE_DES_CBC, oid("1.2.840.113549.3.7"), weak=True),
    CipherRow("rc2-128-cbc", 16, Mode.RC2_CBC, oid("1.2.840.113549.3.2"), weak=True),
    CipherRow("cast5-cbc", 16, Mode.CAST5_CBC, oid("1.2.840.113533.7.66.10"), weak=True),
    CipherRow("des-cbc", 8, Mode.DES_CBC, oid("1.3.14.3.2.7"), weak=True),
)
CIPHERS = {row.oid: row for row in _CIPHER_ROWS}
CIPHERS_BY_NAME = {row.name: row for row in _CIPHER_ROWS}
WRITTEN_CIPHERS = {cipher: CIPHERS_BY_NAME[cipher.value] for cipher in Cipher}

AES128_WRAP = oid("2.16.840.1.101.3.4.1.5")
AES192_WRAP = oid("2.16.840.1.101.3.4.1.25")
AES256_WRAP = oid("2.16.840.1.101.3.4.1.45")

# Octets of the key-encryption key (RFC 3394, RFC 3565 §2.3.2)
KEY_WRAPS = {AES128_WRAP: 16, AES192_WRAP: 24, AES256_WRAP: 32}
WRAP_BY_OCTETS = {octets: wrap for wrap, octets in KEY_WRAPS.items()}

# Wraps of old mail (RFC 3370 §4.3), and the one for passwords (RFC 3211 §2.3): read, never written.
TRIPLE_DES_WRAP = oid("1.2.840.113549.1.9.16.3.6")
RC2_WRAP = oid("1.2.840.113549.1.9.16.3.7")
PWRI_KEK = oid("1.2.840.113549.1.9.16.3.9")
PBKDF2 = oid("1.2.840.113549.1.5.12")

# Effective bits by the version that RC2's parameters name (RFC 2268 §6).
RC2_BITS = {160: 40, 120: 64, 58: 128}

STD_DH_SHA256_KDF = oid("1.3.132.1.11.1")
STD_DH_SHA384_KDF = oid("1.3.132.1.11.2")
STD_DH_SHA512_KDF = oid("1.3.132.1.11.3")

# HKDF for X25519 (RFC 8418 §2.2), by its digest.
STD_DH_HKDF_SHA256 = oid("1.2.840.113549.1.9.16.3.19")
HKDF_AGREEMENTS: dict[bytes, hashes.HashAlgorithm] = {
    STD_DH_HKDF_SHA256: hashes.SHA256(),
    oid("1.2.840.113549.1.9.16.3.20"): hashes.SHA384(),
    oid("1.2.840.113549.1.9.16.3.21"): hashes.SHA512(),
}

# The digest of the X9.63 key derivation (RFC 5753 §7.1.4). The cofactor of the curves we load is 1, so that
# cofactor Diffie-Hellman yields the same as the standard one.
KEY_AGREEMENTS: dict[bytes, hashes.HashAlgorithm] = {
    oid("1.3.133.16.840.63.0.2"): hashes.SHA1(),  # noqa: S303 - only as a key derivation, where SHA-1 holds
    oid("1.3.132.1.11.0"): hashes.SHA224(),
    STD_DH_SHA256_KDF: hashes.SHA256(),
    STD_DH_SHA384_KDF: hashes.SHA384(),
    STD_DH_SHA512_KDF: hashes.SHA512(),
    oid("1.3.133.16.840.63.0.3"): hashes.SHA1(),  # noqa: S303 - same
    oid("1.3.132.1.14.0"): hashes.SHA224(),
    oid("1.3.132.1.14.1"): hashes.SHA256(),
    oid("1.3.132.1.14.2"): hashes.SHA384(),
    oid("1.3.132.1.14.3"): hashes.SHA512(),
}
