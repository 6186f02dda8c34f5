"""The signature algorithms: rsa-sha256 (RFC 6376 §3.3.2, RFC 8301) and ed25519-sha256 (RFC 8463). SHA-1 is none."""

import hashlib
from enum import StrEnum

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from mailseal.errors import PermanentError
from mailseal.keys import PrivateKey

MIN_VERIFY_BITS = 1024
MIN_SIGN_BITS = 2048
MAX_BITS = 8192
MAX_EXPONENT_BITS = 64
"""Of an RSA key out of the DNS: a larger one makes each check as dear as a signature."""

PublicKey = RSAPublicKey | Ed25519PublicKey


class Algorithm(StrEnum):
    """As the tag a= names it."""

    RSA_SHA256 = "rsa-sha256"
    ED25519_SHA256 = "ed25519-sha256"

    @property
    def key_type(self) -> str:
        """As the tag k= of a key record names it."""
        return self.value.partition("-")[0]


class KeyUnusableError(PermanentError):
    """The key is not one that signs here, or not one that is believed."""


class BadSignatureError(PermanentError):
    """The signature is not that of the key over the octets."""


def algorithm_of(key: PrivateKey) -> Algorithm:
    """What a private key signs with; raises KeyUnusableError for a kind or a size that never signs."""
    if isinstance(key, Ed25519PrivateKey):
        return Algorithm.ED25519_SHA256
    if not isinstance(key, RSAPrivateKey):
        raise KeyUnusableError("DKIM has RSA and Ed25519 keys only")
    if key.key_size < MIN_SIGN_BITS:
        raise KeyUnusableError(f"an RSA key of {key.key_size} bits is too weak to sign: {MIN_SIGN_BITS} at least")
    return Algorithm.RSA_SHA256


def sign_octets(octets: bytes, key: PrivateKey) -> bytes:
    """The signature; raises KeyUnusableError."""
    algorithm_of(key)
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(hashlib.sha256(octets).digest())
    assert isinstance(key, RSAPrivateKey)
    return key.sign(octets, PKCS1v15(), SHA256())


def verify_octets(octets: bytes, signature: bytes, key: PublicKey) -> None:
    """Raises BadSignatureError."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, hashlib.sha256(octets).digest())
        else:
            key.verify(signature, octets, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        raise BadSignatureError("the signature does not verify") from None


def read_public_key(octets: bytes, key_type: str) -> PublicKey:
    """The key of a record: for RSA a SubjectPublicKeyInfo or a bare RSAPublicKey (§3.6.1); raises KeyUnusableError."""
    try:
        if key_type == "ed25519":
            return Ed25519PublicKey.from_public_bytes(octets)
        key = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyUnusableError("the public key cannot be read") from None
    if not isinstance(key, RSAPublicKey):
        raise KeyUnusableError("the public key is not of the type that its record names")
    if not MIN_VERIFY_BITS <= key.key_size <= MAX_BITS:
        raise KeyUnusableError(f"an RSA key of {key.key_size} bits is not believed")
    if key.public_numbers().e.bit_length() > MAX_EXPONENT_BITS:
        raise KeyUnusableError("the public exponent of the RSA key is too large")
    return key


def public_octets(key: PrivateKey) -> bytes:
    """The public half as the tag p= of a record has it, before base64; raises KeyUnusableError."""
    if isinstance(key, Ed25519PrivateKey):
        return key.public_key().public_bytes_raw()
    if isinstance(key, RSAPrivateKey):
        return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    raise KeyUnusableError("DKIM has RSA and Ed25519 keys only")
