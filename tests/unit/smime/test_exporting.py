"""Certificates and keys into files. Other programs read them in tests/e2e/t-20-import-export."""

import pytest
from asn1crypto import cms
from asn1crypto import pkcs12 as asn1_pkcs12
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12
from hypothesis import given, settings
from hypothesis import strategies as st

import pki
from mailseal.smime import exporting
from mailseal.smime.certificate import parse_certificate
from mailseal.smime.exporting import ExportingError, Profile, check_password, to_der, to_pem, to_pkcs7, to_pkcs12
from mailseal.smime.importing import read_bundle, read_certificates, read_pkcs12

ROOT = pki.Authority("Export Root")
ISSUING = ROOT.subordinate("Export CA")
ANNA = ISSUING.issue("anna@example.com")
BOB = ISSUING.issue("bob@example.com", key="p256")
ALL = (ANNA.certificate, BOB.certificate, ISSUING.certificate)
PASSWORD = b"correct horse"


def test_pem():
    assert read_certificates(to_pem(ALL)) == ALL
    assert to_pem(ALL[:1]) == ANNA.pem


def test_der():
    assert to_der(ALL[:1]) == ANNA.der
    with pytest.raises(ExportingError, match="one certificate"):
        to_der(ALL)
    with pytest.raises(ExportingError, match="one certificate"):
        to_der(())


def test_pkcs7():
    made = to_pkcs7(ALL)
    assert set(read_certificates(made)) == set(ALL)
    assert {one.serial_number for one in pkcs7.load_der_pkcs7_certificates(made)} == {one.serial for one in ALL}
    content = cms.ContentInfo.load(made)["content"]
    assert content["version"].native == "v1"
    assert content["encap_content_info"]["content_type"].native == "data"
    assert len(content["signer_infos"]) == len(content["digest_algorithms"]) == 0
    # DER: written again by another library it is the same.
    assert cms.ContentInfo.load(made).dump(force=True) == made


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("kind", ["rsa2048", "p256", "p384", "p521"])
def test_pkcs12_round_trip(kind, profile, monkeypatch):
    monkeypatch.setattr(exporting, "ITERATIONS", 1000)
    one = ISSUING.issue("anna@example.com", key=kind)
    made = to_pkcs12(one.certificate, one.key, [ISSUING.certificate], PASSWORD, profile=profile)
    imported = read_pkcs12(made, PASSWORD)
    ((certificate, key),) = imported.keys
    assert certificate == one.certificate
    assert key.private_numbers() == one.key.private_numbers()
    assert imported.chain == (ISSUING.certificate,)
    assert imported.problems == ()


@pytest.mark.parametrize("profile", Profile)
def test_an_ed25519_key(profile):
    one = ISSUING.issue("anna@example.com", key="ed25519")
    made = to_pkcs12(one.certificate, one.key, (), PASSWORD, profile=profile)
    ((_, key),) = read_pkcs12(made, PASSWORD).keys
    assert key.private_bytes_raw() == one.key.private_bytes_raw()


def test_what_the_profiles_are():
    modern, legacy = (
        asn1_pkcs12.Pfx.load(to_pkcs12(BOB.certificate, BOB.key, [ISSUING.certificate], PASSWORD, profile=profile))
        for profile in Profile
    )
    assert modern["mac_data"]["mac"]["digest_algorithm"]["algorithm"].native == "sha256"
    assert legacy["mac_data"]["mac"]["digest_algorithm"]["algorithm"].native == "sha1"
    assert modern["mac_data"]["iterations"].native == exporting.ITERATIONS >= 100_000
    for algorithm in algorithms(modern):
        assert algorithm["algorithm"].native == "pbes2"
        assert algorithm.encryption_cipher == "aes"
        assert algorithm.key_length == 32
        assert algorithm.kdf_hmac == "sha256"
        assert algorithm.kdf_iterations == exporting.ITERATIONS
    for algorithm in algorithms(legacy):
        assert algorithm["algorithm"].native == "pkcs12_sha1_tripledes_3key"


def algorithms(file):
    encrypted, plain = file.authenticated_safe
    (key,) = asn1_pkcs12.SafeContents.load(plain["content"].native)
    return (
        encrypted["content"]["encrypted_content_info"]["content_encryption_algorithm"],
        key["bag_value"]["encryption_algorithm"],
    )


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [("", "bob@example.com"), ("Bob Müller", "Bob Müller"), ("a\nb\0c", "abc"), ("x" * 99, "x" * 64), ("\n", None)],
)
def test_friendly_name(given_name, expected):
    made = to_pkcs12(BOB.certificate, BOB.key, (), PASSWORD, profile=Profile.LEGACY, name=given_name)
    assert pkcs12.load_pkcs12(made, PASSWORD).cert.friendly_name == (expected or "certificate").encode()


def test_the_name_of_a_certificate_without_address():
    nobody = ISSUING.issue((), key=BOB.key, common_name="Example Gateway")
    made = to_pkcs12(nobody.certificate, nobody.key, (), PASSWORD, profile=Profile.LEGACY)
    assert b"Example Gateway" in pkcs12.load_pkcs12(made, PASSWORD).cert.friendly_name


@pytest.mark.parametrize(
    ("password", "text"),
    [
        (b"", "needs a password"),
        (b"short12", "too short: at least 8"),
        ("pässwörd1".encode(), "ASCII only"),
        ("pässwörd1".encode("latin-1"), "ASCII only"),
        (b"new\nline12", "ASCII only"),
        (b"x" * 129, "too long"),
    ],
)
def test_passwords_that_do_not_do(password, text):
    with pytest.raises(ExportingError, match=text) as raised:
        to_pkcs12(BOB.certificate, BOB.key, (), password)
    assert password.decode("latin-1") not in str(raised.value) or not password


def test_every_sign_of_ascii_does():
    check_password(bytes(range(0x20, 0x7F)))


def test_keys_that_cannot_be_written():
    key = x25519.X25519PrivateKey.generate()
    with pytest.raises(ExportingError, match="cannot be written into PKCS#12"):
        to_pkcs12(BOB.certificate, key, (), PASSWORD)
    with pytest.raises(ExportingError, match="does not belong"):
        to_pkcs12(BOB.certificate, ANNA.key, (), PASSWORD)


@settings(max_examples=10)
@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=8, max_size=64), st.text(max_size=80))
def test_any_password_and_name_that_are_taken_are_read_again(password, name):
    made = to_pkcs12(
        BOB.certificate, BOB.key, [ISSUING.certificate], password.encode(), profile=Profile.LEGACY, name=name
    )
    assert read_pkcs12(made, password.encode()).keys[0][0] == BOB.certificate


def test_a_file_without_its_password_shows_nothing():
    made = to_pkcs12(BOB.certificate, BOB.key, [ISSUING.certificate], PASSWORD)
    assert BOB.certificate.subject_der not in made
    with pytest.raises(Exception, match="needs a password"):
        read_bundle(made)


def test_a_certificate_that_the_library_does_not_take():
    der = ANNA.der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020105"), 1)
    odd = parse_certificate(der)
    for certificate, others in ((odd, []), (ANNA.certificate, [odd])):
        with pytest.raises(ExportingError, match="cannot be written"):
            exporting.to_pkcs12(certificate, ANNA.key, others, PASSWORD)
