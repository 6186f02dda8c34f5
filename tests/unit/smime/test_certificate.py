"""Certificates: the strict reader, against `cryptography` as the second opinion."""

import hashlib
import time
import warnings
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

import pki
from mailseal.smime.certificate import (
    MAX_CERTIFICATE_OCTETS,
    CertificateError,
    parse_certificate,
    public_key,
)
from mailseal.smime.extension import MAX_CAPABILITIES_OCTETS

ROOT = pki.Authority("Parsing Root")
ISSUING = ROOT.subordinate("Parsing CA")
ANNA = ISSUING.issue("anna@example.com", key="p256", subject_emails=["old@example.com"])


@pytest.mark.parametrize("kind", ["rsa2048", "rsa3072", "p256", "p384", "p521"])
def test_fields_are_those_that_cryptography_reads(kind):
    identity = ISSUING.issue(["a@example.com", "b@example.org"], key=kind)
    parsed, other = identity.certificate, identity.x509
    spki = other.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert parsed.der == other.public_bytes(Encoding.DER)
    assert parsed.fingerprint == hashlib.sha256(parsed.der).hexdigest()
    assert parsed.spki_der == spki
    assert parsed.spki_sha256 == hashlib.sha256(spki).hexdigest()
    assert parsed.serial == other.serial_number
    assert (parsed.not_before, parsed.not_after) == (other.not_valid_before_utc, other.not_valid_after_utc)
    assert parsed.subject_der == other.subject.public_bytes()
    assert parsed.issuer_der == other.issuer.public_bytes()
    assert parsed.ski == other.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert parsed.aki == other.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert parsed.san_emails == ("a@example.com", "b@example.org")
    assert parsed.extended_usage == frozenset({pki.EMAIL_PROTECTION})
    assert not parsed.is_ca
    assert public_key(parsed) == identity.key.public_key()


def test_key_algorithms_have_names():
    names = {kind: ISSUING.issue("a@b.de", key=kind).certificate.key_algorithm for kind in ("rsa2048", "p256", "p384")}
    assert names == {"rsa2048": "rsa-2048", "p256": "ec-secp256r1", "p384": "ec-secp384r1"}
    assert ISSUING.issue("a@b.de", key="ed25519").certificate.key_algorithm == "ed25519"
    assert ISSUING.issue("a@b.de", key=X25519PrivateKey.generate()).certificate.key_algorithm == "x25519"


@pytest.mark.parametrize(
    ("curve", "name"),
    [
        (ec.SECP224R1, "ec-secp224r1"),
        (ec.SECP256K1, "ec-secp256k1"),
        (ec.BrainpoolP256R1, "ec-brainpoolP256r1"),
        (ec.BrainpoolP384R1, "ec-brainpoolP384r1"),
        (ec.BrainpoolP512R1, "ec-brainpoolP512r1"),
    ],
)
def test_curves_have_names(curve, name):
    key = ec.generate_private_key(curve())
    certificate = ISSUING.issue("a@b.de", key=key).certificate
    assert certificate.key_algorithm == name
    assert public_key(certificate) == key.public_key()


def rsa_under(algorithm):
    """(certificate, its key) with an RSA key that the certificate calls by another algorithm (RFC 4055 §1.2)."""
    identity = ISSUING.issue("a@b.de", key="rsa2048")
    der = identity.der.replace(bytes.fromhex("2a864886f70d010101"), bytes.fromhex("2a864886f70d0101") + algorithm)
    return parse_certificate(der), identity.key.public_key()


@pytest.mark.parametrize(("algorithm", "name"), [(b"\x07", "rsa-oaep-2048"), (b"\x0a", "rsa-pss-2048")])
def test_rsa_keys_for_one_purpose(algorithm, name):
    certificate, key = rsa_under(algorithm)
    assert certificate.key_algorithm == name
    assert public_key(certificate) == key


def test_an_rsa_key_whose_algorithm_nobody_knows():
    certificate, _ = rsa_under(b"\x08")
    assert certificate.key_algorithm == "1.2.840.113549.1.1.8"
    with pytest.raises(CertificateError, match="cannot be read"):
        public_key(certificate)


def test_capabilities_are_kept_as_they_are():
    capabilities = x509.ObjectIdentifier("1.2.840.113549.1.9.15")
    value = bytes.fromhex("300d300b060960864801650304012a")
    extra = [(x509.UnrecognizedExtension(capabilities, value), False)]
    assert ISSUING.issue("a@b.de", key="p256", extra=extra).certificate.capabilities_der == value
    assert ANNA.certificate.capabilities_der is None
    large = [(x509.UnrecognizedExtension(capabilities, bytes(MAX_CAPABILITIES_OCTETS + 1)), False)]
    assert ISSUING.issue("a@b.de", key="p256", extra=large).certificate.capabilities_der is None


def test_key_usage_and_ca_flag():
    assert ANNA.certificate.key_usage == {"digital_signature", "non_repudiation", "key_agreement"}
    assert ISSUING.certificate.key_usage == {"key_cert_sign", "crl_sign", "digital_signature"}
    assert ISSUING.certificate.is_ca
    assert ISSUING.issue("a@b.de", key="p256", usage=None, eku=None).certificate.key_usage is None


def test_subject_text_is_rfc_4514_with_nothing_a_header_could_trip_over():
    name = x509.Name([
        x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Evil\r\nBcc: x@y, Inc"),
        x509.NameAttribute(x509.NameOID.COMMON_NAME, "#Ünï 'x' "),
    ])  # fmt: skip
    subject = ISSUING.issue("a@b.de", key="p256", subject=name).certificate.subject
    assert subject == "CN=\\#Ünï 'x'\\ ,O=Evil\\0D\\0ABcc: x@y\\, Inc"
    assert subject.isprintable()


def test_subject_address_and_international_address():
    assert ANNA.certificate.subject_emails == ("old@example.com",)
    assert ISSUING.issue("jürgen@example.com", key="p256").certificate.san_emails == ("jürgen@example.com",)


def test_an_ascii_address_as_smtp_utf8_mailbox_is_ignored():
    disguised = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.9"), b"\x0c\x08boss@b.x")
    assert ISSUING.issue(key="p256", san=[disguised]).certificate.san_emails == ()


def test_addresses_that_are_none_are_ignored():
    san = [x509.RFC822Name("nobody"), x509.DNSName("example.com"), x509.RFC822Name("a@example.com")]
    assert ISSUING.issue(key="p256", san=san).certificate.san_emails == ("a@example.com",)


def test_generalized_time():
    later = datetime(2051, 1, 1, tzinfo=UTC)
    assert ISSUING.issue("a@b.de", key="p256", not_after=later).certificate.not_after == later


def test_equality_is_by_octets_and_repr_is_short():
    assert parse_certificate(ANNA.der) == ANNA.certificate
    assert len({parse_certificate(ANNA.der), ANNA.certificate, ISSUING.certificate}) == 2
    assert ANNA.certificate != "x"
    assert "der=" not in repr(ANNA.certificate)


def test_a_negative_serial_number_is_kept_without_a_warning():
    der = bytearray(ISSUING.issue("a@b.de", key="p256", serial=0x7F01).der)
    at = der.index(b"\x02\x02\x7f\x01")
    der[at + 2] = 0xFF
    with warnings.catch_warnings(record=True) as caught:
        assert parse_certificate(bytes(der)).serial == -255
    assert not caught


def test_public_key_of_no_use():
    with pytest.raises(CertificateError, match="neither RSA nor"):
        public_key(ISSUING.issue("a@b.de", key=Ed448PrivateKey.generate()).certificate)


@pytest.mark.parametrize("kind", [Ed25519PrivateKey, X25519PrivateKey])
def test_public_keys_on_curve25519(kind):
    key = kind.generate()
    assert public_key(ISSUING.issue("a@b.de", key=key).certificate) == key.public_key()


def test_public_key_that_cannot_be_read():
    der = ANNA.der.replace(ANNA.certificate.spki_der[-64:], b"\xff" * 64)
    with pytest.raises(CertificateError, match="cannot be read"):
        public_key(parse_certificate(der))


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"0",
        b"\x30\x80\x00\x00",
        b"x" * 100,
        ANNA.der[:-1],
        ANNA.der + b"\x00",
        b"\x30\x00",
        b"\x30\x03\x02\x01\x01",
    ],
    ids=["empty", "one", "indefinite", "noise", "cut", "trailing", "hollow", "small"],
)
def test_what_is_no_certificate_is_one_error(der):
    with pytest.raises(CertificateError):
        parse_certificate(der)


def test_bounds():
    with pytest.raises(CertificateError, match="larger than 256 KiB"):
        parse_certificate(b"\x30" * (MAX_CERTIFICATE_OCTETS + 1))
    huge = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x" * 60)] * 200)
    with pytest.raises(CertificateError, match="name is too long"):
        ISSUING.issue("a@b.de", key="p256", subject=huge)


def test_an_extension_twice_is_refused():
    old = x509.ObjectIdentifier("1.2.3.4")
    der = ISSUING.issue(
        "a@b.de",
        key="p256",
        extra=[
            (x509.UnrecognizedExtension(old, b"\x05\x00"), False),
            (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.5"), b"\x05\x00"), False),
        ],
    ).der
    with pytest.raises(CertificateError, match="occurs twice"):
        parse_certificate(der.replace(b"\x06\x03\x2a\x03\x05", b"\x06\x03\x2a\x03\x04"))


def test_two_signature_algorithms_are_refused():
    algorithm = bytes.fromhex("06082a8648ce3d040302")
    der = ANNA.der[::-1].replace(algorithm[::-1], bytes.fromhex("06082a8648ce3d040303")[::-1], 1)[::-1]
    with pytest.raises(CertificateError, match="two different signature algorithms"):
        parse_certificate(der)


@given(st.binary(max_size=400))
def test_any_octets_raise_only_the_typed_error(data):
    with pytest.raises(CertificateError):
        parse_certificate(data)


@given(st.integers(0, len(ANNA.der) - 1), st.integers(0, 255), st.integers(0, 3))
def test_a_changed_certificate_parses_or_raises_the_typed_error(at, value, cut):
    changed = bytearray(ANNA.der)
    changed[at] = value
    del changed[at + 1 : at + 1 + cut]
    try:
        parsed = parse_certificate(bytes(changed))
        public_key(parsed)
    except CertificateError:
        return
    assert parsed.subject.isprintable()


def test_parsing_is_fast():
    parse_certificate(ANNA.der)
    began = time.process_time()
    for _ in range(200):
        parse_certificate(ANNA.der)
    assert (time.process_time() - began) / 200 < 0.001


@pytest.mark.parametrize("unused_bits", [1, 2, 7, 255])
def test_a_signature_written_in_another_way_is_no_certificate(unused_bits):
    der = pki.Authority("Root").certificate.der
    unused = len(der) - len(x509.load_der_x509_certificate(der).signature) - 1  # the octet before the signature
    assert der[unused] == 0
    with pytest.raises(CertificateError):
        parse_certificate(der[:unused] + bytes([unused_bits]) + der[unused + 1 :])
