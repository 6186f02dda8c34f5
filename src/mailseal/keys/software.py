"""Private keys in software (PKCS#8, RFC 5958): validated once at import, then loaded without that cost.

Validating an RSA key takes 37 ms (2048 bits) to 261 ms (4096), loading it 0.006 ms. What is loaded on the mail path
comes out of an authenticated, sealed row, so it is what was validated at import.
"""

import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x448, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from mailseal.errors import PermanentError
from mailseal.keys import PrivateKey

MIN_RSA_BITS = 1024
SOUND_RSA_BITS = 2048
MAX_RSA_BITS = 16_384
MAX_KEY_OCTETS = 65_536
CURVES = ("secp256r1", "secp384r1", "secp521r1", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1")
_KEY_TYPES = (
    rsa.RSAPrivateKey,
    ec.EllipticCurvePrivateKey,
    ed25519.Ed25519PrivateKey,
    ed448.Ed448PrivateKey,
    x25519.X25519PrivateKey,
    x448.X448PrivateKey,
)


class PrivateKeyError(PermanentError):
    """The private key cannot be read or may not be used. The text never holds any of it."""


def load_private_key(pkcs8_der: bytes) -> PrivateKey:
    """Load a key that was validated at import; raises PrivateKeyError. Never for octets from outside."""
    return _load(pkcs8_der, skip_validation=True)


def validate_private_key(key: PrivateKey, spki_der: bytes | None = None) -> tuple[str, ...]:
    """Check a key at import in full, and that it is the one of `spki_der`; raises PrivateKeyError.

    Returns warnings: a key too weak to sign or encrypt with may still be needed to read old mail.
    """
    if isinstance(key, rsa.RSAPrivateKey):
        if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            raise PrivateKeyError(
                f"an RSA key of {key.key_size} bits is not accepted: {MIN_RSA_BITS} to {MAX_RSA_BITS}"
            )
    elif isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name not in CURVES:
        raise PrivateKeyError(f"the curve {key.curve.name} is not supported; supported are {', '.join(CURVES)}")
    # Loading without the skip is the full check: primes, consistency, point on the curve.
    checked = _load(serialize(key), skip_validation=False)
    if spki_der is not None and checked.public_key() != _public_key(spki_der):
        raise PrivateKeyError("the private key does not belong to the certificate")
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < SOUND_RSA_BITS:
        return (f"an RSA key of {key.key_size} bits is too weak to use: it will only open old mail",)
    return ()


def serialize(key: PrivateKey) -> bytes:
    """Unencrypted PKCS#8 DER, to be sealed at once."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def public_spki(key: PrivateKey) -> bytes:
    """The public half as SubjectPublicKeyInfo DER, as a certificate has it."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def spki_sha256(key: PrivateKey) -> str:
    """The name under which a private key is kept: SHA-256 (hex) of its SubjectPublicKeyInfo."""
    return hashlib.sha256(public_spki(key)).hexdigest()


def _public_key(spki_der: bytes) -> object:
    # Not compared as octets: the parameters of an RSA key are written in several ways.
    try:
        return load_der_public_key(spki_der)
    except (ValueError, UnsupportedAlgorithm):
        raise PrivateKeyError("the public key of the certificate cannot be read") from None


def _load(pkcs8_der: bytes, *, skip_validation: bool) -> PrivateKey:
    if len(pkcs8_der) > MAX_KEY_OCTETS:
        raise PrivateKeyError("the private key is too large")
    try:
        key = load_der_private_key(pkcs8_der, None, unsafe_skip_rsa_key_validation=skip_validation)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise PrivateKeyError("the private key cannot be read, or it is not consistent") from None
    if not isinstance(key, _KEY_TYPES):
        raise PrivateKeyError("the private key is neither RSA nor on an elliptic curve")
    return key
