"""Encrypted data: SEIPD of version 1 with MDC (RFC 9580 §5.13.1), of version 2 with AEAD (§5.13.2), OCB of LibrePGP.

What is decrypted leaves here only when all of it was checked. Data without integrity (§5.7) is never decrypted.
"""

import hashlib
import hmac
import os
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mailseal.mail.base64_lines import WINDOW_OCTETS
from mailseal.mail.message import Octets
from mailseal.openpgp.aead import NAMES, NONCE_OCTETS, TAG_OCTETS, aead
from mailseal.openpgp.algorithms import CIPHERS, CipherId, CipherRow
from mailseal.openpgp.errors import PgpError, malformed, only_pgp_errors, unsupported
from mailseal.openpgp.form import EncryptionForm
from mailseal.openpgp.packet import Packet, Tag, packet_header
from mailseal.openpgp.session_key import SessionKey, new_session_key
from mailseal.policy.reason import ReasonCode

FAILED = "the content could not be decrypted"
MAX_CHUNKS = 1 << 17
"""Of 64 octets, the smallest ones: 8 MiB; of 4 KiB, as Sequoia writes them: 512 MiB."""
WRITTEN_CHUNK = 12
"""Chunks of 256 KiB."""
_MDC_HEADER = b"\xd3\x14"
_SHA1_OCTETS = 20
_MDC_OCTETS = len(_MDC_HEADER) + _SHA1_OCTETS
_SALT_OCTETS = 32
_INDEX_OCTETS = 8
_OLD_KEYS, _NEW_KEYS = frozenset({3, 4, 5}), frozenset({6})
_BY_SEIPD, _BY_OCB = 0xC0 | Tag.SEIPD, 0xC0 | Tag.OCB


def failed() -> PgpError:
    """The one error of decryption, whatever went wrong."""
    return PgpError(ReasonCode.DECRYPTION_FAILED, FAILED)


class EncryptedData(Protocol):
    """The content of an encrypted message."""

    @property
    def integrity(self) -> str:
        """What tells that it is unchanged: "mdc", "aead", "none"."""

    @property
    def algorithm(self) -> str:
        """Like "aes256-ocb"; "" where only the session key tells."""

    @property
    def size(self) -> int:
        """Octets of ciphertext."""

    @property
    def key_versions(self) -> AbstractSet[int]:
        """Of the packets with session keys that may be for it (RFC 9580 §10.3.2.1)."""

    def substitute(self) -> SessionKey:
        """A session key at random, like those that it takes: with a cipher, or without one and of this length."""

    def decrypt(self, session: SessionKey) -> memoryview:
        """The packets inside, all of them checked; raises PgpError."""


@dataclass(frozen=True, slots=True)
class Unprotected:
    """Data without integrity (RFC 9580 §5.7): anybody may have changed it."""

    integrity: str = "none"
    algorithm: str = ""
    size: int = 0
    key_versions: AbstractSet[int] = _OLD_KEYS

    def substitute(self) -> SessionKey:
        """See EncryptedData."""
        return new_session_key(CipherId.AES256, named=True)

    def decrypt(self, _: SessionKey) -> memoryview:
        """Raises PgpError, NO_INTEGRITY."""
        raise PgpError(ReasonCode.NO_INTEGRITY, "the encrypted content is not protected against changes")


@dataclass(frozen=True, slots=True)
class WithMdc:
    """SEIPD of version 1: in CFB mode, a hash of it all inside."""

    data: memoryview = field(repr=False)
    integrity: str = "mdc"
    algorithm: str = ""
    key_versions: AbstractSet[int] = _OLD_KEYS

    @property
    def size(self) -> int:
        """See EncryptedData."""
        return len(self.data)

    def substitute(self) -> SessionKey:
        """See EncryptedData."""
        return new_session_key(CipherId.AES256, named=True)

    @only_pgp_errors
    def decrypt(self, session: SessionKey) -> memoryview:
        """See EncryptedData. The repeated octets at the start are not looked at: they would be an oracle (§5.13.1)."""
        row = CIPHERS[session.cipher or 0]
        plain = memoryview(Cipher(row.make(session.octets), CFB(bytes(row.block_octets))).decryptor().update(self.data))
        start = row.block_octets + 2
        stop = len(plain) - _MDC_OCTETS
        digest = hashlib.sha1(plain[:-_SHA1_OCTETS]).digest()  # noqa: S324 - as RFC 9580 §5.13.1 has it
        good = hmac.compare_digest(_MDC_HEADER + digest, plain[max(stop, 0) :])
        if not good or stop < start:
            raise failed()
        return plain[start:stop]


@dataclass(frozen=True, slots=True)
class InChunks:
    """SEIPD of version 2 and OCB Encrypted Data: chunks with a tag each, and one more for how many they are.

    `head`: what is authenticated with each chunk. `start`: the salt (version 2) or the first nonce (OCB).
    """

    cipher: CipherRow
    mode: int
    chunk_octets: int
    head: bytes
    start: bytes = field(repr=False)
    data: memoryview = field(repr=False)
    integrity: str = "aead"

    @property
    def algorithm(self) -> str:
        """See EncryptedData."""
        return f"{self.cipher.name}-{NAMES[self.mode]}"

    @property
    def size(self) -> int:
        """See EncryptedData."""
        return len(self.data)

    @property
    def key_versions(self) -> AbstractSet[int]:
        """See EncryptedData."""
        return _OLD_KEYS if self.head[0] == _BY_OCB else _NEW_KEYS

    def substitute(self) -> SessionKey:
        """See EncryptedData."""
        return new_session_key(self.cipher.id, named=self.head[0] == _BY_OCB)

    @only_pgp_errors
    def decrypt(self, session: SessionKey) -> memoryview:
        """See EncryptedData."""
        if len(session.octets) != self.cipher.key_octets:
            raise failed()
        key, counter = _derived(self.head, self.start, session.octets, self.mode)
        primitive = aead(self.mode, self.cipher, key)
        step = self.chunk_octets + TAG_OCTETS
        total = len(self.data) - TAG_OCTETS
        count = -(-total // step)
        length = total - count * TAG_OCTETS
        if length < 0 or 0 < total % step < TAG_OCTETS:
            raise failed()  # cut off
        if count > MAX_CHUNKS:
            raise PgpError(ReasonCode.TOO_LARGE, "the encrypted content is in too many chunks")
        plain = memoryview(bytearray(length))
        try:
            for index in range(count):
                chunk = self.data[index * step : min((index + 1) * step, total)]
                at = index * self.chunk_octets
                into = plain[at : at + len(chunk) - TAG_OCTETS]
                primitive.decrypt_into(counter.nonce(index), chunk, counter.head(index), into)
            # Nothing but a tag, over the length of it all: without it, chunks could be missing.
            primitive.decrypt(counter.nonce(count), self.data[total:], counter.last_head(count, length))
        except InvalidTag:
            raise failed() from None
        return plain


@dataclass(frozen=True, slots=True)
class _Counter:
    """Nonces and what is authenticated besides. In OCB Encrypted Data the number of the chunk is in the latter, too."""

    fixed: bytes
    mask: int
    authenticated: bytes

    def nonce(self, index: int) -> bytes:
        return self.fixed + (self.mask ^ index).to_bytes(_INDEX_OCTETS, "big")

    def head(self, index: int) -> bytes:
        if self.authenticated[0] == _BY_SEIPD:
            return self.authenticated
        return self.authenticated + index.to_bytes(_INDEX_OCTETS, "big")

    def last_head(self, count: int, length: int) -> bytes:
        return self.head(count) + length.to_bytes(_INDEX_OCTETS, "big")


def _derived(head: bytes, start: bytes, session_key: bytes, mode: int) -> tuple[bytes, _Counter]:
    """The key of the message, and its nonces (RFC 9580 §5.13.2; draft-koch-librepgp §5.16)."""
    if head[0] == _BY_OCB:
        fixed, counted = start[:-_INDEX_OCTETS], start[-_INDEX_OCTETS:]
        return session_key, _Counter(fixed, int.from_bytes(counted, "big"), head)
    octets = len(session_key)
    derived = HKDF(hashes.SHA256(), octets + NONCE_OCTETS[mode] - _INDEX_OCTETS, start, head).derive(session_key)
    return derived[:octets], _Counter(derived[octets:], 0, head)


def read_encrypted_data(packet: Packet) -> EncryptedData:
    """The packet's content; raises PgpError, UNSUPPORTED_ALGORITHM for versions, ciphers, modes that we do not have."""
    if packet.tag == Tag.SED:
        return Unprotected()
    body = packet.body
    if not body:
        raise malformed("an encrypted packet is empty")
    if packet.tag == Tag.SEIPD and body[0] == 1:
        return WithMdc(body[1:])
    if (packet.tag, body[0]) not in ((Tag.SEIPD, 2), (Tag.OCB, 1)):
        raise unsupported("the version of the encrypted content is not supported")
    head = bytes((0xC0 | packet.tag,)) + bytes(body[:4])
    if len(head) < 5:
        raise malformed("an encrypted packet ends too early")
    _, _, cipher, mode, exponent = head
    row = CIPHERS.get(cipher)
    if row is None or row.block_octets != 16 or mode not in NONCE_OCTETS or exponent > 56:
        raise unsupported("the cipher of the encrypted content is not supported")
    behind = 4 + (_SALT_OCTETS if packet.tag == Tag.SEIPD else NONCE_OCTETS[mode])
    return InChunks(row, mode, 1 << exponent + 6, head, bytes(body[4:behind]), body[behind:])


def encrypted(content: Sequence[Octets], session: SessionKey, form: EncryptionForm) -> Iterator[bytes]:
    """The packet with the content encrypted, piece by piece, so that who writes it on need not hold it."""
    return _with_mdc(content, session) if form.aead is None else _in_chunks(content, session, form.cipher, form.aead)


def _with_mdc(content: Sequence[Octets], session: SessionKey) -> Iterator[bytes]:
    row = CIPHERS[session.cipher or 0]
    encryptor = Cipher(row.make(session.octets), CFB(bytes(row.block_octets))).encryptor()
    digest = hashlib.sha1()  # noqa: S324 - as RFC 9580 §5.13.1 has it
    prefix = os.urandom(row.block_octets)
    prefix += prefix[-2:]
    length = 1 + len(prefix) + sum(map(len, content)) + _MDC_OCTETS
    digest.update(prefix)
    yield packet_header(Tag.SEIPD, length) + b"\1" + encryptor.update(prefix)
    for octets in content:
        view = memoryview(octets)
        for start in range(0, len(view), WINDOW_OCTETS):
            window = view[start : start + WINDOW_OCTETS]
            digest.update(window)
            yield encryptor.update(window)
    digest.update(_MDC_HEADER)
    yield encryptor.update(_MDC_HEADER + digest.digest())


def _in_chunks(content: Sequence[Octets], session: SessionKey, cipher: CipherId, mode: int) -> Iterator[bytes]:
    row, salt = CIPHERS[cipher], os.urandom(_SALT_OCTETS)
    head = bytes((_BY_SEIPD, 2, cipher, mode, WRITTEN_CHUNK))
    key, counter = _derived(head, salt, session.octets, mode)
    primitive = aead(mode, row, key)
    size = 1 << WRITTEN_CHUNK + 6
    total = sum(map(len, content))
    count = -(-total // size)
    length = len(head) - 1 + len(salt) + total + (count + 1) * TAG_OCTETS
    yield packet_header(Tag.SEIPD, length) + head[1:] + salt
    for index, chunk in enumerate(_cut(content, size)):
        yield primitive.encrypt(counter.nonce(index), chunk, counter.head(index))
    yield primitive.encrypt(counter.nonce(count), b"", counter.last_head(count, total))


def _cut(content: Sequence[Octets], size: int) -> Iterator[bytes | memoryview]:
    """The content in pieces of the size, the last one shorter; copied only where it is put together of several."""
    rest = b""
    for octets in content:
        view = memoryview(octets)
        if rest:
            missing = size - len(rest)
            rest += view[:missing]
            view = view[missing:]
            if len(rest) < size:
                continue
            yield rest
            rest = b""
        whole = len(view) - len(view) % size
        for start in range(0, whole, size):
            yield view[start : start + size]
        rest = bytes(view[whole:])
    if rest:
        yield rest
