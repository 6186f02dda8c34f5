"""Private keys as files: PEM (RFC 7468, PKCS#8 or PKCS#1), and the bare Ed25519 seed in base64 that dkimpy makes."""

import base64
import binascii
from collections.abc import Callable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from mailseal.errors import PermanentError
from mailseal.keys import PrivateKey

MAX_OCTETS = 65_536
SEED_OCTETS = 32


class KeyFileError(PermanentError):
    """The file has no private key that could sign. The text never holds any of it."""


def read_key_file(octets: bytes, password: Callable[[], bytes]) -> PrivateKey:
    """The key; `password` is asked for only where there is one. Raises KeyFileError, and what `password` raises."""
    if len(octets) > MAX_OCTETS:
        raise KeyFileError("the file is too large for a private key")
    if b"-----BEGIN" not in octets:
        return _seed(octets)
    key = _load(octets, None) or _load(octets, password())
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise KeyFileError("DKIM has RSA and Ed25519 keys only")
    return key


def _load(octets: bytes, password: bytes | None) -> object | None:
    """None where a password is needed; raises KeyFileError."""
    try:
        return load_pem_private_key(octets, password or None)
    except TypeError:
        if password is None:
            return None
        raise KeyFileError("the file needs a password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError("the private key cannot be read, or the password is wrong") from None


def _seed(octets: bytes) -> PrivateKey:
    try:
        seed = base64.b64decode(b"".join(octets.split()), validate=True)
    except binascii.Error:
        seed = b""
    if len(seed) != SEED_OCTETS:
        raise KeyFileError("the file is neither PEM nor an Ed25519 seed in base64")
    return Ed25519PrivateKey.from_private_bytes(seed)


def write_key_file(key: PrivateKey, password: bytes) -> bytes:
    """PKCS#8 in PEM, under a password."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
