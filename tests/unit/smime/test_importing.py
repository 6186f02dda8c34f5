"""Files with certificates and keys: every known form, damaged ones, hostile ones."""

import base64

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from hypothesis import given
from hypothesis import strategies as st

import pki
from mailseal.smime import importing
from mailseal.smime.importing import ImportingError, read_bundle, read_certificates, read_pkcs12

ROOT = pki.Authority("Import Root")
ISSUING = ROOT.subordinate("Import CA")
ANNA = ISSUING.issue("anna@example.com")
BOB = ISSUING.issue("bob@example.com", key="p256")
ALL = (ANNA.certificate, BOB.certificate, ISSUING.certificate)
BUNDLE = pki.pem_bundle(ANNA, BOB, ISSUING)
CHAIN = [ANNA.x509, BOB.x509, ISSUING.x509]


def pem(label, der):
    return b"-----BEGIN %s-----\n%s-----END %s-----\n" % (label, base64.encodebytes(der), label)


def indefinite(der):
    """The outermost SEQUENCE of DER rewritten with an indefinite length."""
    return b"\x30\x80" + der[2 + (der[1] & 0x7F if der[1] > 0x80 else 0) :] + b"\0\0"


@pytest.mark.parametrize(
    "data",
    [
        BUNDLE,
        BUNDLE.replace(b"\n", b"\r\n"),
        b"Bag Attributes\n  friendlyName: x\n" + BUNDLE,
        pem(b"X509 CERTIFICATE", ANNA.der) + pem(b"TRUSTED CERTIFICATE", BOB.der + b"\x30\x00") + ISSUING.pem,
    ],
)
def test_pem(data):
    assert read_certificates(data) == ALL


def test_der():
    assert read_certificates(ANNA.der) == (ANNA.certificate,)


@pytest.mark.parametrize("form", ["der", "pem", "indefinite"])
def test_pkcs7(form):
    data = pkcs7.serialize_certificates(CHAIN, Encoding.PEM if form == "pem" else Encoding.DER)
    assert set(read_certificates(indefinite(data) if form == "indefinite" else data)) == set(ALL)


def test_pkcs12_without_password():
    assert read_certificates(BOB.p12(b"")) == (BOB.certificate, ISSUING.certificate)
    with pytest.raises(ImportingError, match="needs a password"):
        read_certificates(BOB.p12(b"secret"))


def test_each_certificate_once():
    assert read_certificates(BUNDLE + BUNDLE) == ALL


def test_a_bad_member_does_not_hide_the_others():
    bundle = read_bundle(ANNA.pem + pem(b"CERTIFICATE", b"\x30\x03\x02\x01\x01") + BOB.pem)
    assert bundle.certificates == (ANNA.certificate, BOB.certificate)
    assert len(bundle.problems) == 1
    assert bundle.problems[0].startswith("member 2: not a usable certificate")


def test_a_bad_member_of_pkcs7():
    der = pkcs7.serialize_certificates(CHAIN, Encoding.DER)
    changed = der.replace(BOB.certificate.subject_der, b"\x31" + BOB.certificate.subject_der[1:], 1)
    bundle = read_bundle(changed)
    assert set(bundle.certificates) == {ANNA.certificate, ISSUING.certificate}
    assert len(bundle.problems) == 1


def test_other_pem_blocks_are_reported():
    bundle = read_bundle(ANNA.key_pem + ANNA.pem)
    assert bundle.certificates == (ANNA.certificate,)
    assert bundle.problems == ("member 1: PRIVATE KEY is not a certificate",)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "neither PEM nor DER"),
        (b"hello", "neither PEM nor DER"),
        (ANNA.pem[:200], "has no end"),
        (ANNA.pem.replace(b"M", b"*", 3), "not base64"),
        (ANNA.der[:100], "not a usable certificate"),
        (pem(b"PKCS7", b"\x30\x00"), "PKCS#7"),
        (pem(b"PKCS7", pkcs7.serialize_certificates(CHAIN, Encoding.DER)[:80]), "PKCS#7"),
        (bytes.fromhex("300b06092a864886f70d010701"), "holds no certificate"),
        (bytes.fromhex("3003020103"), "not PKCS#12"),
        (ANNA.key_pem, "PRIVATE KEY is not a certificate"),
    ],
)
def test_files_of_no_use(data, text):
    with pytest.raises(ImportingError, match=text):
        read_certificates(data)


def test_bounds(monkeypatch):
    with pytest.raises(ImportingError, match="16 MiB"):
        read_bundle(bytes(importing.MAX_FILE_OCTETS + 1))
    with pytest.raises(ImportingError, match="16 MiB"):
        read_pkcs12(bytes(importing.MAX_FILE_OCTETS + 1), b"")
    monkeypatch.setattr(importing, "MAX_MEMBERS", 2)
    with pytest.raises(ImportingError, match="more than 2 members"):
        read_bundle(BUNDLE)


@given(st.binary(max_size=300), st.sampled_from([b"", b"\x30", b"\x30\x03\x02\x01\x03", b"-----BEGIN PKCS7-----\n"]))
def test_any_octets_raise_only_the_typed_error(data, prefix):
    for read in (read_certificates, lambda octets: read_pkcs12(octets, b"x")):
        with pytest.raises(ImportingError):
            read(prefix + data)
