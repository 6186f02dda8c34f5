"""The own key of a stored mail: its pieces, each by AES-256-GCM, in their order and number (STREAM, Hoang et al. 2015).

The nonce is the number of the piece and whether it is the last, so a key is for one mail and seals no piece twice
otherwise. A piece of another mail, in another place, or the last of a mail that was cut, does not open.
"""

import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailseal.keys.seal_errors import BrokenSealError

KEY_OCTETS: Final = 32
_LABEL: Final = b"mailseal stored mail 1\0"
_NUMBER_OCTETS: Final = 11


class MessageKey:
    """`identity` names the mail."""

    __slots__ = ("_cipher", "_identity", "octets")

    def __init__(self, octets: bytes, identity: bytes) -> None:
        if len(octets) != KEY_OCTETS:
            raise BrokenSealError("the key of a stored mail has another length")
        self.octets = octets
        self._identity = identity
        self._cipher = AESGCM(octets)

    def __repr__(self) -> str:
        return "MessageKey()"

    @staticmethod
    def generate(identity: bytes) -> "MessageKey":
        """A new one."""
        return MessageKey(secrets.token_bytes(KEY_OCTETS), identity)

    def seal(self, piece: bytes, number: int, *, last: bool) -> bytes:
        """Encrypt a piece."""
        nonce = _nonce(number, last=last)
        return self._cipher.encrypt(nonce, piece, _LABEL + self._identity + nonce)

    def open(self, sealed: bytes, number: int, *, last: bool) -> bytes:
        """Decrypt a piece; raises BrokenSealError."""
        nonce = _nonce(number, last=last)
        try:
            return self._cipher.decrypt(nonce, sealed, _LABEL + self._identity + nonce)
        except InvalidTag:
            raise BrokenSealError("a piece of a stored mail was changed or belongs somewhere else") from None


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(_NUMBER_OCTETS, "big") + bytes([last])
