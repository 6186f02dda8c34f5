"""Session keys to holders of keys and knowers of passwords: every algorithm, hidden readers, and what fails how."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from hypothesis import given
from hypothesis import strategies as st

from mailseal.errors import TransientError
from mailseal.openpgp import agreement, s2k
from mailseal.openpgp.aead import aead
from mailseal.openpgp.algorithms import CIPHERS, AeadId, CipherId, HashId, KeyAlgorithm
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.fields import checksum, write_mpi
from mailseal.openpgp.key import read_public_key
from mailseal.openpgp.packet import read_packets
from mailseal.openpgp.password import open_skesk, read_skesk, write_skesk
from mailseal.openpgp.session_key import (
    Pkesk,
    SessionKey,
    new_session_key,
    open_pkesk,
    read_pkesk,
    write_pkesk,
)
from mailseal.openpgp.work import Work
from mailseal.policy.reason import ReasonCode
from pgp_craft import key
from pgp_samples import KINDS_V4, KINDS_V6, PASSWORD, new_key, reader

WITH_CIPHER = [new_session_key(cipher, named=True) for cipher in (CipherId.AES128, CipherId.AES256, CipherId.CAST5)]
WITHOUT = [new_session_key(cipher, named=False) for cipher in (CipherId.AES128, CipherId.AES256)]
EVERYBODY = [*((kind, 4) for kind in KINDS_V4), *((kind, 6) for kind in KINDS_V6)]


def body(packet: bytes) -> memoryview:
    (one,) = read_packets(packet)
    return one.body


def substitute(like: SessionKey) -> SessionKey:
    return SessionKey(os.urandom(len(like.octets)), like.cipher)


@pytest.mark.parametrize(("kind", "version"), EVERYBODY)
@pytest.mark.parametrize("session", [*WITH_CIPHER, *WITHOUT])
def test_what_is_written_is_opened(kind, version, session):
    public, private = reader(kind, version)
    pkesk = read_pkesk(body(write_pkesk(session, public)))
    assert (pkesk.version, pkesk.algorithm) == (6 if session.cipher is None else 3, public.algorithm)
    assert pkesk.key_id == public.key_id
    assert pkesk.fingerprint == (public.fingerprint if session.cipher is None else "")
    assert pkesk.names(public)
    assert not pkesk.hidden
    assert open_pkesk(pkesk, public, private, substitute(session)) == session


@pytest.mark.parametrize("session", [WITH_CIPHER[0], WITHOUT[0]])
def test_hidden_readers(session):
    public, private = reader("x25519", 6)
    pkesk = read_pkesk(body(write_pkesk(session, public, hidden=True)))
    assert (pkesk.hidden, pkesk.key_id, pkesk.fingerprint) == (True, "", "")
    assert pkesk.may_be_for(public)
    assert not pkesk.names(public)
    assert not pkesk.may_be_for(reader("x448")[0])
    assert open_pkesk(pkesk, public, private, substitute(session)) == session


def test_rsa_for_encryption_only():
    public, private = reader("rsa1024")
    of_old = read_public_key(public.octets[:5] + bytes((KeyAlgorithm.RSA_ENCRYPT_ONLY,)) + public.octets[6:])
    for session in (WITH_CIPHER[1], WITHOUT[1]):
        for algorithm in (KeyAlgorithm.RSA, KeyAlgorithm.RSA_ENCRYPT_ONLY):
            pkesk = replace(read_pkesk(body(write_pkesk(session, of_old))), algorithm=algorithm)
            assert pkesk.may_be_for(of_old)
            assert open_pkesk(pkesk, of_old, private, substitute(session)) == session


def test_a_key_of_version_6_is_named_by_its_fingerprint_only():
    """Two keys may have the same key ID."""
    public, _ = reader("x25519", 6)
    pkesk = read_pkesk(body(write_pkesk(WITHOUT[0], public)))
    twin = replace(public, fingerprint=public.fingerprint[:16] + "0" * 48)
    assert twin.key_id == public.key_id
    assert not pkesk.names(twin)


@pytest.mark.parametrize(("kind", "version"), EVERYBODY)
@pytest.mark.parametrize("session", [WITH_CIPHER[1], WITHOUT[1]])
def test_another_key_of_the_kind_yields_nothing(kind, version, session):
    pkesk = read_pkesk(body(write_pkesk(session, reader(kind, version)[0])))
    instead = substitute(session)
    found = open_pkesk(pkesk, *new_key(kind, version), instead)
    # Of RSA nobody learns whether it was the padding or what is in it.
    assert found == (instead if kind.startswith("rsa") else None)


def by_rsa(payload: bytes, like: SessionKey) -> SessionKey | None:
    public, private = reader("rsa1024")
    material = write_mpi(public.key.encrypt(payload, PKCS1v15()))
    return open_pkesk(Pkesk(3, KeyAlgorithm.RSA, public.key_id, "", material), public, private, like)


KEY = bytes(range(16))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x07",
        b"\x07" + KEY + b"\0\0",  # a wrong sum
        b"\x07" + KEY[1:] + checksum(KEY[1:]),
        b"\x07" + KEY + b"\0" + checksum(KEY),
        b"\x09" + KEY + checksum(KEY),
        b"\x63" + KEY + checksum(KEY),  # an unknown cipher
    ],
)
def test_whatever_is_wrong_in_rsa_the_substitute_comes(payload):
    instead = new_session_key(CipherId.AES256, named=True)
    assert by_rsa(payload, instead) is instead
    assert by_rsa(b"\x07" + KEY + checksum(KEY), instead) == SessionKey(KEY, CipherId.AES128)


def test_rsa_ciphertexts_of_any_length():
    public, private = reader("rsa1024")
    instead = new_session_key(CipherId.AES256, named=True)
    for octets in (0, 1, 127, 128, 129, 300):
        material = write_mpi(b"\x7f" * octets)
        pkesk = Pkesk(3, KeyAlgorithm.RSA, public.key_id, "", material)
        assert open_pkesk(pkesk, public, private, instead) is instead


def test_a_cipher_that_we_do_not_have():
    key_octets = bytes(32)
    with pytest.raises(PgpError) as caught:
        by_rsa(bytes((CipherId.TWOFISH,)) + key_octets + checksum(key_octets), WITH_CIPHER[0])
    assert caught.value.reason is ReasonCode.UNSUPPORTED_ALGORITHM


class Token(rsa.RSAPrivateKey):
    """A key in hardware that says no."""

    key_size = 1024

    def __init__(self, error: Exception) -> None:
        self.error = error

    def decrypt(self, ciphertext, padding):
        raise self.error

    def _none(self, *_):
        raise NotImplementedError

    __copy__ = __deepcopy__ = public_key = private_numbers = private_bytes = sign = _none


def test_what_a_token_says():
    pkesk = read_pkesk(body(write_pkesk(WITH_CIPHER[0], reader("rsa1024")[0])))
    with pytest.raises(TransientError):
        open_pkesk(pkesk, reader("rsa1024")[0], Token(TransientError("the token is gone")), WITH_CIPHER[0])
    with pytest.raises(PgpError) as caught:
        open_pkesk(pkesk, reader("rsa1024")[0], Token(UnsupportedAlgorithm("not by this key")), WITH_CIPHER[0])
    assert caught.value.reason is ReasonCode.UNSUPPORTED_ALGORITHM


@pytest.mark.parametrize(
    ("padding", "fits"),
    [(b"\5" * 5, True), (b"\x0d" * 13, True), (b"\4" * 5, True), (b"\0" * 5, False), (b"\4\4\4\4\6", False)],
)
def test_the_padding_of_ecdh(padding, fits):
    """Some hide the length of the session key behind more of it (RFC 9580 §11.5)."""
    public, private = reader("cv25519")
    field, kek = agreement.sent(public, public.key)
    wrapped = aes_key_wrap(kek, b"\x07" + KEY + checksum(KEY) + padding)
    material = field + bytes((len(wrapped),)) + wrapped
    pkesk = Pkesk(3, KeyAlgorithm.ECDH, public.key_id, "", material)
    try:
        found = open_pkesk(pkesk, public, private, WITH_CIPHER[1])
    except PgpError:
        found = None
    # With four octets taken for padding of five, the sum is not at the end.
    assert found == (SessionKey(KEY, CipherId.AES128) if fits and padding[0] == len(padding) else None)


def test_keys_that_cannot_be_written_to():
    weak_kdf = replace(reader("nistp256")[0], kdf=(HashId.SHA256, CipherId.CAMELLIA128))
    of_small_order = replace(reader("x25519")[0], key=X25519PublicKey.from_public_bytes(bytes(32)))
    for public, reason in (
        (key("ed25519").public, ReasonCode.PGP_KEY_UNSUPPORTED),
        (key("p256").public, ReasonCode.PGP_KEY_UNSUPPORTED),
        (weak_kdf, ReasonCode.UNSUPPORTED_ALGORITHM),
        (of_small_order, ReasonCode.MALFORMED),
    ):
        with pytest.raises(PgpError) as caught:
            write_pkesk(WITH_CIPHER[0], public)
        assert caught.value.reason is reason


def test_a_signing_key_opens_nothing():
    made = key("ed25519")
    pkesk = Pkesk(3, KeyAlgorithm.EDDSA_LEGACY, made.public.key_id, "", b"x")
    assert open_pkesk(pkesk, made.public, made.private, WITH_CIPHER[0]) is None


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", ReasonCode.MALFORMED),
        (b"\3" + bytes(7), ReasonCode.MALFORMED),
        (b"\2" + bytes(20), ReasonCode.UNSUPPORTED_ALGORITHM),
        (b"\6\x22\4" + bytes(40), ReasonCode.UNSUPPORTED_ALGORITHM),
        (b"\6\x15\5" + bytes(40), ReasonCode.UNSUPPORTED_ALGORITHM),
        (b"\6\xff" + bytes(40), ReasonCode.MALFORMED),
        (bytes(5000), ReasonCode.MALFORMED),
    ],
)
def test_what_is_no_session_key(octets, reason):
    with pytest.raises(PgpError) as caught:
        read_pkesk(octets)
    assert caught.value.reason is reason


@pytest.mark.parametrize("session", [WITH_CIPHER[0], WITH_CIPHER[1], *WITHOUT])
def test_passwords(session, monkeypatch):
    monkeypatch.setattr(s2k, "WRITTEN_COUNT", 0)
    monkeypatch.setattr(s2k, "WRITTEN_ARGON2", (1, 1, 6))
    skesk = read_skesk(body(write_skesk(session, PASSWORD)))
    assert skesk.version == (6 if session.cipher is None else 4)
    assert open_skesk(skesk, PASSWORD, substitute(session), Work()) == session
    wrong = open_skesk(skesk, "wrong", substitute(session), Work())
    assert wrong is None or (skesk.version == 4 and wrong != session)
    with pytest.raises(PgpError) as caught:
        open_skesk(skesk, PASSWORD, substitute(session), Work(hashed_octets=10, argon2_kib=10))
    assert caught.value.reason is ReasonCode.TOO_LARGE


@pytest.mark.parametrize("version", [5, 6])
@pytest.mark.parametrize("mode", list(AeadId))
def test_passwords_with_authenticated_encryption(version, mode):
    """Version 5 is of drafts and LibrePGP: its key is not derived once more."""
    cipher, salt, nonce = CIPHERS[CipherId.AES128], b"saltsalt", bytes({1: 16, 2: 15, 3: 12}[mode])
    specifier = b"\3\x08" + salt + b"\0"
    info = bytes((0xC3, version, cipher.id, mode))
    key = s2k.read_s2k(s2k.Fields(specifier)).derive(b"password", 16, Work())
    if version == 6:
        key = HKDF(hashes.SHA256(), 16, None, info).derive(key)
    sealed = aead(mode, cipher, key).encrypt(nonce, KEY, info)
    head = bytes((cipher.id, mode))
    if version == 6:
        head = bytes((3 + len(specifier) + len(nonce),)) + head + bytes((len(specifier),))
    skesk = read_skesk(bytes((version,)) + head + specifier + nonce + sealed)
    assert open_skesk(skesk, "password", SessionKey(bytes(16)), Work()) == SessionKey(KEY)
    assert open_skesk(skesk, "password", WITH_CIPHER[1], Work()) == SessionKey(KEY, CipherId.AES128)
    assert open_skesk(skesk, "password", SessionKey(bytes(32)), Work()) is None
    assert open_skesk(skesk, "wrong", SessionKey(bytes(16)), Work()) is None


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\7\x09\0\x08",
        b"\4\x0a\0\x08",  # Twofish
        b"\4\x09\2\x08",
        b"\5\x09\7\0\x08" + bytes(40),
        b"\5\x09\2\0\x08" + bytes(4),
        bytes(600),
    ],
)
def test_what_is_no_session_key_by_a_password(octets):
    with pytest.raises(PgpError):
        read_skesk(octets)


@given(st.sampled_from(EVERYBODY), st.sampled_from([3, 6]), st.binary(max_size=200))
def test_any_material_raises_only_the_typed_error(who, version, material):
    public, private = reader(*who)
    pkesk = Pkesk(version, public.algorithm, public.key_id, "", material)
    like = WITH_CIPHER[1] if version == 3 else WITHOUT[1]
    try:
        found = open_pkesk(pkesk, public, private, like)
    except PgpError:
        return
    assert found is None or found is like


@given(st.binary(max_size=100))
def test_any_octets_raise_only_the_typed_error(octets):
    for read in (read_pkesk, read_skesk):
        for one in (octets, b"\3" + octets, b"\4\x09" + octets, b"\6" + octets):
            try:
                read(one)
            except PgpError:
                continue


def test_passwords_of_several_lanes_at_the_same_time():
    """In a program of its own: threads that wait for each other in native code cannot be ended."""
    code = """
import threading
from mailseal.openpgp.s2k import ARGON2, S2k
from mailseal.openpgp.work import Work
one = S2k(ARGON2, salt=bytes(16), argon2=(1, 4, 13))
def derive():
    for _ in range(20):
        one.derive(b"password", 32, Work())
threads = [threading.Thread(target=derive) for _ in range(4)]
for each in threads: each.start()
for each in threads: each.join()
print("done")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "done\n"
