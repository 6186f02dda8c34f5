"""OpenPGP messages for tests, made once per process; and what only programs of old write, or hostile ones.

reader("rsa2048"), reader("cv25519")            # a key to encrypt to, with its private key
sealed(CONTENT, "rsa2048", "cv25519")           # a message to them
samples()                                       # one of each kind, by name
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x448, x25519
from cryptography.hazmat.primitives.ciphers import Cipher

from mailseal.openpgp.aead import NONCE_OCTETS, aead
from mailseal.openpgp.algorithms import CIPHERS, AeadId, CipherId, CompressionId, KeyAlgorithm
from mailseal.openpgp.encryption import encrypted
from mailseal.openpgp.form import EncryptionForm, Reader
from mailseal.openpgp.inner import write_compressed, write_literal
from mailseal.openpgp.key import PublicKey, public_key_body, read_public_key
from mailseal.openpgp.message import encrypt_message
from mailseal.openpgp.packet import Tag, write_packet
from mailseal.openpgp.session_key import SessionKey, new_session_key, write_pkesk

CONTENT = b"Content-Type: text/plain\r\n\r\nHello\r\n" * 3
PASSWORD = "open sesame"
MADE = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT = 1_000_000

_CURVES = {
    "nistp256": ec.SECP256R1(),
    "nistp384": ec.SECP384R1(),
    "nistp521": ec.SECP521R1(),
    "brainpoolP256r1": ec.BrainpoolP256R1(),
    "brainpoolP384r1": ec.BrainpoolP384R1(),
    "brainpoolP512r1": ec.BrainpoolP512R1(),
}
_OTHERS = {
    "rsa1024": (lambda: rsa.generate_private_key(65_537, 1024), KeyAlgorithm.RSA),
    "rsa2048": (lambda: rsa.generate_private_key(65_537, 2048), KeyAlgorithm.RSA),
    "cv25519": (x25519.X25519PrivateKey.generate, KeyAlgorithm.ECDH),
    "x25519": (x25519.X25519PrivateKey.generate, KeyAlgorithm.X25519),
    "x448": (x448.X448PrivateKey.generate, KeyAlgorithm.X448),
}
KINDS_V4 = (*_CURVES, *_OTHERS)
KINDS_V6 = tuple(kind for kind in KINDS_V4 if kind != "cv25519")


def new_key(kind: str, version: int = 4):
    """A key to encrypt to, and its private key."""
    if kind in _CURVES:
        private, algorithm = ec.generate_private_key(_CURVES[kind]), KeyAlgorithm.ECDH
    else:
        make, algorithm = _OTHERS[kind]
        private = make()
    return read_public_key(public_key_body(private.public_key(), algorithm, MADE, version)), private


_same = cache(new_key)


def reader(kind: str, version: int = 4):
    """The same key each time."""
    return _same(kind, version)


def sealed(
    content: bytes, *kinds: str, version: int = 4, form: EncryptionForm | None = None, hidden: bool = False
) -> bytes:
    """A message with a literal, to a reader of each kind."""
    return sealed_packets(b"".join(write_literal([content])), *kinds, version=version, form=form, hidden=hidden)


def sealed_packets(
    packets: bytes,
    *kinds: str,
    version: int = 4,
    form: EncryptionForm | None = None,
    hidden: bool = False,
    passwords: Sequence[str] = (),
) -> bytes:
    """A message with whatever packets inside."""
    readers = [Reader(reader(kind, version)[0], hidden=hidden) for kind in kinds]
    return b"".join(encrypt_message([packets], readers, form or EncryptionForm(), passwords))


def with_session_key(session: SessionKey, public: PublicKey, data: bytes, **more) -> bytes:
    return write_pkesk(session, public, **more) + data


def old_packet(tag: int, body: bytes, length_octets: int = 4) -> bytes:
    """In the old format; 0 octets of length: until the end of everything (RFC 9580 §4.2.2)."""
    kind = {1: 0, 2: 1, 4: 2, 0: 3}[length_octets]
    length = len(body).to_bytes(length_octets, "big") if length_octets else b""
    return bytes((0x80 | tag << 2 | kind,)) + length + body


def partial_packet(tag: int, body: bytes, *exponents: int) -> bytes:
    """In partial lengths of these powers of two, the rest with a length (RFC 9580 §4.2.1.4)."""
    pieces = [bytes((0xC0 | tag,))]
    for exponent in exponents:
        pieces += [bytes((0xE0 | exponent,)), body[: 1 << exponent]]
        body = body[1 << exponent :]
    pieces.append(write_packet(tag, body)[1:])
    return b"".join(pieces)


def by_cipher(cipher: CipherId, kind: str, packets: bytes) -> bytes:
    """SEIPD of version 1 by a cipher that we do not write."""
    session = new_session_key(cipher, named=True)
    data = b"".join(encrypted([packets], session, EncryptionForm()))
    return with_session_key(session, reader(kind)[0], data)


def without_integrity(kind: str, packets: bytes) -> bytes:
    """Tag 9 (RFC 9580 §5.7), as CFB in OpenPGP was before."""
    session = new_session_key(CipherId.AES128, named=True)
    cipher, prefix = CIPHERS[CipherId.AES128].make(session.octets), os.urandom(16)
    start = Cipher(cipher, CFB(bytes(16))).encryptor().update(prefix + prefix[-2:])
    rest = Cipher(cipher, CFB(start[2:])).encryptor().update(packets)
    return with_session_key(session, reader(kind)[0], write_packet(Tag.SED, start + rest))


def in_ocb_packet(kind: str, packets: bytes, *, mode: AeadId = AeadId.OCB, exponent: int = 0) -> bytes:
    """Tag 20, as gpg writes it from 2.3 on (draft-koch-librepgp §5.16); exponent 0: chunks of 64 octets."""
    session = new_session_key(CipherId.AES256, named=True)
    head = bytes((1, CipherId.AES256, mode, exponent))
    nonce = os.urandom(NONCE_OCTETS[mode])
    primitive = aead(mode, CIPHERS[CipherId.AES256], session.octets)
    size = 1 << exponent + 6
    chunks = [packets[at : at + size] for at in range(0, len(packets), size)]

    def sealed_chunk(index: int, chunk: bytes, *more: bytes) -> bytes:
        number = index.to_bytes(8, "big")
        counted = bytes(one ^ other for one, other in zip(nonce[-8:], number, strict=True))
        return primitive.encrypt(nonce[:-8] + counted, chunk, b"".join((b"\xd4", head, number, *more)))

    body = [head, nonce, *(sealed_chunk(at, chunk) for at, chunk in enumerate(chunks))]
    body.append(sealed_chunk(len(chunks), b"", len(packets).to_bytes(8, "big")))
    return with_session_key(session, reader(kind)[0], write_packet(Tag.OCB, b"".join(body)))


LITERAL = b"".join(write_literal([CONTENT]))


@cache
def samples() -> dict[str, bytes]:
    """One of each kind, by name; the keys are those of `reader`."""
    found = {f"to-{kind}": sealed(CONTENT, kind) for kind in KINDS_V4}
    found |= {f"to-v6-{kind}": sealed(CONTENT, kind, version=6) for kind in ("x25519", "rsa1024")}
    for mode in AeadId:
        found[f"aead-{mode.name.lower()}"] = sealed(CONTENT, "x25519", version=6, form=EncryptionForm(mode))
        found[f"ocb-packet-{mode.name.lower()}"] = in_ocb_packet("cv25519", LITERAL, mode=mode)
    for compression in (CompressionId.ZIP, CompressionId.ZLIB):
        packets = b"".join(write_compressed([LITERAL], compression))
        found[f"compressed-{compression.name.lower()}"] = sealed_packets(packets, "cv25519")
    found["hidden"] = sealed(CONTENT, "cv25519", "rsa1024", hidden=True)
    found["3des"] = by_cipher(CipherId.TRIPLE_DES, "cv25519", LITERAL)
    found["without-integrity"] = without_integrity("cv25519", LITERAL)
    return found


def keys(*kinds: str, version: int = 4) -> list:
    return [reader(kind, version) for kind in kinds]
