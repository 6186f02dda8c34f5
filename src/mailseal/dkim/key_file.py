"""Private keys as files: PEM (RFC 7468, PKCS#8 or PKCS#1), and the bare Ed25519 seed in base64 that dkimpy makes."""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from mailseal.errors import PermanentError
from mailseal.keys import PrivateKey
from mailseal.keys.password_work import TooMuchWorkError, encrypted_key
from mailseal.keys.software import serialize

MAX_OCTETS = 65_536
SEED_OCTETS = 32
ITERATIONS = 600_000
"""Of PBKDF2; OpenSSL, and so `cryptography`, writes 2,048."""

_SEQUENCE, _OCTETS, _INTEGER, _OID, _NULL = 0x30, 0x04, 0x02, 0x06, b"\x05\x00"
_PBES2: Final = bytes.fromhex("2a864886f70d01050d")
_PBKDF2: Final = bytes.fromhex("2a864886f70d01050c")
_HMAC_SHA256: Final = bytes.fromhex("2a864886f70d0209")
_AES256_CBC: Final = bytes.fromhex("60864801650304012a")


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
        encrypted = encrypted_key(octets)
        if encrypted is None:
            return load_pem_private_key(octets, password or None)
        return None if password is None else load_der_private_key(encrypted, password or None)
    except TypeError:
        if password is None:
            return None
        raise KeyFileError("the file needs a password") from None
    except TooMuchWorkError as error:
        raise KeyFileError(str(error)) from None
    except (ValueError, UnsupportedAlgorithm, InternalError):
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
    """PKCS#8 in PEM, under a password (EncryptedPrivateKeyInfo, RFC 5958 §3; PBES2, RFC 8018 §6.2)."""
    salt, iv = secrets.token_bytes(16), secrets.token_bytes(16)
    padder = PKCS7(128).padder()
    padded = padder.update(serialize(key)) + padder.finalize()
    derived = hashlib.pbkdf2_hmac("sha256", password, salt, ITERATIONS, 32)
    encryptor = Cipher(AES256(derived), CBC(iv)).encryptor()
    sealed = encryptor.update(padded) + encryptor.finalize()
    count = ITERATIONS.to_bytes(4, "big").lstrip(b"\0")
    function = _der(
        _SEQUENCE,
        _der(_OCTETS, salt),
        _der(_INTEGER, count),
        _der(_SEQUENCE, _der(_OID, _HMAC_SHA256), _NULL),
    )
    derivation = _der(_SEQUENCE, _der(_OID, _PBKDF2), function)
    scheme = _der(_SEQUENCE, _der(_OID, _AES256_CBC), _der(_OCTETS, iv))
    algorithm = _der(_SEQUENCE, _der(_OID, _PBES2), _der(_SEQUENCE, derivation, scheme))
    text = base64.encodebytes(_der(_SEQUENCE, algorithm, _der(_OCTETS, sealed)))
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + text + b"-----END ENCRYPTED PRIVATE KEY-----\n"


def _der(tag: int, *parts: bytes) -> bytes:
    """One element of DER (X.690 §8.1)."""
    content = b"".join(parts)
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content
