"""Authenticated encryption (RFC 9580 §5.13.3 to §5.13.5): OCB, GCM and EAX behind one interface, the tag behind all."""

import hmac
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESOCB3
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.cmac import CMAC

from mailseal.openpgp.algorithms import AeadId, CipherRow
from mailseal.openpgp.errors import unsupported

TAG_OCTETS = 16
NONCE_OCTETS: dict[int, int] = {AeadId.EAX: 16, AeadId.OCB: 15, AeadId.GCM: 12}
NAMES: dict[int, str] = {AeadId.EAX: "eax", AeadId.OCB: "ocb", AeadId.GCM: "gcm"}
_BLOCK_OCTETS = 16

Buffer = bytes | memoryview


class Aead(Protocol):
    """A key in a mode. `decrypt` raises InvalidTag and tells nothing else."""

    def encrypt(self, nonce: bytes, data: Buffer, associated_data: bytes | None, /) -> bytes:
        """The ciphertext with its tag."""

    def decrypt(self, nonce: bytes, data: Buffer, associated_data: bytes | None, /) -> bytes:
        """The plaintext of a ciphertext with its tag."""

    def decrypt_into(self, nonce: bytes, data: Buffer, associated_data: bytes | None, buf: memoryview, /) -> int:
        """The same, put into a buffer of just the plaintext's size."""


def aead(mode: int, cipher: CipherRow, key: bytes) -> Aead:
    """The key in the mode; raises PgpError for a mode or a cipher without it."""
    if cipher.make is not AES or mode not in NONCE_OCTETS:
        raise unsupported("a mode of authenticated encryption is not supported")
    if mode == AeadId.OCB:
        return AESOCB3(key)
    return AESGCM(key) if mode == AeadId.GCM else Eax(key)


class Eax:
    """EAX (Bellare, Rogaway, Wagner 2004) with AES: counter mode, and CMAC over nonce, header and ciphertext."""

    def __init__(self, key: bytes) -> None:
        self._aes = AES(key)

    def encrypt(self, nonce: bytes, data: Buffer, associated_data: bytes | None, /) -> bytes:
        """See Aead."""
        start = self._mac(0, nonce)
        ciphertext = self._counted(start, data)
        return ciphertext + self._tag(start, ciphertext, associated_data or b"")

    def decrypt(self, nonce: bytes, data: Buffer, associated_data: bytes | None, /) -> bytes:
        """See Aead."""
        view = memoryview(data)
        ciphertext, tag = view[:-TAG_OCTETS], view[-TAG_OCTETS:]
        start = self._mac(0, nonce)
        if len(tag) != TAG_OCTETS or not hmac.compare_digest(self._tag(start, ciphertext, associated_data or b""), tag):
            raise InvalidTag
        return self._counted(start, ciphertext)

    def decrypt_into(self, nonce: bytes, data: Buffer, associated_data: bytes | None, buf: memoryview, /) -> int:
        """See Aead."""
        buf[:] = self.decrypt(nonce, data, associated_data)
        return len(buf)

    def _counted(self, start: bytes, data: Buffer) -> bytes:
        return Cipher(self._aes, CTR(start)).encryptor().update(data)

    def _tag(self, start: bytes, ciphertext: Buffer, header: bytes) -> bytes:
        parts = (start, self._mac(1, header), self._mac(2, ciphertext))
        mixed = 0
        for part in parts:
            mixed ^= int.from_bytes(part, "big")
        return mixed.to_bytes(TAG_OCTETS, "big")

    def _mac(self, number: int, octets: Buffer) -> bytes:
        mac = CMAC(self._aes)
        mac.update(number.to_bytes(_BLOCK_OCTETS, "big"))
        mac.update(octets)  # type: ignore[arg-type] # typed for bytes only, takes any buffer
        return mac.finalize()
