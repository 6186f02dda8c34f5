"""Files with certificates and keys: every known form, damaged ones, hostile ones."""

import base64
import hashlib
import hmac as hmac_module

import pytest
from asn1crypto import pkcs12 as asn1_pkcs12
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7, pkcs12
from hypothesis import given
from hypothesis import strategies as st

import pki
from mailseal.smime import der, importing
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


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("identity", [ANNA, BOB], ids=["rsa", "ec"])
def test_pkcs12_with_a_key(identity, legacy):
    imported = read_pkcs12(identity.p12(b"secret", legacy=legacy), b"secret")
    ((certificate, key),) = imported.keys
    assert certificate == identity.certificate
    assert key.private_numbers() == identity.key.private_numbers()
    assert imported.chain == (ISSUING.certificate,)
    assert imported.problems == ()


def test_pkcs12_passwords():
    assert read_pkcs12(BOB.p12(b""), None).keys[0][0] == BOB.certificate
    with pytest.raises(ImportingError, match="password of the PKCS#12 file is wrong"):
        read_pkcs12(BOB.p12(b"secret"), b"guess")
    for nothing in (None, b""):
        with pytest.raises(ImportingError, match="needs a password"):
            read_pkcs12(BOB.p12(b"secret"), nothing)


def test_pkcs12_without_key():
    encryption = pki.BestAvailableEncryption(b"x")
    chain = pkcs12.serialize_key_and_certificates(None, None, BOB.x509, [ISSUING.x509], encryption)
    with pytest.raises(ImportingError, match="no private key"):
        read_pkcs12(chain, b"x")


def test_pkcs12_without_the_certificate_of_its_key():
    orphan = pkcs12.serialize_key_and_certificates(None, BOB.key, None, [ISSUING.x509], pki.NoEncryption())
    with pytest.raises(ImportingError, match="no certificate for its private key"):
        read_pkcs12(orphan, None)


def test_pkcs12_with_a_key_of_another_kind():
    with pytest.raises(ImportingError, match="neither RSA nor"):
        read_pkcs12(ISSUING.issue("a@b.de", key="ed25519").p12(b"x"), b"x")
    with pytest.raises(ImportingError, match="curve secp256k1 is not supported"):
        read_pkcs12(ISSUING.issue("a@b.de", key="secp256k1").p12(b"x"), b"x")


def test_pkcs12_with_a_weak_key_warns():
    imported = read_pkcs12(ISSUING.issue("a@b.de", key="rsa1024").p12(b"x"), b"x")
    assert imported.keys
    assert "too weak" in imported.problems[0]


def test_pkcs12_with_a_hostile_iteration_count():
    file = asn1_pkcs12.Pfx.load(BOB.p12(b"x"))
    file["mac_data"]["iterations"] = 2**31
    with pytest.raises(ImportingError, match="more key derivation than is allowed"):
        read_pkcs12(file.dump(force=True), b"x")


def derivation(iterations):
    hmac = der.sequence(der.oid("1.2.840.113549.2.9"), der.NULL)
    parameters = der.sequence(der.octet_string(b"saltsalt"), der.integer(iterations), der.integer(32), hmac)
    return der.sequence(der.oid("1.2.840.113549.1.5.12"), parameters), hmac


def test_pkcs12_with_pbmac1():
    safe = asn1_pkcs12.Pfx.load(BOB.p12(b"x"))["auth_safe"]

    def file(iterations):
        function, hmac = derivation(iterations)
        algorithm = der.sequence(der.oid("1.2.840.113549.1.5.14"), der.sequence(function, hmac))
        key = hashlib.pbkdf2_hmac("sha256", b"x", b"saltsalt", 2048)
        value = hmac_module.digest(key, safe["content"].native, "sha256")
        mac = der.sequence(der.sequence(algorithm, der.octet_string(value)), der.octet_string(b""), der.integer(1))
        return der.sequence(der.integer(3), safe.dump(), mac)

    assert read_pkcs12(file(2048), b"x").keys[0][0] == BOB.certificate
    with pytest.raises(ImportingError, match="more key derivation than is allowed"):
        read_pkcs12(file(2**31 - 1), b"x")


@pytest.mark.parametrize("depth", [0, 1, 5, 1000])
def test_pkcs12_with_hostile_bags_inside_bags(depth):
    function, _ = derivation(2**31 - 1)
    cipher = der.sequence(der.oid("2.16.840.1.101.3.4.1.42"), der.octet_string(bytes(16)))
    algorithm = der.sequence(der.oid("1.2.840.113549.1.5.13"), der.sequence(function, cipher))
    shrouded = der.sequence(algorithm, der.octet_string(bytes(64)))
    bags = der.sequence(der.sequence(der.oid("1.2.840.113549.1.12.10.1.2"), der.element(0xA0, shrouded)))
    for _ in range(depth):
        bags = der.sequence(der.sequence(der.oid("1.2.840.113549.1.12.10.1.6"), der.element(0xA0, bags)))
    for _ in range(2):
        content = der.sequence(der.oid("1.2.840.113549.1.7.1"), der.element(0xA0, der.octet_string(bags)))
        bags = der.sequence(content)
    with pytest.raises(ImportingError, match="more key derivation than is allowed" if depth < 8 else "damaged"):
        read_pkcs12(der.sequence(der.integer(3), content), b"x")


def test_pkcs12_with_several_keys():
    first, second = (asn1_pkcs12.Pfx.load(one.p12(b"")) for one in (ANNA, BOB))
    safe = asn1_pkcs12.AuthenticatedSafe([*first.authenticated_safe, *second.authenticated_safe])
    both = asn1_pkcs12.Pfx({
        "version": "v3",
        "auth_safe": {"content_type": "data", "content": safe.dump()},
    })  # fmt: skip
    with pytest.raises(ImportingError, match="several private keys"):
        read_pkcs12(both.dump(), None)


@given(st.binary(max_size=300), st.sampled_from([b"", b"\x30", b"\x30\x03\x02\x01\x03", b"-----BEGIN PKCS7-----\n"]))
def test_any_octets_raise_only_the_typed_error(data, prefix):
    for read in (read_certificates, lambda octets: read_pkcs12(octets, b"x")):
        with pytest.raises(ImportingError):
            read(prefix + data)


PLAIN_P12 = BOB.p12(b"")


@given(st.integers(0, len(PLAIN_P12) - 1), st.integers(1, 255))
def test_changed_pkcs12_raises_only_the_typed_error(at, bits):
    changed = bytearray(PLAIN_P12)
    changed[at] ^= bits
    try:
        imported = read_pkcs12(bytes(changed), None)
    except ImportingError:
        return
    assert imported.keys
