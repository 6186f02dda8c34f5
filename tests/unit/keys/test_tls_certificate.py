"""Certificates of our own servers: what is made, and what is refused of what comes from outside."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from mailseal.keys.tls_certificate import (
    SELF_SIGNED_DAYS,
    TlsCertificateError,
    key_pem,
    new_key,
    read_chain,
    read_key,
    request,
    self_signed,
    server_names,
)
from pki import Authority

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def test_a_self_signed_one_is_for_these_names_for_a_year():
    key = new_key()
    chain = self_signed(key, ["Gate.Example.org", "192.0.2.1", "bücher.example"], NOW)
    assert chain.names == ("gate.example.org", "xn--bcher-kva.example", "192.0.2.1")
    assert chain.not_after == NOW + timedelta(days=SELF_SIGNED_DAYS)
    assert read_chain(chain.pem, key) == chain


def test_a_request_names_all_hosts_and_is_signed():
    made = x509.load_pem_x509_csr(request(new_key(), ["a.example", "b.example"]))
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert made.is_signature_valid
    assert names.get_values_for_type(x509.DNSName) == ["a.example", "b.example"]


def test_a_name_too_long_for_the_subject_stands_in_the_extension_alone():
    long = f"{'a' * 60}.{'b' * 60}.example"
    assert x509.load_pem_x509_csr(request(new_key(), [long])).subject == x509.Name([])


@pytest.mark.parametrize("names", [[], [" "], ["a b"], ["-"], ["a.example"] * 2 + [f"h{n}.example" for n in range(50)]])
def test_names_that_are_none_are_refused(names):
    with pytest.raises(TlsCertificateError):
        server_names(names)


def test_a_chain_is_brought_in_order_and_rid_of_strangers():
    root = Authority("Root")
    issuing = root.subordinate("Issuing")
    leaf = issuing.issue("x@a.example", key="p256")
    stranger = Authority("Stranger")
    key = read_key(leaf.key_pem)
    named = _named(issuing, key)
    shuffled = root.pem + stranger.pem + named + issuing.pem
    chain = read_chain(shuffled, key)
    found = x509.load_pem_x509_certificates(chain.pem)
    assert [one.subject.rfc4514_string().partition(",")[0] for one in found] == [
        "CN=a.example",
        "CN=Issuing",
        "CN=Root",
    ]


def _named(issuer: Authority, key: ec.EllipticCurvePrivateKey) -> bytes:
    """A server's certificate of this issuer."""
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "a.example")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example")]), critical=False)
    )
    return builder.sign(issuer.key, SHA256()).public_bytes(Encoding.PEM)


def test_another_keys_certificate_is_refused():
    with pytest.raises(TlsCertificateError, match="belongs to the private key"):
        read_chain(self_signed(new_key(), ["a.example"], NOW).pem, new_key())


def test_a_certificate_without_a_host_is_refused():
    leaf = Authority("Root").issue("x@a.example", key="p256")
    with pytest.raises(TlsCertificateError, match="names no host"):
        read_chain(leaf.pem, read_key(leaf.key_pem))


def _pem(key, password: bytes | None = None) -> bytes:
    sealing = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealing)


@pytest.mark.parametrize(
    "key",
    [
        _pem(rsa.generate_private_key(65537, 1024)),
        _pem(ed25519.Ed25519PrivateKey.generate()),
        _pem(ec.generate_private_key(ec.SECP521R1())),
        _pem(new_key(), b"secret"),
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"x" * 200_000,
    ],
)
def test_keys_that_no_server_of_ours_uses_are_refused(key):
    with pytest.raises(TlsCertificateError) as caught:
        read_key(key)
    assert "AAAA" not in str(caught.value)


def test_a_key_with_a_password_is_read_with_it():
    key = new_key()
    assert key_pem(read_key(_pem(key, b"secret"), b"secret")) == key_pem(key)
    with pytest.raises(TlsCertificateError):
        read_key(_pem(key, b"secret"), b"wrong")


@pytest.mark.parametrize("pem", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused(pem):
    with pytest.raises(TlsCertificateError, match="PEM"):
        read_chain(pem, new_key())
