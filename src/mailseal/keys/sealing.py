"""Secrets at rest under the key-encryption key (AES-256-GCM, NIST SP 800-38D; key wrapping by AEAD, RFC 5116).

A sealed value carries its version, the identity of the KEK and the nonce. The associated data binds it to its row, so
that a value copied into another row does not open there.
"""

import base64
import binascii
import hashlib
import os
import secrets
import stat
from collections.abc import Sequence
from hmac import compare_digest
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailseal.errors import PermanentError, TransientError

_VERSION: Final = 1
_ID_OCTETS: Final = 8
_NONCE_OCTETS: Final = 12
_TAG_OCTETS: Final = 16
_HEAD_OCTETS: Final = 1 + _ID_OCTETS + _NONCE_OCTETS
_KEY_OCTETS: Final = 32
_FILE_PREFIX: Final = b"mailseal-kek-1:"
_ID_LABEL: Final = b"mailseal kek id 1\0"
_SEAL_LABEL: Final = b"mailseal sealed 1\0"
_MAX_FILE_OCTETS: Final = 4096


class SealError(TransientError):
    """A sealed value cannot be opened now: mail waits until an administrator has put it right."""


class WrongKekError(SealError):
    """The value is sealed with another KEK."""


class BrokenSealError(SealError):
    """The value was changed, cut, or belongs to another row."""


class KekFileError(SealError):
    """The KEK file is missing, readable by others, or not a KEK."""


class KekExistsError(PermanentError):
    """There is a file already; a KEK is never overwritten."""


class Kek:
    """The key-encryption key, 256 bits. Safe to share between threads."""

    __slots__ = ("_cipher", "id")

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_OCTETS:
            raise KekFileError("a KEK has 32 octets")
        self._cipher = AESGCM(key)
        self.id: str = hashlib.sha256(_ID_LABEL + key).digest()[:_ID_OCTETS].hex()

    def __repr__(self) -> str:
        return f"Kek(id={self.id!r})"

    @staticmethod
    def load(path: Path) -> "Kek":
        """Read a KEK file that only its owner (this user or root) can read; raises KekFileError."""
        return Kek(_read_key(path))

    @staticmethod
    def generate(path: Path) -> "Kek":
        """Make a new KEK file with mode 0400; raises KekExistsError or KekFileError."""
        key = secrets.token_bytes(_KEY_OCTETS)
        try:
            _write_new(path, _FILE_PREFIX + base64.b64encode(key) + b"\n")
        except FileExistsError:
            raise KekExistsError(f"{path} exists; a KEK is never overwritten") from None
        except OSError as error:
            raise KekFileError(f"{path} cannot be written: {error.strerror}") from None
        return Kek(key)

    def seal(self, plaintext: bytes, *, identity: bytes) -> bytes:
        """Encrypt for the row that `identity` names (table, primary key, column)."""
        nonce = secrets.token_bytes(_NONCE_OCTETS)
        head = bytes([_VERSION]) + bytes.fromhex(self.id)
        return head + nonce + self._cipher.encrypt(nonce, plaintext, _associated(head, identity))

    def open(self, sealed: bytes, *, identity: bytes) -> bytes:
        """Decrypt; raises WrongKekError or BrokenSealError."""
        sealed = bytes(sealed)
        if len(sealed) < _HEAD_OCTETS + _TAG_OCTETS or sealed[0] != _VERSION:
            raise BrokenSealError("a sealed value is cut off or of an unknown version")
        head, nonce = sealed[: 1 + _ID_OCTETS], sealed[1 + _ID_OCTETS : _HEAD_OCTETS]
        if not compare_digest(head[1:], bytes.fromhex(self.id)):
            raise WrongKekError(f"a value is sealed with KEK {head[1:].hex()}, this is KEK {self.id}")
        try:
            return self._cipher.decrypt(nonce, sealed[_HEAD_OCTETS:], _associated(head, identity))
        except InvalidTag:
            raise BrokenSealError("a sealed value was changed or belongs to another row") from None


class KekRing:
    """Several KEKs: the first seals, each opens what it sealed. Used like a Kek."""

    __slots__ = ("_by_id", "_first", "id")

    def __init__(self, keks: Sequence[Kek]) -> None:
        if not keks:
            raise KekFileError("no KEK is configured")
        self._first = keks[0]
        self._by_id = {kek.id: kek for kek in keks}
        self.id: str = self._first.id

    @staticmethod
    def load(paths: Sequence[Path]) -> "KekRing":
        """Read the KEK files; raises KekFileError."""
        return KekRing([Kek.load(path) for path in paths])

    def seal(self, plaintext: bytes, *, identity: bytes) -> bytes:
        """As of Kek, with the first."""
        return self._first.seal(plaintext, identity=identity)

    def open(self, sealed: bytes, *, identity: bytes) -> bytes:
        """As of Kek, with the one that the value names."""
        return self._by_id.get(sealed_by(sealed), self._first).open(sealed, identity=identity)


def sealed_by(sealed: bytes) -> str:
    """The id of the KEK that a value names, without opening it; raises BrokenSealError."""
    if len(sealed) < _HEAD_OCTETS + _TAG_OCTETS or sealed[0] != _VERSION:
        raise BrokenSealError("a sealed value is cut off or of an unknown version")
    return bytes(sealed[1 : 1 + _ID_OCTETS]).hex()


def _associated(head: bytes, identity: bytes) -> bytes:
    return _SEAL_LABEL + head + identity


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o400)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    # Without this a crash could lose the name of the file, and with it everything sealed since.
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read_key(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise KekFileError(f"the KEK file {path} cannot be opened: {error.strerror}") from None
    try:
        _check_file(path, os.fstat(descriptor))
        content = os.read(descriptor, _MAX_FILE_OCTETS)
    finally:
        os.close(descriptor)
    try:
        key = base64.b64decode(content.removeprefix(_FILE_PREFIX).strip(), validate=True)
    except binascii.Error:
        key = b""
    if not content.startswith(_FILE_PREFIX) or len(key) != _KEY_OCTETS:
        raise KekFileError(f"{path} is not a KEK file")
    return key


def _check_file(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KekFileError(f"the KEK file {path} is not a regular file")
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise KekFileError(f"the KEK file {path} has mode {mode:04o}: others may read it; set it to 0400")
    if status.st_uid not in {os.geteuid(), 0}:
        raise KekFileError(f"the KEK file {path} belongs to user {status.st_uid}, not to this one")
