"""Ciphers of old mail: sizes and parameters, and what must not come through."""

import os

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given
from hypothesis import strategies as st

from cms_samples import BODY, keys, people
from mailseal.mail.mime import parse
from mailseal.policy.model import Already
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Cipher
from mailseal.smime import algorithms, der
from mailseal.smime.algorithms import Mode
from mailseal.smime.content import MAX_SLOW_OCTETS
from mailseal.smime.decrypt import MAX_ATTEMPTS, UNKNOWN, read_enveloped
from mailseal.smime.errors import CmsError
from mailseal.smime.message import already
from mailseal.smime.sign import issuer_and_serial
from old_cms import (
    CIPHERS,
    RC2_WRAP,
    cbc,
    encrypted,
    enveloped,
    identifier,
    password_info,
    shared_key_info,
)

OLD = ("3des-cbc", "des-cbc", "cast5-cbc", "rc2-128-cbc")
RC2 = algorithms.CIPHERS_BY_NAME["rc2-128-cbc"].oid
CAST5 = algorithms.CIPHERS_BY_NAME["cast5-cbc"].oid
VECTOR = der.octet_string(bytes(8))


def transport(key: bytes) -> bytes:
    public = people()["rsa2048"].key.public_key()
    name = issuer_and_serial(people()["rsa2048"].certificate)
    algorithm = der.sequence(algorithms.RSA_ENCRYPTION, der.NULL)
    return der.sequence(der.integer(0), name, algorithm, der.octet_string(public.encrypt(key, padding.PKCS1v15())))


def opened(octets, limit=10_000_000):
    return read_enveloped(octets).decrypt(keys("rsa2048"), limit)


def failure(octets):
    with pytest.raises(CmsError) as caught:
        opened(octets)
    return caught.value


@given(st.sampled_from(OLD), st.binary(max_size=100))
def test_content_comes_back(cipher, content):
    octets = encrypted(lambda key: [transport(key)], content, cipher)
    found = read_enveloped(octets)
    assert (found.algorithm, found.weak, found.integrity) == (cipher, True, "none")
    assert opened(octets) == content


def test_none_of_them_is_written():
    names = {row.name for row in algorithms.CIPHERS.values() if row.weak}
    assert names == {*OLD}
    assert not names & {cipher.value for cipher in Cipher}
    assert all(row.weak is (row.mode not in (Mode.CBC, Mode.GCM)) for row in algorithms.CIPHERS.values())


@pytest.mark.parametrize(
    ("version", "name", "key_octets"), [(160, "rc2-40-cbc", 5), (120, "rc2-64-cbc", 8), (58, "rc2-128-cbc", 16)]
)
def test_sizes_of_rc2_are_told_by_a_version(version, name, key_octets):
    algorithm = der.sequence(RC2, der.sequence(der.integer(version), VECTOR))
    found = read_enveloped(enveloped([transport(bytes(key_octets))], algorithm, bytes(8)))
    assert (found.algorithm, found._content.row.key_octets) == (name, key_octets)


@pytest.mark.parametrize(
    "parameters",
    [
        b"",
        der.NULL,
        VECTOR,
        der.sequence(VECTOR),
        der.sequence(der.integer(58)),
        *(der.sequence(der.integer(bits), VECTOR) for bits in (0, -1, 40, 128, 256, 1024, 2**1000)),
    ],
)
def test_rc2_of_no_known_size(parameters):
    octets = enveloped([transport(bytes(16))], der.sequence(RC2, parameters), bytes(8))
    found = read_enveloped(octets)
    assert (found.algorithm, found.weak) in {(UNKNOWN, False), ("rc2-128-cbc", True)}
    assert failure(octets).reason in {ReasonCode.UNSUPPORTED_ALGORITHM, ReasonCode.MALFORMED}


@pytest.mark.parametrize("key_octets", [5, 8, 16])
@pytest.mark.parametrize("vector", [bytes(8), b"\1" * 8])
def test_sizes_of_cast5(key_octets, vector):
    """RFC 2984: the vector is zero where it is not written."""
    key = os.urandom(key_octets)
    written = der.octet_string(vector) if any(vector) else b""
    algorithm = der.sequence(CAST5, der.sequence(written, der.integer(8 * key_octets)))
    ciphertext = cbc(CIPHERS["cast5-cbc"][0], key, vector, b"content" + b"\1")
    octets = enveloped([transport(key)], algorithm, ciphertext)
    assert read_enveloped(octets).algorithm == "cast5-cbc"
    assert opened(octets) == b"content"


@pytest.mark.parametrize("bits", [0, -8, 32, 44, 136, 2**900])
def test_cast5_of_no_known_size(bits):
    algorithm = der.sequence(CAST5, der.sequence(VECTOR, der.integer(bits)))
    octets = enveloped([transport(bytes(16))], algorithm, bytes(8))
    assert read_enveloped(octets).algorithm == UNKNOWN
    assert failure(octets).reason is ReasonCode.UNSUPPORTED_ALGORITHM


@pytest.mark.parametrize("cipher", OLD)
@pytest.mark.parametrize("vector", [b"", bytes(7), bytes(9), bytes(16), bytes(1000)])
def test_vectors_of_a_wrong_size(cipher, vector):
    octets = enveloped([transport(bytes(CIPHERS[cipher][1]))], identifier(cipher, vector), bytes(144))
    assert failure(octets).reason in {ReasonCode.MALFORMED, ReasonCode.UNSUPPORTED_ALGORITHM}


@pytest.mark.parametrize("cipher", OLD)
@pytest.mark.parametrize("octets_too_many", [-1, 1, 8])
def test_the_content_key_has_the_size_of_the_cipher(cipher, octets_too_many):
    """A key of another length is the same failure as a wrong key."""
    key = os.urandom(CIPHERS[cipher][1] + octets_too_many)
    errors = set()
    for _ in range(3):
        octets = enveloped([transport(key)], identifier(cipher, bytes(8)), os.urandom(64))
        try:
            opened(octets)
        except CmsError as error:
            errors.add((error.reason, str(error)))
    assert errors == {(ReasonCode.DECRYPTION_FAILED, "the content could not be decrypted")}


@pytest.mark.parametrize("version", [160, 120])
def test_slow_content_is_bounded(version, monkeypatch):
    work = []
    monkeypatch.setattr(
        "mailseal.smime.rc2.decrypt_cbc", lambda key, bits, iv, ciphertext: work.append(len(ciphertext)) or bytes(8)
    )
    algorithm = der.sequence(RC2, der.sequence(der.integer(version), VECTOR))
    infos = [transport(bytes(5))] * 20
    for size in (8, 1024, MAX_SLOW_OCTETS // 4, MAX_SLOW_OCTETS, MAX_SLOW_OCTETS + 8):
        work.clear()
        failure(enveloped(infos, algorithm, bytes(size)))
        assert sum(work) <= MAX_SLOW_OCTETS
        assert len(work) <= MAX_ATTEMPTS
        assert bool(work) is (size <= MAX_SLOW_OCTETS)


def test_octets_of_any_content_are_those_of_the_body():
    assert opened(encrypted(lambda key: [transport(key)], BODY, "des-cbc")) == BODY


def entity(octets):
    return parse(b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n" + octets).root


@pytest.mark.parametrize("cipher", [*CIPHERS])
def test_what_counts_as_encrypted_already(cipher):
    """A key that can be found by trying, or a password that can be guessed, keeps nothing secret on the way out."""
    strong = cipher != "des-cbc"
    octets = encrypted(lambda key: [transport(key)], BODY, cipher)
    assert already(entity(octets)) is (Already.ENCRYPTED if strong else Already.NOTHING)
    for info in (lambda key: [password_info(b"x", key)], lambda key: [shared_key_info(RC2_WRAP, bytes(16), key)]):
        assert already(entity(encrypted(info, BODY, cipher))) is Already.NOTHING


@pytest.mark.parametrize(("version", "counts"), [(160, False), (120, False), (58, True)])
def test_small_rc2_does_not_count_as_encrypted(version, counts):
    algorithm = der.sequence(RC2, der.sequence(der.integer(version), VECTOR))
    octets = enveloped([transport(bytes(5))], algorithm, bytes(8))
    assert already(entity(octets)) is (Already.ENCRYPTED if counts else Already.NOTHING)
