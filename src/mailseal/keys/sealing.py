"""Secrets at rest under the key-encryption key (AES-256-GCM, NIST SP 800-38D; key wrapping by AEAD, RFC 5116).

A sealed value carries its version, the identity of the KEK and the nonce. The associated data binds it to its row, so
that a value copied into another row does not open there.
"""

import hashlib
import secrets
from hmac import compare_digest
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from mailseal.keys.kek_file import KEY_OCTETS, read_key, write_key
from mailseal.keys.seal_errors import (
    BrokenSealError,
    KekExistsError,
    KekFileError,
    KekMissingError,
    SealError,
    WrongKekError,
)

_VERSION: Final = 1
_ID_OCTETS: Final = 8
_NONCE_OCTETS: Final = 12
_TAG_OCTETS: Final = 16
_HEAD_OCTETS: Final = 1 + _ID_OCTETS + _NONCE_OCTETS
_ID_LABEL: Final = b"mailseal kek id 1\0"
_SEAL_LABEL: Final = b"mailseal sealed 1\0"
_DERIVE_LABEL: Final = b"mailseal derived 1\0"


class Kek:
    """The key-encryption key, 256 bits. Safe to share between threads."""

    __slots__ = ("_cipher", "_key", "id")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_OCTETS:
            raise KekFileError("a KEK has 32 octets")
        self._key = key
        self._cipher = AESGCM(key)
        self.id: str = hashlib.sha256(_ID_LABEL + key).digest()[:_ID_OCTETS].hex()

    def __repr__(self) -> str:
        return f"Kek(id={self.id!r})"

    @staticmethod
    def load(path: Path, *, is_credential: bool = False) -> "Kek":
        """Read a KEK file that only its owner (this user or root) can read; raises KekFileError."""
        return Kek(read_key(path, is_credential=is_credential))

    @staticmethod
    def generate(path: Path) -> "Kek":
        """Make a new KEK file with mode 0400; raises KekExistsError or KekFileError."""
        key = secrets.token_bytes(KEY_OCTETS)
        write_key(path, key)
        return Kek(key)

    @staticmethod
    def generate_in(folder: Path) -> tuple["Kek", Path]:
        """Make a new KEK file named after its id; raises KekFileError."""
        key = secrets.token_bytes(KEY_OCTETS)
        kek = Kek(key)
        path = folder / f"{kek.id}.kek"
        write_key(path, key)
        return kek, path

    def derive(self, purpose: bytes) -> bytes:
        """A key of 32 octets for something else than sealing, the same each time (HKDF-Expand, RFC 5869)."""
        return HKDFExpand(SHA256(), KEY_OCTETS, _DERIVE_LABEL + purpose).derive(self._key)

    def seal(self, plaintext: bytes, *, identity: bytes) -> bytes:
        """Encrypt for the row that `identity` names (table, primary key, column)."""
        nonce = secrets.token_bytes(_NONCE_OCTETS)
        head = bytes([_VERSION]) + bytes.fromhex(self.id)
        return head + nonce + self._cipher.encrypt(nonce, plaintext, _associated(head, identity))

    def open(self, sealed: bytes, *, identity: bytes) -> bytes:
        """Decrypt; raises WrongKekError or BrokenSealError."""
        sealed = bytes(sealed)
        name = sealed_by(sealed)
        if not compare_digest(name, self.id):
            raise WrongKekError(f"a value is sealed with KEK {name}, this is KEK {self.id}")
        head, nonce = sealed[: 1 + _ID_OCTETS], sealed[1 + _ID_OCTETS : _HEAD_OCTETS]
        try:
            return self._cipher.decrypt(nonce, sealed[_HEAD_OCTETS:], _associated(head, identity))
        except InvalidTag:
            raise BrokenSealError("a sealed value was changed or belongs to another row") from None


def sealed_by(sealed: bytes) -> str:
    """The id of the KEK that a value names, without opening it; raises BrokenSealError."""
    if len(sealed) < _HEAD_OCTETS + _TAG_OCTETS or sealed[0] != _VERSION:
        raise BrokenSealError("a sealed value is cut off or of an unknown version")
    return bytes(sealed[1 : 1 + _ID_OCTETS]).hex()


def _associated(head: bytes, identity: bytes) -> bytes:
    return _SEAL_LABEL + head + identity


__all__ = [
    "BrokenSealError",
    "Kek",
    "KekExistsError",
    "KekFileError",
    "KekMissingError",
    "SealError",
    "WrongKekError",
    "sealed_by",
]
