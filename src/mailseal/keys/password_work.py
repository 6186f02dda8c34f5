"""What it costs to load a private key in PEM (EncryptedPrivateKeyInfo, RFC 5958 §3; PBES2, RFC 8018): bounded.

A file says itself how often its password is hashed, and with how much memory; and the library computes the public half
of a DSA key, which takes minutes for one of 16 KiB, before anybody can say that it is of no use.
"""

import re
from typing import Final

from asn1crypto import pem
from asn1crypto.keys import EncryptedPrivateKeyInfo

MAX_ITERATIONS: Final = 5_000_000
"""Some seconds, which others wait for."""
MAX_KEY_CHARS: Final = 7000
"""In base64: an RSA key of 8192 bits has 6400."""
_KEYS: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(.*?)(?:-----END|\Z)", re.DOTALL)
_LABEL: Final = "ENCRYPTED PRIVATE KEY"


class TooMuchWorkError(ValueError):
    """The key asks for more than some seconds."""


def encrypted_key(octets: bytes) -> bytes | None:
    """The EncryptedPrivateKeyInfo (DER) of a PEM file that has one, to be read in place of the file; None: it has none.

    Raises TooMuchWorkError for any private key in the file, and ValueError for one that is damaged.
    """
    if any(len(found) > MAX_KEY_CHARS for found in _KEYS.findall(octets)):
        raise TooMuchWorkError("the private key is too large")
    if _LABEL.encode() not in octets:
        return None
    found = next((bytes(der) for label, _, der in pem.unarmor(octets, multiple=True) if label == _LABEL), b"")
    algorithm = EncryptedPrivateKeyInfo.load(found, strict=True)["encryption_algorithm"]
    if algorithm["algorithm"].native == "pbes2" and algorithm.kdf != "pbkdf2":
        raise TooMuchWorkError("the private key is under a password by a function other than PBKDF2")
    if not 1 <= algorithm.kdf_iterations <= MAX_ITERATIONS:
        raise TooMuchWorkError("the private key asks for more key derivation than is allowed")
    return found
