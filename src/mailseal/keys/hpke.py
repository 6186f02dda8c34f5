"""Values sealed for whoever has a private key, by anybody who has the public one (HPKE, RFC 9180, base mode).

X25519, HKDF-SHA256, AES-256-GCM. Who sealed it is not said: what is opened is a request, never an order.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from mailseal.keys.seal_errors import BrokenSealError

KEY_OCTETS: Final = 32
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class PublicKey:
    """Seals. Safe to share between threads."""

    __slots__ = ("_key", "octets")

    def __init__(self, octets: bytes) -> None:
        """`octets`: the 32 of RFC 7748 §6.1; raises BrokenSealError."""
        try:
            self._key = X25519PublicKey.from_public_bytes(octets)
        except ValueError:
            raise BrokenSealError("a public key for sealing has another length") from None
        self.octets = bytes(octets)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self.octets == other.octets

    def __hash__(self) -> int:
        return hash(self.octets)

    def __repr__(self) -> str:
        return f"PublicKey({self.octets.hex()[:16]}…)"

    def seal(self, plaintext: bytes, *, info: bytes) -> bytes:
        """Encrypt; it opens only with the same `info`. Raises BrokenSealError for a key that seals nothing."""
        try:
            return _SUITE.encrypt(plaintext, self._key, info=info)
        except ValueError:
            raise BrokenSealError("a public key for sealing is none (its shared secret is always zero)") from None


class PrivateKey:
    """Opens. Safe to share between threads."""

    __slots__ = ("_key", "public")

    def __init__(self, octets: bytes) -> None:
        """Raises BrokenSealError for octets that are no key."""
        try:
            self._key = X25519PrivateKey.from_private_bytes(octets)
        except ValueError:
            raise BrokenSealError("a private key for opening has another length") from None
        self.public = PublicKey(self._key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"PrivateKey(public={self.public!r})"

    @staticmethod
    def generate() -> "PrivateKey":
        """A new one."""
        return PrivateKey(X25519PrivateKey.generate().private_bytes_raw())

    @property
    def octets(self) -> bytes:
        """The 32 of the key itself, to be sealed or written to a file at once."""
        return self._key.private_bytes_raw()

    def open(self, sealed: bytes, *, info: bytes) -> bytes:
        """Decrypt; raises BrokenSealError."""
        try:
            return _SUITE.decrypt(bytes(sealed), self._key, info=info)
        except (InvalidTag, ValueError):
            raise BrokenSealError("a value that was sealed for a key here was changed, or is for another") from None
