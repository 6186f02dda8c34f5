"""Secret keys (RFC 9580 §5.5.3): component keys with their private part, unprotected or locked by a password."""

import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x448, x25519
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mailseal.keys import PrivateKey
from mailseal.openpgp import s2k
from mailseal.openpgp.aead import NONCE_OCTETS, aead
from mailseal.openpgp.algorithms import (
    CIPHERS,
    CV25519,
    ED25519_LEGACY,
    HASHES,
    AeadId,
    CipherId,
    CipherRow,
    HashId,
    KeyAlgorithm,
)
from mailseal.openpgp.errors import PgpError, malformed, only_pgp_errors, unsupported
from mailseal.openpgp.fields import Fields, checksum, write_mpi
from mailseal.openpgp.key import MAX_KEY_OCTETS, PublicKey, read_public_fields
from mailseal.openpgp.packet import Packet, Tag
from mailseal.openpgp.s2k import S2k, read_s2k
from mailseal.openpgp.work import Work
from mailseal.policy.reason import ReasonCode

SECRET_TAGS = frozenset({Tag.SECRET_KEY, Tag.SECRET_SUBKEY})
_CLEAR, _AEAD, _SHA1, _SUM = 0, 253, 254, 255
"""How the secret fields are protected (RFC 9580 §3.7.2); any other number is a cipher of old keys."""
_SHA1_OCTETS, _SUM_OCTETS = 20, 2
_CLAMP_FIRST, _CLAMP_LAST, _CLAMP_BIT = 0xF8, 0x7F, 0x40


@dataclass(frozen=True, slots=True)
class _Lock:
    """What stands before the secret fields."""

    usage: int
    cipher: CipherRow
    s2k: S2k
    vector: bytes
    mode: int = 0


def read_public_part(body: bytes | memoryview) -> PublicKey:
    """The public key in a secret-key or secret-subkey packet; raises PgpError."""
    return read_public_fields(_fields(body))


def is_locked(body: bytes | memoryview) -> bool:
    """Whether it takes a password to read the secret; raises PgpError for what is no secret key."""
    fields = _fields(body)
    read_public_fields(fields)
    return fields.number() != _CLEAR


@only_pgp_errors
def read_secret_key(
    packet: Packet, password: str | None = None, work: Work | None = None
) -> tuple[PublicKey, PrivateKey]:
    """A secret-key or secret-subkey packet, opened.

    Raises PgpError: DECRYPTION_FAILED when the password is missing or wrong, TOO_LARGE when it would cost too much,
    KEY_NOT_FOUND when the secret is not in the packet, UNSUPPORTED_ALGORITHM; MALFORMED also when the secret does not
    belong to the public key. An RSA key is not validated: that is done where it is taken in.
    """
    fields = _fields(packet.body)
    public = read_public_fields(fields)
    lock = _read_lock(fields, public.version)
    if lock is None:
        secret = fields.rest() if public.version == 6 else _summed(fields.rest())
    elif password is None:
        raise PgpError(ReasonCode.DECRYPTION_FAILED, "the secret key is locked by a password")
    else:
        key = lock.s2k.derive(password.encode(), lock.cipher.key_octets, work or Work())
        secret = _unlocked(lock, key, fields.rest(), packet.tag, public)
    private = _private(Fields(secret), public)
    if private.public_key() != public.key:
        raise malformed("the secret key does not belong to its public key")
    return public, private


def _fields(body: bytes | memoryview) -> Fields:
    if len(body) > MAX_KEY_OCTETS:
        raise malformed("a key is too large")
    return Fields(body)


def _read_lock(fields: Fields, version: int) -> _Lock | None:
    """How the secret is locked; None: it is not."""
    usage = fields.number()
    if usage == _CLEAR:
        return None
    if usage not in (_AEAD, _SHA1, _SUM):
        return _old_lock(fields, usage)
    if version == 6:
        fields.number()  # of octets until the secret
    number = fields.number()
    mode = fields.number() if usage == _AEAD else 0
    if version == 6:
        fields.number()  # of octets of the specifier
    specifier = read_s2k(fields)
    cipher = _cipher(number)  # not before: GnuPG marks with 0 what has no secret
    if usage == _AEAD and mode not in NONCE_OCTETS:
        raise unsupported("a mode of authenticated encryption is not supported")
    octets = NONCE_OCTETS[mode] if usage == _AEAD else cipher.block_octets
    return _Lock(usage, cipher, specifier, fields.octets(octets), mode)


def _old_lock(fields: Fields, usage: int) -> _Lock:
    """A cipher alone: the key is MD5 of the password (RFC 9580 §3.7.2.1)."""
    cipher = _cipher(usage)
    return _Lock(_SUM, cipher, S2k(s2k.SIMPLE, HASHES[HashId.MD5]), fields.octets(cipher.block_octets))


def _cipher(number: int) -> CipherRow:
    row = CIPHERS.get(number)
    if row is None:
        raise unsupported("the cipher that locks the secret key is not supported")
    return row


def _unlocked(lock: _Lock, key: bytes, octets: bytes, tag: int, public: PublicKey) -> bytes:
    """The secret fields without what shows that the password was right."""
    wrong = PgpError(ReasonCode.DECRYPTION_FAILED, "the password does not open the secret key")
    if lock.usage == _AEAD:
        info = _info(tag, public.version, lock.cipher, lock.mode)
        try:
            return aead(lock.mode, lock.cipher, _wrapping_key(key, info)).decrypt(
                lock.vector, octets, _associated(tag, public)
            )
        except InvalidTag:
            raise wrong from None
    plain = Cipher(lock.cipher.make(key), CFB(lock.vector)).decryptor().update(octets)
    if lock.usage == _SHA1:
        secret, check = plain[:-_SHA1_OCTETS], plain[-_SHA1_OCTETS:]
        if not hmac.compare_digest(_sha1(secret), check):
            raise wrong
        return secret
    try:
        return _summed(plain)
    except PgpError:
        raise wrong from None


def _sha1(octets: bytes) -> bytes:
    return hashlib.sha1(octets).digest()  # noqa: S324 - RFC 9580 §3.7.2.1: a checksum inside the encryption


def _summed(octets: bytes) -> bytes:
    """The octets before their checksum."""
    secret, check = octets[:-_SUM_OCTETS], octets[-_SUM_OCTETS:]
    if checksum(secret) != check:
        raise malformed("the checksum of the secret key is wrong")
    return secret


def _info(tag: int, version: int, cipher: CipherRow, mode: int) -> bytes:
    """RFC 9580 §3.7.2.1: the packet's type as in its header, the version of the key, the cipher, the mode."""
    return bytes((0xC0 | tag, version, cipher.id, mode))


def _wrapping_key(key: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), len(key), None, info).derive(key)


def _associated(tag: int, public: PublicKey) -> bytes:
    return bytes((0xC0 | tag,)) + public.octets


def _private(fields: Fields, public: PublicKey) -> PrivateKey:
    """The private key out of its fields (RFC 9580 §5.5.5)."""
    if public.key is None:
        raise unsupported(f"a secret key of the kind {public.name} is not supported")
    private = _rsa(fields, public.key) if isinstance(public.key, rsa.RSAPublicKey) else _elliptic(fields, public)
    fields.done()
    return private


def _rsa(fields: Fields, public: rsa.RSAPublicKey) -> rsa.RSAPrivateKey:
    d, p, q, _ = (int.from_bytes(fields.mpi(), "big") for _ in range(4))
    given = public.public_numbers()
    if p * q != given.n or any(d * given.e % (prime - 1) != 1 for prime in (p, q)):
        raise malformed("the secret key does not belong to its public key")
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=rsa.rsa_crt_dmp1(d, p),
        dmq1=rsa.rsa_crt_dmq1(d, q),
        iqmp=rsa.rsa_crt_iqmp(p, q),
        public_numbers=given,
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


_RAW: dict[int, tuple[int, Callable[[bytes], PrivateKey]]] = {
    KeyAlgorithm.X25519: (32, x25519.X25519PrivateKey.from_private_bytes),
    KeyAlgorithm.X448: (56, x448.X448PrivateKey.from_private_bytes),
    KeyAlgorithm.ED25519: (32, ed25519.Ed25519PrivateKey.from_private_bytes),
    KeyAlgorithm.ED448: (57, ed448.Ed448PrivateKey.from_private_bytes),
}


def _elliptic(fields: Fields, public: PublicKey) -> PrivateKey:
    if public.algorithm in _RAW:
        octets, load = _RAW[public.algorithm]
        return load(fields.octets(octets))
    secret = fields.mpi()
    if public.curve is CV25519:
        # Written as a number, its octets stand the other way round (RFC 9580 §5.5.5.6.1.1).
        return x25519.X25519PrivateKey.from_private_bytes(secret.rjust(32, b"\0")[::-1])
    if public.curve is ED25519_LEGACY:
        return ed25519.Ed25519PrivateKey.from_private_bytes(secret.rjust(32, b"\0"))
    assert public.curve is not None
    assert public.curve.curve is not None
    return ec.derive_private_key(int.from_bytes(secret, "big"), public.curve.curve)


def write_secret_key(public: PublicKey, private: PrivateKey, password: str | None, tag: int = Tag.SECRET_KEY) -> bytes:
    """The body of a secret-key packet, or with `tag` of a secret subkey, locked by the password.

    Version 4 as every program reads it (AES-256 in CFB mode, iterated), version 6 by Argon2 and OCB. None: in clear.
    """
    secret = _secret_fields(public, private)
    if password is None:
        return public.octets + bytes((_CLEAR,)) + secret + (b"" if public.version == 6 else checksum(secret))
    cipher = CIPHERS[CipherId.AES256]
    specifier = s2k.argon2() if public.version == 6 else s2k.iterated()
    key = specifier.derive(password.encode(), cipher.key_octets, Work())
    written = specifier.write()
    if public.version == 6:
        nonce = os.urandom(NONCE_OCTETS[AeadId.OCB])
        parameters = bytes((cipher.id, AeadId.OCB, len(written))) + written + nonce
        wrapping = _wrapping_key(key, _info(tag, public.version, cipher, AeadId.OCB))
        locked = aead(AeadId.OCB, cipher, wrapping).encrypt(nonce, secret, _associated(tag, public))
        return public.octets + bytes((_AEAD, len(parameters))) + parameters + locked
    vector = os.urandom(cipher.block_octets)
    locked = Cipher(cipher.make(key), CFB(vector)).encryptor().update(secret + _sha1(secret))
    return public.octets + bytes((_SHA1, cipher.id)) + written + vector + locked


def _secret_fields(public: PublicKey, private: PrivateKey) -> bytes:
    if isinstance(private, rsa.RSAPrivateKey):
        numbers = private.private_numbers()
        p, q = sorted((numbers.p, numbers.q))
        return b"".join(map(write_mpi, (numbers.d, p, q, pow(p, -1, q))))
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return write_mpi(private.private_numbers().private_value)
    raw = private.private_bytes_raw()
    if public.curve is CV25519:
        return write_mpi(_clamped(raw)[::-1])
    return write_mpi(raw) if public.curve is ED25519_LEGACY else raw


def _clamped(raw: bytes) -> bytes:
    """As it is used (RFC 7748 §5): some programs take a number that is written to be that."""
    last = raw[31] & _CLAMP_LAST | _CLAMP_BIT
    return bytes((raw[0] & _CLAMP_FIRST,)) + raw[1:31] + bytes((last,))
