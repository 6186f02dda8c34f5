"""Session keys for the knowers of passwords (RFC 9580 §5.3): SKESK of versions 4 and 6, and 5 as drafts had it."""

import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mailseal.openpgp import s2k
from mailseal.openpgp.aead import NONCE_OCTETS, aead
from mailseal.openpgp.algorithms import CIPHERS, AeadId, CipherId, CipherRow
from mailseal.openpgp.errors import malformed, only_pgp_errors, unsupported
from mailseal.openpgp.fields import Fields
from mailseal.openpgp.packet import Tag, write_packet
from mailseal.openpgp.s2k import S2k, read_s2k
from mailseal.openpgp.session_key import SessionKey
from mailseal.openpgp.work import Work

MAX_PACKET_OCTETS = 512


@dataclass(frozen=True, slots=True)
class Skesk:
    """One session key, encrypted by a password; or, where `encrypted` is empty, made of it."""

    version: int
    cipher: CipherRow
    s2k: S2k
    encrypted: bytes = field(repr=False)
    mode: int = 0
    nonce: bytes = b""


@only_pgp_errors
def read_skesk(body: bytes | memoryview) -> Skesk:
    """A SKESK packet; raises PgpError, UNSUPPORTED_ALGORITHM for other versions, ciphers, derivations."""
    if len(body) > MAX_PACKET_OCTETS:
        raise malformed("an encrypted session key is too large")
    fields = Fields(body)
    version = fields.number()
    if version not in (4, 5, 6):
        raise unsupported(f"an encrypted session key of version {version} is not supported")
    if version == 6:
        fields.number()  # of octets until the session key
    cipher = CIPHERS.get(fields.number())
    if cipher is None:
        raise unsupported("the cipher of an encrypted session key is not supported")
    if version == 4:
        return Skesk(4, cipher, read_s2k(fields), fields.rest())
    mode = fields.number()
    if mode not in NONCE_OCTETS:
        raise unsupported("a mode of authenticated encryption is not supported")
    if version == 6:
        fields.number()  # of octets of the specifier
    specifier = read_s2k(fields)
    nonce = fields.octets(NONCE_OCTETS[mode])
    return Skesk(version, cipher, specifier, fields.rest(), mode, nonce)


@only_pgp_errors
def open_skesk(skesk: Skesk, password: str, like: SessionKey, work: Work) -> SessionKey | None:
    """The session key that the password yields, like `like`: with a cipher, or without one and of the same length.

    None where it shows that the password is wrong. Raises PgpError, TOO_LARGE when it would cost too much.
    """
    key = skesk.s2k.derive(password.encode(), skesk.cipher.key_octets, work)
    if skesk.version == 4:
        return _by_cfb(skesk, key)
    info = _info(skesk.version, skesk.cipher, skesk.mode)
    if skesk.version == 6:
        key = _wrapping_key(key, info)
    try:
        opened = aead(skesk.mode, skesk.cipher, key).decrypt(skesk.nonce, skesk.encrypted, info)
    except InvalidTag:
        return None
    if like.cipher is not None:
        return SessionKey(opened, skesk.cipher.id)
    return SessionKey(opened) if len(opened) == len(like.octets) else None


def _by_cfb(skesk: Skesk, key: bytes) -> SessionKey | None:
    """RFC 9580 §5.3.1. Nothing but the content tells whether the password was right."""
    if not skesk.encrypted:
        return SessionKey(key, skesk.cipher.id)
    vector = bytes(skesk.cipher.block_octets)
    opened = Cipher(skesk.cipher.make(key), CFB(vector)).decryptor().update(skesk.encrypted)
    row = CIPHERS.get(opened[0])
    return SessionKey(opened[1:], row.id) if row is not None and len(opened) - 1 == row.key_octets else None


def _info(version: int, cipher: CipherRow, mode: int) -> bytes:
    """RFC 9580 §5.3.2: the packet's type as in its header, its version, the cipher, the mode."""
    return bytes((0xC0 | Tag.SKESK, version, cipher.id, mode))


def _wrapping_key(key: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), len(key), None, info).derive(key)


def write_skesk(session: SessionKey, password: str) -> bytes:
    """The packet for one password: of version 4 if the session key has a cipher, else of version 6, by Argon2."""
    cipher = CIPHERS[CipherId.AES256]
    specifier = s2k.iterated() if session.cipher is not None else s2k.argon2()
    key = specifier.derive(password.encode(), cipher.key_octets, Work())
    written = specifier.write()
    if session.cipher is not None:
        payload = bytes((session.cipher,)) + session.octets
        encrypted = Cipher(cipher.make(key), CFB(bytes(cipher.block_octets))).encryptor().update(payload)
        return write_packet(Tag.SKESK, bytes((4, cipher.id)) + written + encrypted)
    info = _info(6, cipher, AeadId.OCB)
    nonce = os.urandom(NONCE_OCTETS[AeadId.OCB])
    encrypted = aead(AeadId.OCB, cipher, _wrapping_key(key, info)).encrypt(nonce, session.octets, info)
    parameters = bytes((cipher.id, AeadId.OCB, len(written))) + written + nonce
    return write_packet(Tag.SKESK, bytes((6, len(parameters))) + parameters + encrypted)
