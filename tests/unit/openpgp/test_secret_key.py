"""Secret keys: unprotected and locked in every way that was ever written; and what a password may cost."""

import hashlib
import os
from contextlib import suppress

import pytest
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from hypothesis import given
from hypothesis import strategies as st

from mailseal.keys.software import serialize
from mailseal.openpgp import s2k
from mailseal.openpgp.algorithms import CIPHERS, HASHES, CipherId, HashId
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.fields import Fields, checksum, write_mpi
from mailseal.openpgp.key import public_key_body, read_public_key
from mailseal.openpgp.packet import Packet, Tag
from mailseal.openpgp.s2k import ITERATED, SALTED, SIMPLE, S2k, read_s2k
from mailseal.openpgp.secret_key import is_locked, read_public_part, read_secret_key, write_secret_key
from mailseal.openpgp.work import Work
from mailseal.policy.reason import ReasonCode
from pgp_craft import key
from pgp_samples import KINDS_V4, KINDS_V6, MADE, PASSWORD, new_key, reader

SIGNING = ("ed25519", "ed25519-native", "ed448", "p256", "bp256")
_SIGNERS = [key(kind, version=version) for kind in SIGNING for version in (4, 6)]
PAIRS = [
    *(reader(kind, 4) for kind in KINDS_V4),
    *(reader(kind, 6) for kind in KINDS_V6),
    *((one.public, one.private) for one in _SIGNERS),
]
IDS = [f"{public.name}-v{public.version}" for public, _ in PAIRS]


def packet(body: bytes, tag: int = Tag.SECRET_KEY) -> Packet:
    return Packet(tag, memoryview(body), 0, len(body))


def why(body: bytes, password: str | None = None, **more) -> ReasonCode:
    with pytest.raises(PgpError) as caught:
        read_secret_key(packet(body), password, **more)
    return caught.value.reason


@pytest.mark.parametrize(("public", "private"), PAIRS, ids=IDS)
def test_in_clear(public, private):
    body = write_secret_key(public, private, None)
    found, opened = read_secret_key(packet(body))
    assert found == public == read_public_part(body)
    assert opened.public_key() == public.key
    assert not is_locked(body)
    assert write_secret_key(public, opened, None) == body


@pytest.mark.parametrize(("public", "private"), [reader("cv25519"), reader("rsa1024"), reader("x25519", 6)])
@pytest.mark.parametrize("tag", [Tag.SECRET_KEY, Tag.SECRET_SUBKEY])
def test_locked(public, private, tag, monkeypatch):
    monkeypatch.setattr(s2k, "WRITTEN_COUNT", 0)
    monkeypatch.setattr(s2k, "WRITTEN_ARGON2", (1, 1, 6))
    body = write_secret_key(public, private, PASSWORD, tag)
    assert is_locked(body)
    found, opened = read_secret_key(packet(body, tag), PASSWORD)
    assert found == public
    assert opened.public_key() == public.key
    assert why(body) is why(body, "") is why(body, PASSWORD + "x") is ReasonCode.DECRYPTION_FAILED
    assert body != write_secret_key(public, private, PASSWORD, tag)


def test_what_locks_is_what_it_says(monkeypatch):
    """The strength as it is really written, once."""
    public, private = reader("x25519", 6)
    body = write_secret_key(public, private, PASSWORD)
    lock = body[len(public.octets) :]
    assert lock[0] == 253
    assert (lock[2], lock[3], lock[5], lock[22:25]) == (CipherId.AES256, 2, s2k.ARGON2, bytes((3, 4, 16)))
    assert read_secret_key(packet(body), PASSWORD)[0] == public
    other = Packet(Tag.SECRET_SUBKEY, memoryview(body), 0, 0)
    with pytest.raises(PgpError):
        read_secret_key(other, PASSWORD)  # a primary key cannot be made a subkey
    public, private = reader("cv25519")
    lock = write_secret_key(public, private, PASSWORD)[len(public.octets) :]
    assert (lock[0], lock[1], lock[2], lock[3], lock[12]) == (254, CipherId.AES256, ITERATED, HashId.SHA256, 255)


def locked(usage: int, cipher: CipherId, specifier: bytes, derivation: S2k, *, by_sum: bool) -> bytes:
    """A secret key as programs of old lock it."""
    public, private = reader("cv25519")
    secret = write_secret_key(public, private, None)[len(public.octets) + 1 : -2]
    check = checksum(secret) if by_sum else hashlib.sha1(secret).digest()
    row = CIPHERS[cipher]
    vector = os.urandom(row.block_octets)
    key = derivation.derive(PASSWORD.encode(), row.key_octets, Work())
    sealed = Cipher(row.make(key), CFB(vector)).encryptor().update(secret + check)
    head = bytes((usage,)) if usage < 253 else bytes((usage, cipher)) + specifier
    return public.octets + head + vector + sealed


SALT = b"saltsalt"


@pytest.mark.parametrize("by_sum", [False, True])
@pytest.mark.parametrize(
    ("cipher", "specifier", "derivation"),
    [
        (CipherId.AES128, b"\0\2", S2k(SIMPLE, HASHES[HashId.SHA1])),
        (CipherId.AES256, b"\1\2" + SALT, S2k(SALTED, HASHES[HashId.SHA1], SALT)),  # a key longer than the hash
        (CipherId.CAST5, b"\3\2" + SALT + b"\x60", S2k(ITERATED, HASHES[HashId.SHA1], SALT, 65_536)),
        (CipherId.TRIPLE_DES, b"\3\x08" + SALT + b"\0", S2k(ITERATED, HASHES[HashId.SHA256], SALT, 1024)),
        (CipherId.AES256, b"\3\x0a" + SALT + b"\0", S2k(ITERATED, HASHES[HashId.SHA512], SALT, 1024)),
    ],
)
def test_locked_by_programs_of_old(cipher, specifier, derivation, by_sum):
    body = locked(255 if by_sum else 254, cipher, specifier, derivation, by_sum=by_sum)
    assert read_secret_key(packet(body), PASSWORD)[1].public_key() == reader("cv25519")[0].key
    assert why(body, "wrong") is ReasonCode.DECRYPTION_FAILED


def test_locked_by_a_cipher_alone():
    body = locked(CipherId.IDEA, CipherId.IDEA, b"", S2k(SIMPLE, HASHES[HashId.MD5]), by_sum=True)
    assert read_secret_key(packet(body), PASSWORD)[0] == reader("cv25519")[0]
    assert why(body, "wrong") is ReasonCode.DECRYPTION_FAILED


def lock(*octets: int, more: bytes = b"") -> bytes:
    return reader("cv25519")[0].octets + bytes(octets) + more + bytes(40)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (lock(254, 0, 101, 0, more=b"GNU\1"), ReasonCode.KEY_NOT_FOUND),
        (lock(254, 7, 101, 2, more=b"GNU\2"), ReasonCode.KEY_NOT_FOUND),
        (lock(254, 10, 0, 2), ReasonCode.UNSUPPORTED_ALGORITHM),  # Twofish
        (lock(254, 7, 2, 2), ReasonCode.UNSUPPORTED_ALGORITHM),
        (lock(254, 7, 0, 3), ReasonCode.UNSUPPORTED_ALGORITHM),  # RIPEMD-160
        (lock(253, 9, 7, 0, 2), ReasonCode.UNSUPPORTED_ALGORITHM),
        (lock(253, 11, 2, 0, 2), ReasonCode.UNSUPPORTED_ALGORITHM),  # Camellia has no such mode
        (lock(254, 7, 4, more=SALT + SALT + bytes((1, 1, 22))), ReasonCode.TOO_LARGE),
        (lock(254, 7, 4, more=SALT + SALT + bytes((255, 1, 21))), ReasonCode.TOO_LARGE),
        (lock(254, 7, 4, more=SALT + SALT + bytes((1, 1, 32))), ReasonCode.MALFORMED),
        (lock(254, 7, 4, more=SALT + SALT + bytes((0, 1, 10))), ReasonCode.MALFORMED),
        (lock(254, 7, 4, more=SALT + SALT + bytes((1, 0, 10))), ReasonCode.MALFORMED),
        (lock(254, 7, 4, more=SALT + SALT + bytes((1, 4, 4))), ReasonCode.MALFORMED),
        (reader("cv25519")[0].octets, ReasonCode.MALFORMED),
        (reader("cv25519")[0].octets + b"\0", ReasonCode.MALFORMED),
        (bytes(20_000), ReasonCode.MALFORMED),
    ],
)
def test_what_cannot_be_opened(body, reason):
    assert why(body, PASSWORD) is reason


def test_the_cap_is_the_callers():
    body = lock(254, 7, 4, more=SALT + SALT + bytes((1, 1, 10)))
    assert why(body, PASSWORD) is ReasonCode.DECRYPTION_FAILED
    assert why(body, PASSWORD, work=Work(argon2_kib=1023)) is ReasonCode.TOO_LARGE
    body = lock(254, 7, 3, 2, more=SALT + b"\xff")
    assert why(body, PASSWORD, work=Work(hashed_octets=65_011_711)) is ReasonCode.TOO_LARGE
    assert why(body, "x" * 1025) is ReasonCode.TOO_LARGE


def test_too_little_memory(monkeypatch):
    class Full:
        def __init__(self, **_: object) -> None:
            pass

        def derive(self, _: bytes) -> bytes:
            raise MemoryError

    monkeypatch.setattr(s2k, "Argon2id", Full)
    assert why(lock(254, 7, 4, more=SALT + SALT + bytes((1, 1, 10))), PASSWORD) is ReasonCode.TOO_LARGE


def test_the_secret_of_another_key():
    for kind in ("cv25519", "x25519", "nistp256"):
        assert why(write_secret_key(reader(kind)[0], new_key(kind)[1], None)) is ReasonCode.MALFORMED
    public, private = reader("rsa1024")
    assert why(write_secret_key(public, rsa.generate_private_key(65_537, 1024), None)) is ReasonCode.MALFORMED
    numbers = private.private_numbers()
    for d, p, q in ((numbers.d + 2, numbers.p, numbers.q), (numbers.d, 1, numbers.p * numbers.q)):
        secret = b"".join(map(write_mpi, (d, p, q, 1)))
        assert why(public.octets + b"\0" + secret + checksum(secret)) is ReasonCode.MALFORMED


def test_a_damaged_sum():
    body = bytearray(write_secret_key(*reader("cv25519"), None))
    body[-1] ^= 1
    assert why(bytes(body)) is ReasonCode.MALFORMED


def test_old_keys_are_facts_only():
    elgamal = b"\4" + bytes(4) + b"\x10" + write_mpi(1 << 2047) + write_mpi(2) + write_mpi(3)
    secret = write_mpi(5)
    body = elgamal + b"\0" + secret + checksum(secret)
    assert read_public_part(body).name == "elgamal2048"
    assert why(body) is ReasonCode.UNSUPPORTED_ALGORITHM


def test_scalars_that_begin_with_zero():
    """A number is written without its leading zeros; on Curve25519 they stand at the end."""
    for kind, make, raw in (
        ("cv25519", X25519PrivateKey, bytes((8,)) + bytes(30) + b"\x40"),
        ("ed25519", Ed25519PrivateKey, bytes(3) + b"\7" * 29),
    ):
        private = make.from_private_bytes(raw)
        found = read_secret_key(packet(write_secret_key(public_of(kind, private), private, None)))[1]
        assert serialize(found) == serialize(private)


def public_of(kind: str, private):
    return read_public_key(public_key_body(private.public_key(), key(kind).public.algorithm, MADE))


def test_a_scalar_is_written_as_it_is_used():
    """Programs of old take the number as it stands (RFC 7748 §5)."""
    private = X25519PrivateKey.from_private_bytes(b"\xff" * 32)
    body = write_secret_key(public_of("cv25519", private), private, None)
    assert body[-34:-2] == b"\x7f" + b"\xff" * 30 + b"\xf8"


def test_derivations():
    """Against a plain reading of RFC 9580 §3.7.1.3."""
    for count, password in ((1024, b"x"), (65_536, b"a longer password"), (1088, b""), (1024, b"y" * 1020)):
        given = SALT + password
        octets = (given * (count // len(given) + 1))[: max(count, len(given))]
        expected = hashlib.sha256(octets).digest() + hashlib.sha256(b"\0" + octets).digest()
        found = S2k(ITERATED, HASHES[HashId.SHA256], SALT, count).derive(password, 40, Work())
        assert found == expected[:40]
    assert S2k(SIMPLE, HASHES[HashId.SHA1]).derive(b"", 16, Work()) == hashlib.sha1(b"").digest()[:16]
    assert read_s2k(Fields(b"\3\x08" + SALT + b"\xff")).count == 65_011_712


@given(st.integers(0, 255), st.binary(max_size=80))
def test_any_octets_raise_only_the_typed_error(usage, octets):
    for kind, version in (("cv25519", 4), ("rsa1024", 4), ("x25519", 6)):
        body = reader(kind, version)[0].octets + bytes((usage,)) + octets
        for password in (None, PASSWORD):
            try:
                read_secret_key(packet(body), password, Work(hashed_octets=10_000, argon2_kib=64))
            except PgpError:
                continue
    with suppress(PgpError):
        read_secret_key(packet(octets))
