"""The web role's own key: a file of one line, from which everything that the web keeps secret derives (HKDF, RFC 5869).

It opens what the worker answers (HPKE). It opens no mail and no key of mail.
"""

import base64
import binascii
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from mailseal.errors import PermanentError
from mailseal.keys.hpke import KEY_OCTETS, PrivateKey
from mailseal.keys.seal_errors import BrokenSealError

_PREFIX: Final = b"mailseal-web-key-1:"
_MAX_OCTETS: Final = 4096
MODE: Final = 0o440
_FOR_OTHERS: Final = 0o037
_VERSION: Final = b"\x01"
_NONCE_OCTETS: Final = 12
_LABEL: Final = b"mailseal web key 1\0"


class WebKeyError(PermanentError):
    """The file cannot be used. The text never holds any of it; `what_to_do` is for the administrator."""

    def __init__(self, text: str, what_to_do: str) -> None:
        super().__init__(f"{text}; {what_to_do}")
        self.text = text
        self.what_to_do = what_to_do


class WebKeyMissingError(WebKeyError):
    """There is no such file."""


class WebKey:
    """Safe to share between threads."""

    __slots__ = ("_root", "opens")

    def __init__(self, octets: bytes) -> None:
        """`octets`: 32, as they stand in the file."""
        self._root = octets
        self.opens = PrivateKey(self.derive(b"hpke"))

    def __repr__(self) -> str:
        return f"WebKey(public={self.opens.public!r})"

    def derive(self, purpose: bytes) -> bytes:
        """32 octets for a purpose, the same each time."""
        return HKDFExpand(SHA256(), KEY_OCTETS, _LABEL + purpose).derive(self._root)

    def seal(self, plaintext: bytes, *, identity: bytes) -> bytes:
        """Encrypt what the web alone reads again, for the row that `identity` names (AES-256-GCM)."""
        nonce = secrets.token_bytes(_NONCE_OCTETS)
        return _VERSION + nonce + self._cipher().encrypt(nonce, plaintext, _LABEL + identity)

    def open(self, sealed: bytes, *, identity: bytes) -> bytes:
        """Decrypt; raises BrokenSealError."""
        nonce, rest = sealed[1 : 1 + _NONCE_OCTETS], sealed[1 + _NONCE_OCTETS :]
        if sealed[:1] != _VERSION or len(nonce) != _NONCE_OCTETS:
            raise BrokenSealError("a value that the web sealed is cut off or of an unknown version")
        try:
            return self._cipher().decrypt(nonce, rest, _LABEL + identity)
        except InvalidTag:
            raise BrokenSealError("a value that the web sealed was changed, or sealed with another web key") from None

    def _cipher(self) -> AESGCM:
        return AESGCM(self.derive(b"seal"))


def read_web_key(path: Path) -> WebKey:
    """The key in a file that its owner and one group at most can read; raises WebKeyMissingError, WebKeyError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise WebKeyMissingError(
            f"there is no web key {path}", "`mailseal init` makes it; on a further node copy it from the first"
        ) from None
    except OSError as error:
        raise WebKeyError(
            f"{path} cannot be opened: {error.strerror}", "the user of the web role has to read it"
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise WebKeyError(f"{path} is not a regular file", "put the web key there")
        if found.st_mode & _FOR_OTHERS:
            raise WebKeyError(f"{path} has mode {stat.S_IMODE(found.st_mode):04o}", f"chmod 0440 {path}")
        content = file.read(_MAX_OCTETS)
    try:
        key = base64.b64decode(content.removeprefix(_PREFIX).strip(), validate=True)
    except binascii.Error:
        key = b""
    if not content.startswith(_PREFIX) or len(key) != KEY_OCTETS:
        raise WebKeyError(f"{path} is not a web key", "put the right file there, or move this one away")
    return WebKey(key)


def is_web_key(octets: bytes) -> bool:
    """Whether these are the octets of such a file."""
    return octets.startswith(_PREFIX)


def make_web_key(path: Path) -> WebKey:
    """Make the file, mode 0440, whole or not at all; its folder says for which group. Raises WebKeyError."""
    key = secrets.token_bytes(KEY_OCTETS)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o400)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, MODE)  # whatever the umask
            file.write(_PREFIX + base64.b64encode(key) + b"\n")
            file.flush()
            os.fsync(descriptor)
        os.link(aside, path, follow_symlinks=False)
    except OSError as error:
        raise WebKeyError(f"{path} cannot be written: {error.strerror}", "`mailseal init` makes it") from None
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
    return WebKey(key)
