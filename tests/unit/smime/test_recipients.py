"""Recipients other than by RSA: curves, keys agreed beforehand, passwords; and what hostile ones may cost."""

import os
import time
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from hypothesis import given
from hypothesis import strategies as st

from cms_samples import BODY, people
from mailseal.policy.reason import ReasonCode
from mailseal.smime import algorithms, ber, der
from mailseal.smime.decrypt import MAX_ATTEMPTS, read_enveloped
from mailseal.smime.encrypt import encrypt
from mailseal.smime.errors import CmsError
from mailseal.smime.form import EncryptionForm
from mailseal.smime.secret import SharedKey, SharedPassword
from old_cms import (
    AES256_WRAP,
    RC2_WRAP,
    TRIPLE_DES_WRAP,
    agreement_info,
    encrypted,
    enveloped,
    identifier,
    password_info,
    shared_key_info,
)
from pki import Authority

PASSWORD = SharedPassword(b"secret word")
HMAC_SHA256, HMAC_SHA512 = "1.2.840.113549.2.9", "1.2.840.113549.2.11"


def person(key):
    """Somebody with a key: enough of a certificate to be named by."""
    certificate = people()["p256"].certificate
    return SimpleNamespace(key=key, certificate=certificate)


def opened(octets, *secrets, limit=1000):
    return read_enveloped(octets).decrypt_with_secrets(secrets, limit)


def reason(octets, *secrets):
    with pytest.raises(CmsError) as caught:
        opened(octets, *secrets)
    return caught.value.reason


CURVES = [ec.SECP256R1, ec.SECP384R1, ec.SECP521R1, ec.BrainpoolP256R1, ec.BrainpoolP384R1, ec.BrainpoolP512R1]


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_curves(curve):
    one = person(ec.generate_private_key(curve()))
    octets = encrypted(lambda key: [agreement_info(one, key)], BODY)
    assert read_enveloped(octets).decrypt([(one.certificate, one.key)], 1000) == BODY
    other = ec.generate_private_key(curve())
    with pytest.raises(CmsError) as caught:
        read_enveloped(octets).decrypt([(one.certificate, other)], 1000)
    assert caught.value.reason is ReasonCode.DECRYPTION_FAILED


AGREEMENTS = [
    *algorithms.HKDF_AGREEMENTS,
    algorithms.STD_DH_SHA256_KDF,  # RFC 8418 §2.1: X9.63 is allowed too
]


@pytest.mark.parametrize("material", [None, b"", b"user keying material"])
@pytest.mark.parametrize("derivation", AGREEMENTS)
def test_x25519(derivation, material):
    one = person(x25519.X25519PrivateKey.generate())
    octets = encrypted(lambda key: [agreement_info(one, key, derivation=derivation, material=material)], BODY)
    assert read_enveloped(octets).decrypt([(one.certificate, one.key)], 1000) == BODY


def test_a_certificate_with_x25519_is_encrypted_to():
    one = Authority("Curves").issue("x@example.org", key=x25519.X25519PrivateKey.generate())
    octets = encrypt([BODY], [one.certificate, people()["p384"].certificate], EncryptionForm())
    octets = octets if isinstance(octets, bytes) else b"".join(octets)
    assert read_enveloped(octets).decrypt([(one.certificate, one.key)], 1000) == BODY


@pytest.mark.parametrize("point", [b"", bytes(32), b"\1" + bytes(31), bytes(31), b"\4" + bytes(64)])
def test_points_of_no_use(point):
    for key in (x25519.X25519PrivateKey.generate(), people()["p256"].key):
        one = person(key)
        octets = encrypted(lambda content_key, one=one: [agreement_info(one, content_key, point=point)], BODY)
        with pytest.raises(CmsError) as caught:
            read_enveloped(octets).decrypt([(one.certificate, one.key)], 1000)
        assert caught.value.reason is ReasonCode.DECRYPTION_FAILED


def test_keys_that_cannot_agree():
    one = person(people()["p256"].key)
    octets = encrypted(lambda key: [agreement_info(one, key)], BODY)
    for key in (ed25519.Ed25519PrivateKey.generate(), people()["rsa2048"].key):
        with pytest.raises(CmsError) as caught:
            read_enveloped(octets).decrypt([(one.certificate, key)], 1000)
        assert caught.value.reason is ReasonCode.DECRYPTION_FAILED


def test_a_sender_named_by_certificate_is_not_agreed_with():
    one = person(people()["p256"].key)
    octets = encrypted(lambda key: [agreement_info(one, key)], BODY)
    info = ber.read(octets).children[1].children[0].children[1].children[0]
    sender = info.children[1].whole
    static = der.element(0xA0, der.sequence(one.certificate.issuer_der, der.integer(1)))
    fields = [static if field.whole == sender else field.whole for field in info.children]
    changed = encrypted(lambda _: [der.element(0xA1, *fields)], BODY)
    with pytest.raises(CmsError) as caught:
        read_enveloped(changed).decrypt([(one.certificate, one.key)], 1000)
    assert caught.value.reason is ReasonCode.DECRYPTION_FAILED


@pytest.mark.parametrize(("wrap", "octets"), [(TRIPLE_DES_WRAP, 24), (RC2_WRAP, 16), (AES256_WRAP, 32)])
def test_wraps_of_a_triple_des_key(wrap, octets):
    kek = os.urandom(octets)
    structure = encrypted(lambda key: [shared_key_info(wrap, kek, key)], BODY, "3des-cbc")
    assert opened(structure, SharedKey(kek)) == BODY
    one = person(people()["p384"].key)
    structure = encrypted(lambda key: [agreement_info(one, key, wrap=wrap, kek_octets=octets)], BODY, "3des-cbc")
    assert read_enveloped(structure).decrypt([(one.certificate, one.key)], 1000) == BODY


def test_rc2_wraps_any_key():
    kek = os.urandom(16)
    for cipher in ("aes128-cbc", "aes256-cbc", "des-cbc", "cast5-cbc", "rc2-128-cbc"):
        structure = encrypted(lambda key: [shared_key_info(RC2_WRAP, kek, key)], BODY, cipher)
        assert opened(structure, SharedKey(kek)) == BODY


@given(st.data())
def test_a_changed_wrapped_key_opens_nothing(data):
    """The wraps check what they unwrap: any change of the wrapped key is seen."""
    wrap, octets = data.draw(st.sampled_from([(TRIPLE_DES_WRAP, 24), (RC2_WRAP, 16), (AES256_WRAP, 32)]))
    kek = bytes(range(octets))
    info = bytearray(shared_key_info(wrap, kek, bytes(range(24))))
    info[-1 - data.draw(st.integers(0, 31))] ^= data.draw(st.integers(1, 255))
    found = read_enveloped(enveloped([bytes(info)], identifier("3des-cbc", bytes(8)), bytes(8)))
    assert found._infos[0].unwrap(SharedKey(kek), bytes(24)) is None


def test_identifiers_of_keys_with_all_that_may_stand_there():
    kek = os.urandom(32)
    date = der.element(0x18, b"20260315120000Z")
    other = date + der.sequence(der.oid("1.2.3"), der.octet_string(b"anything"))
    structure = encrypted(lambda key: [shared_key_info(AES256_WRAP, kek, key, other=other)], BODY)
    assert opened(structure, SharedKey(kek, b"id")) == BODY
    assert reason(structure, SharedKey(kek, b"other")) is ReasonCode.KEY_NOT_FOUND


@pytest.mark.parametrize("cipher", ["aes128-cbc", "aes256-cbc", "3des-cbc", "cast5-cbc", "des-cbc", "rc2-128-cbc"])
@pytest.mark.parametrize("function", ["", HMAC_SHA256, HMAC_SHA512])
def test_passwords(cipher, function):
    structure = encrypted(lambda key: [password_info(PASSWORD.octets, key, cipher=cipher, function=function)], BODY)
    assert opened(structure, PASSWORD) == BODY
    assert reason(structure, SharedPassword(b"wrong")) is ReasonCode.DECRYPTION_FAILED
    assert reason(structure, SharedKey(bytes(32))) is ReasonCode.KEY_NOT_FOUND


def test_a_stated_length_of_the_derived_key():
    for length, opens in ((32, True), (31, False), (33, False)):
        structure = encrypted(lambda key, length=length: [password_info(PASSWORD.octets, key, length=length)], BODY)
        if opens:
            assert opened(structure, PASSWORD) == BODY
        else:
            assert reason(structure, PASSWORD) is ReasonCode.DECRYPTION_FAILED


@pytest.mark.parametrize(
    "plain",
    [bytes(48), b"\x20\xff\xff\xfe" + bytes(44), b"\x1f\xff\xff\xff" + bytes(44), b"\xff" * 48, bytes(16), bytes(64)],
)
def test_what_a_password_unwraps_is_checked(plain):
    structure = encrypted(lambda key: [password_info(PASSWORD.octets, key, plain=plain)], BODY)
    assert reason(structure, PASSWORD) is ReasonCode.DECRYPTION_FAILED


@pytest.mark.parametrize(("iterations", "expected"), [(0, ReasonCode.UNSUPPORTED_ALGORITHM), (-1, None)])
def test_counts_that_make_no_sense(iterations, expected):
    info = password_info(PASSWORD.octets, bytes(32)).replace(der.integer(10), der.integer(iterations))
    structure = encrypted(lambda _: [info], BODY)
    assert reason(structure, PASSWORD) is (expected or ReasonCode.UNSUPPORTED_ALGORITHM)


@pytest.mark.parametrize(("each", "tried"), [(2**31, 0), (4_000_000, 2), (1_000_000, 8)])
def test_work_for_a_password_is_bounded_over_all_tries(monkeypatch, each, tried):
    infos = [password_info(PASSWORD.octets, bytes(32), iterations=each)] * 20
    structure = enveloped(infos, identifier("aes256-cbc", bytes(16)), bytes(64))
    rounds = []
    monkeypatch.setattr("hashlib.pbkdf2_hmac", lambda *given: rounds.append(given[3]) or os.urandom(32))
    expected = ReasonCode.DECRYPTION_FAILED if tried == MAX_ATTEMPTS else ReasonCode.TOO_LARGE
    assert reason(structure, SharedPassword(b"x")) is expected
    assert len(rounds) == tried


def test_tries_are_bounded(monkeypatch):
    tried = []
    monkeypatch.setattr("mailseal.smime.key_wrap.aes_key_unwrap", lambda *given: tried.append(given) or bytes(32))
    info = shared_key_info(AES256_WRAP, bytes(32), bytes(32))
    structure = enveloped([info] * 1000, identifier("aes256-cbc", bytes(16)), bytes(64))
    with pytest.raises(CmsError):
        opened(structure, SharedKey(bytes(32)))
    assert len(tried) == MAX_ATTEMPTS


@pytest.mark.parametrize("kind", ["password", "key", "agreement"])
def test_a_thousand_recipients_are_read_and_no_more(kind):
    one = person(people()["p256"].key)
    info = {
        "password": password_info(b"x", bytes(32)),
        "key": shared_key_info(AES256_WRAP, bytes(32), bytes(32)),
        "agreement": agreement_info(one, bytes(32)),
    }[kind]
    algorithm = identifier("aes256-cbc", bytes(16))
    started = time.process_time()
    assert len(read_enveloped(enveloped([info] * 1000, algorithm, bytes(16))).recipients) == 1000
    assert time.process_time() - started < 1
    with pytest.raises(CmsError):
        read_enveloped(enveloped([info] * 1001, algorithm, bytes(16)))


def test_recipients_of_one_agreement_count_one_by_one():
    one = person(people()["p256"].key)
    info = ber.read(agreement_info(one, bytes(32)))
    keys = info.children[-1].children[0].whole
    many = [field.whole for field in info.children[:-1]]
    for count, fits in ((1000, True), (1001, False)):
        structure = enveloped(
            [der.element(0xA1, *many, der.sequence(*[keys] * count))], identifier("aes256-cbc", bytes(16)), bytes(16)
        )
        if fits:
            assert len(read_enveloped(structure).recipients) == count
        else:
            with pytest.raises(CmsError) as caught:
                read_enveloped(structure)
            assert caught.value.reason is ReasonCode.TOO_LARGE


def test_a_secret_is_in_no_repr():
    for secret in (SharedKey(b"canary", b"id"), SharedPassword(b"canary")):
        assert "canary" not in repr(secret)
    kek = b"k" * 32
    found = read_enveloped(encrypted(lambda key: [shared_key_info(AES256_WRAP, kek, key)], b"canary"))
    assert "canary" not in repr(found)


@pytest.mark.parametrize("what", [AES256_WRAP, RC2_WRAP, TRIPLE_DES_WRAP])
def test_unknown_wraps_are_named_as_such(what):
    info = shared_key_info(what, bytes({AES256_WRAP: 32, RC2_WRAP: 16, TRIPLE_DES_WRAP: 24}[what]), bytes(24))
    unknown = der.sequence(der.oid("1.2.3.4.5"), der.integer(58))
    fields = [unknown if one.whole == what else one.whole for one in ber.read(info).children]
    structure = encrypted(lambda _: [der.element(0xA2, *fields)], BODY)
    assert reason(structure, SharedKey(bytes(32))) is ReasonCode.UNSUPPORTED_ALGORITHM
