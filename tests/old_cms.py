"""The writing side of what Mailseal only reads: ciphers and wraps of old mail, recipients without certificates."""

import base64
import hashlib
import os
from functools import cache
from pathlib import Path

from cryptography.hazmat.decrepit.ciphers.algorithms import CAST5, RC2, TripleDES
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailseal.smime import algorithms, der
from mailseal.smime.encrypt import key_encryption_key
from mailseal.smime.password_based import MAX_ITERATIONS, Work
from mailseal.smime.secret import Secret, SharedKey, SharedPassword
from mailseal.smime.sign import issuer_and_serial

CIPHERS = {
    "aes128-cbc": (AES, 16, 16),
    "aes256-cbc": (AES, 32, 16),
    "3des-cbc": (TripleDES, 24, 8),
    "des-cbc": (lambda key: TripleDES(key * 3), 8, 8),
    "cast5-cbc": (CAST5, 16, 8),
    "rc2-128-cbc": (RC2, 16, 8),
}
OUTER_VECTOR = bytes.fromhex("4adda22c79e82105")
TRIPLE_DES_WRAP = der.sequence(algorithms.TRIPLE_DES_WRAP, der.NULL)
RC2_WRAP = der.sequence(algorithms.RC2_WRAP, der.integer(58))
AES256_WRAP = der.sequence(algorithms.AES256_WRAP)


def cbc(make, key: bytes, vector: bytes, octets: bytes) -> bytes:
    return Cipher(make(key), CBC(vector)).encryptor().update(octets)


def identifier(name: str, vector: bytes) -> bytes:
    """The AlgorithmIdentifier of a content cipher."""
    oid = algorithms.CIPHERS_BY_NAME[name].oid
    if name.startswith("rc2"):
        return der.sequence(oid, der.sequence(der.integer(58), der.octet_string(vector)))
    return der.sequence(oid, der.octet_string(vector))


def enveloped(infos: list[bytes], algorithm: bytes, ciphertext: bytes) -> bytes:
    info = der.sequence(algorithms.DATA, algorithm, der.element(0x80, ciphertext))
    inside = der.sequence(der.integer(3), der.element(0x31, *infos), info)
    return der.sequence(algorithms.ENVELOPED_DATA, der.element(0xA0, inside))


def encrypted(infos_for, content: bytes, cipher: str = "aes256-cbc") -> bytes:
    """EnvelopedData; `infos_for` makes the recipients of a content key."""
    make, key_octets, block = CIPHERS[cipher]
    key, vector = os.urandom(key_octets), os.urandom(block)
    missing = block - len(content) % block
    padded = content + bytes((missing,)) * missing
    return enveloped(infos_for(key), identifier(cipher, vector), cbc(make, key, vector, padded))


def wrapped(algorithm: bytes, kek: bytes, key: bytes) -> bytes:
    """A key under another one (RFC 3394, RFC 3217)."""
    if algorithm == TRIPLE_DES_WRAP:
        return _twice(TripleDES, kek, key)
    if algorithm == RC2_WRAP:
        padding = -(len(key) + 1) % 8
        return _twice(RC2, kek, bytes((len(key),)) + key + os.urandom(padding))
    return aes_key_wrap(kek, key)


def _twice(make, kek: bytes, key: bytes) -> bytes:
    vector = os.urandom(8)
    inner = cbc(make, kek, vector, key + hashlib.sha1(key).digest()[:8])
    return cbc(make, kek, OUTER_VECTOR, (vector + inner)[::-1])


def shared_key_info(algorithm: bytes, kek: bytes, key: bytes, key_id: bytes = b"id", *, other: bytes = b"") -> bytes:
    """KEKRecipientInfo."""
    name = der.sequence(der.octet_string(key_id), other)
    return der.element(0xA2, der.integer(4), name, algorithm, der.octet_string(wrapped(algorithm, kek, key)))


def password_info(
    password: bytes,
    key: bytes,
    *,
    cipher: str = "aes256-cbc",
    iterations: int = 10,
    function: str = "",
    length: int | None = None,
    plain: bytes | None = None,
) -> bytes:
    """PasswordRecipientInfo with PBKDF2. `plain`: the block that is wrapped, if not the one for the key."""
    make, kek_octets, block = CIPHERS[cipher]
    digest = {"": "sha1", "1.2.840.113549.2.9": "sha256", "1.2.840.113549.2.11": "sha512"}.get(function, "sha1")
    kek = hashlib.pbkdf2_hmac(digest, password, b"salt", min(iterations, 1000), kek_octets)
    named = der.sequence(der.oid(function), der.NULL) if function else b""
    stated = der.integer(length) if length is not None else b""
    parameters = der.sequence(der.octet_string(b"salt"), der.integer(iterations), stated, named)
    if plain is None:
        plain = bytes((len(key), *(octet ^ 0xFF for octet in key[:3]))) + key
        plain += os.urandom(max(-len(plain) % block, 2 * block - len(plain)))
    vector = os.urandom(block)
    once = cbc(make, kek, vector, plain)
    twice = cbc(make, kek, once[-block:], once)
    algorithm = der.sequence(algorithms.PWRI_KEK, identifier(cipher, vector))
    derivation = der.element(0xA0, algorithms.PBKDF2, parameters)
    return der.element(0xA3, der.integer(0), derivation, algorithm, der.octet_string(twice))


def agreement_info(
    person,
    key: bytes,
    *,
    derivation: bytes = algorithms.STD_DH_SHA256_KDF,
    wrap: bytes = AES256_WRAP,
    kek_octets: int = 32,
    material: bytes | None = None,
    name: bytes | None = None,
    point: bytes | None = None,
) -> bytes:
    """KeyAgreeRecipientInfo for one person with a key on a curve."""
    if isinstance(person.key, x25519.X25519PrivateKey):
        ephemeral = x25519.X25519PrivateKey.generate()
        secret = ephemeral.exchange(person.key.public_key())
        curve, sent = algorithms.X25519, ephemeral.public_key().public_bytes_raw()
    else:
        ephemeral = ec.generate_private_key(person.key.curve)
        secret = ephemeral.exchange(ec.ECDH(), person.key.public_key())
        curve = algorithms.EC_PUBLIC_KEY
        sent = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    kek = key_encryption_key(secret, derivation, wrap, kek_octets, user_material=material)
    sender = der.element(0xA1, der.sequence(curve), der.bit_string(sent if point is None else point))
    one = der.sequence(name or issuer_and_serial(person.certificate), der.octet_string(wrapped(wrap, kek, key)))
    return der.element(
        0xA1,
        der.integer(3),
        der.element(0xA0, sender),
        der.element(0xA1, der.octet_string(material)) if material is not None else b"",
        der.sequence(derivation, wrap),
        der.sequence(one),
    )


KEK = bytes(range(32))
PASSWORD = b"secret word"
VECTORS = Path(__file__).parent / "vectors" / "cms"


def secrets() -> tuple[Secret, ...]:
    """What opens the samples. Little work is left for the password, since a changed sample may ask for very much."""
    work = Work()
    work.spend(MAX_ITERATIONS - 10_000)
    return SharedKey(KEK), SharedKey(KEK[:16]), SharedKey(KEK[:24]), SharedPassword(PASSWORD, work)


@cache
def samples() -> dict[str, bytes]:
    """One of each kind, by name, and those that openssl wrote."""
    found = {path.stem: base64.b64decode(path.read_bytes()) for path in sorted(VECTORS.glob("encrypted-*.b64"))}
    for cipher in CIPHERS:
        found[f"password-{cipher}"] = encrypted(lambda key: [password_info(PASSWORD, key)], b"content", cipher)
        found[f"rc2wrap-{cipher}"] = encrypted(
            lambda key: [shared_key_info(RC2_WRAP, KEK[:16], key, other=der.element(0x18, b"20260315120000Z"))],
            b"content",
            cipher,
        )
    found["kek"] = encrypted(lambda key: [shared_key_info(AES256_WRAP, KEK, key)], b"content")
    return found
