"""Files as an administrator has them: any form, keys in PEM, of any length; what each holds and what is wrong."""

from io import BytesIO

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ed448, ed25519, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs7,
)
from hypothesis import given
from hypothesis import strategies as st

import pki
from mailseal.smime import importing, importing_keys
from mailseal.smime.importing import Form, ImportingError, Member, open_file

ROOT = pki.Authority("Import Root")
ISSUING = ROOT.subordinate("Import CA")
ANNA = ISSUING.issue("anna@example.com")
BOB = ISSUING.issue("bob@example.com", key="p256")


def read(data, password=b""):
    opened = open_file(BytesIO(data), lambda: password)
    return opened.form, list(opened.members)


def encrypted(identity, password=b"secret"):
    return identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (ANNA.pem + ISSUING.pem, Form.PEM),
        (pkcs7.serialize_certificates([ANNA.x509, ISSUING.x509], Encoding.DER), Form.PKCS7),
        (pkcs7.serialize_certificates([ANNA.x509, ISSUING.x509], Encoding.PEM), Form.PEM),
    ],
)
def test_forms(data, form):
    found, members = read(data)
    assert found is form
    assert {member.certificate for member in members} == {ANNA.certificate, ISSUING.certificate}
    assert all(member == Member(member.certificate) for member in members)


def test_der():
    assert read(ANNA.der) == (Form.DER, [Member(ANNA.certificate)])


def test_pkcs12():
    form, (anna, issuing) = read(ANNA.p12(b"secret"), b"secret")
    assert form is Form.PKCS12
    assert (anna.certificate, anna.problem, anna.lost_key) == (ANNA.certificate, "", False)
    assert anna.key.private_numbers() == ANNA.key.private_numbers()
    assert issuing == Member(ISSUING.certificate)
    for wrong in (b"guess", b""):
        with pytest.raises(ImportingError, match="password"):
            read(ANNA.p12(b"secret"), wrong)


def test_keys_find_their_certificates_wherever_they_stand():
    _, members = read(BOB.key_pem + ANNA.pem + encrypted(ANNA) + ISSUING.pem + BOB.pem, b"secret")
    assert [member.certificate for member in members] == [ANNA.certificate, ISSUING.certificate, BOB.certificate]
    assert members[0].key.private_numbers() == ANNA.key.private_numbers()
    assert members[1].key is None
    assert members[2].key.private_numbers() == BOB.key.private_numbers()
    assert not any(member.problem for member in members)


@pytest.mark.parametrize("key", [ed25519.Ed25519PrivateKey.generate(), x25519.X25519PrivateKey.generate()])
def test_keys_on_curve_25519(key):
    one = ISSUING.issue("new@example.com", key=key)
    for written in (one.key_pem, encrypted(one)):
        _, (member,) = read(written + one.pem, b"secret")
        assert member.certificate == one.certificate
        assert member.key.private_bytes_raw() == key.private_bytes_raw()
        assert not member.problem


def test_a_renewed_certificate_has_the_key_too():
    renewed = ISSUING.issue("anna@example.com", key=ANNA.key)
    _, members = read(ANNA.key_pem + ANNA.pem + renewed.pem)
    assert [member.certificate for member in members if member.key] == [ANNA.certificate, renewed.certificate]


def test_a_key_without_its_certificate_is_told():
    _, members = read(BOB.key_pem + ANNA.pem)
    assert members == [
        Member(ANNA.certificate),
        Member(problem="the file holds no certificate for its private key", lost_key=True),
    ]


def test_a_password_is_asked_for_once_and_only_when_needed():
    asked = []

    def password():
        asked.append(1)
        return b"secret"

    list(open_file(BytesIO(ANNA.key_pem + ANNA.pem), password).members)
    assert not asked
    found = list(open_file(BytesIO(encrypted(ANNA) + encrypted(BOB) + BOB.pem + ANNA.pem), password).members)
    assert len(asked) == 1
    assert all(one.key for one in found)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (encrypted(ANNA, b"other"), "member 1: the password of the private key is wrong"),
        (ANNA.key_pem.replace(b"MII", b"***"), "member 1: the PEM block is not base64"),
        (ANNA.key_pem[:600] + b"\n-----END PRIVATE KEY-----\n", "member 1: the private key cannot be read"),
        (ANNA.key_pem[:600] + b"\n", "member 1: the PEM block PRIVATE KEY has no end"),
        (
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "member 1: the private",
        ),
        (
            b"-----BEGIN PRIVATE KEY-----\n" + b"A" * 200_000 + b"\n-----END PRIVATE KEY-----\n",
            "member 1: the private key is too large",
        ),
        (ISSUING.issue("x@y.de", key="secp256k1").key_pem, "no certificate for its private key"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nMAA=\n-----END OPENSSH PRIVATE KEY-----\n", "is not a certificate"),
    ],
)
def test_a_bad_key_does_not_hide_the_certificates(key, text):
    _, members = read(key + BOB.pem + BOB.key_pem, b"secret")
    assert [member.certificate for member in members if member.key] == [BOB.certificate]
    (problem,) = [member.problem for member in members if member.problem]
    assert text in problem


def test_a_key_that_may_not_be_used_leaves_its_certificate():
    odd = ISSUING.issue("odd@example.com", key="secp256k1")
    _, (member,) = read(odd.pem + odd.key_pem)
    assert member.certificate == odd.certificate
    assert (member.key, member.lost_key) == (None, True)
    assert "curve secp256k1 is not supported" in member.problem


def test_too_many_keys(monkeypatch):
    monkeypatch.setattr(importing_keys, "MAX_KEYS", 1)
    monkeypatch.setattr(importing, "MAX_MEMBERS", 2)
    _, members = read(ANNA.key_pem + BOB.key_pem + BOB.key_pem + ANNA.pem)
    assert [member.certificate for member in members if member.key] == [ANNA.certificate]
    assert [member.problem for member in members if member.problem] == [
        "member 1: the file has more than 1 private keys",
        "member 2: the file has too many private keys",
    ]


def test_size_counts_only_where_a_file_is_read_in_one_piece(monkeypatch):
    monkeypatch.setattr(importing, "MAX_FILE_OCTETS", len(ANNA.der) - 1)
    with pytest.raises(ImportingError, match="larger than"):
        read(ANNA.der)
    assert len(read((ANNA.pem + BOB.pem) * 3)[1]) == 6


def test_nothing_of_a_key_shows():
    _, (member,) = read(ANNA.key_pem + ANNA.pem)
    assert "RSAPrivateKey" not in repr(member)
    block = next(importing.blocks(BytesIO(ANNA.key_pem)))
    assert ANNA.key_pem.splitlines()[3].decode() not in repr(block)


KINDS = [ANNA.pem, ANNA.key_pem, encrypted(BOB), BOB.p12(b""), BOB.key.private_bytes(
    Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
)]  # fmt: skip


@given(st.sampled_from(KINDS), st.data())
def test_damage_raises_only_the_typed_error(file, data):
    changed = bytearray(file + BOB.pem)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        _, members = read(bytes(changed[: data.draw(st.integers(0, len(changed)))]), b"secret")
    except ImportingError:
        return
    assert all(member.certificate or member.problem for member in members)


def test_keys_of_other_kinds_are_not_even_loaded(monkeypatch):
    """The library computes the public half of a DSA key out of the other: hours for one that fits into a file."""
    monkeypatch.setattr(importing_keys, "load_der_private_key", lambda *_, **__: pytest.fail("loaded"))
    for key in (dsa.generate_private_key(1024), ed448.Ed448PrivateKey.generate()):
        pkcs8 = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _, (bad, good) = read(pkcs8 + BOB.pem)
        assert "of a kind that is not used here" in bad.problem
        assert good.certificate == BOB.certificate


def test_headers_do_not_get_round_the_bound_of_key_derivation(monkeypatch):
    """The library passes over what it takes for no header of its own, and derives a key as often as it is told."""
    begin = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    key = encrypted(BOB).replace(begin, begin + b"X: y\n\n")
    monkeypatch.setattr(importing_keys, "load_pem_private_key", lambda *_, **__: pytest.fail("derived"))
    _, (bad, good) = read(key + BOB.pem, b"secret")
    assert bad.lost_key
    assert good == Member(BOB.certificate)
