"""CMS structures that `openssl cms` 3.0 wrote once: what could be read then must be read for ever."""

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from mailseal.policy.reason import ReasonCode
from mailseal.smime.certificate import parse_certificate
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.errors import CmsError
from mailseal.smime.verify import read_signed, verify

FOLDER = Path(__file__).parent / "cms"
CONTENT = b"Content-Type: text/plain\r\n\r\nA message in a vector.\r\n"


def octets(name: str) -> bytes:
    return base64.b64decode((FOLDER / f"{name}.b64").read_bytes())


def person(kind: str):
    certificate = load_pem_x509_certificate((FOLDER / f"{kind}.pem").read_bytes())
    key = load_pem_private_key((FOLDER / f"{kind}.key").read_bytes(), None, unsafe_skip_rsa_key_validation=True)
    return parse_certificate(certificate.public_bytes(Encoding.DER)), key


@pytest.mark.parametrize(
    ("name", "algorithm", "weak"),
    [
        ("signed-opaque-ber", "rsa-pkcs1v15", False),
        ("signed-detached-pss", "rsa-pss", False),
        ("signed-detached-ecdsa-keyid", "ecdsa", False),
        ("signed-sha1-weak", "rsa-pkcs1v15", True),
    ],
)
def test_signatures(name, algorithm, weak):
    (check,) = verify(read_signed(octets(name)), CONTENT)
    assert (check.verified, check.weak, check.algorithm) == (True, weak, algorithm)
    assert check.reason is (ReasonCode.SIGNATURE_WEAK if weak else None)
    (check,) = verify(read_signed(octets(name)), CONTENT + b"\r\n")
    assert not check.verified


@pytest.mark.parametrize(
    ("name", "kind", "algorithm", "integrity"),
    [
        ("encrypted-rsa-ber", "rsa2048", "aes256-cbc", "none"),
        ("encrypted-rsa-oaep", "rsa2048", "aes128-cbc", "none"),
        ("encrypted-ecdh-sha1kdf", "p256", "aes256-cbc", "none"),
        ("encrypted-ecdh-sha256kdf-gcm", "p256", "aes256-gcm", "authenticated"),
    ],
)
def test_envelopes(name, kind, algorithm, integrity):
    enveloped = read_enveloped(octets(name))
    assert (enveloped.algorithm, enveloped.integrity) == (algorithm, integrity)
    assert enveloped.decrypt([person(kind)], 1000) == CONTENT
    other = "p256" if kind == "rsa2048" else "rsa2048"
    with pytest.raises(CmsError) as caught:
        enveloped.decrypt([person(other)], 1000)
    assert caught.value.reason is ReasonCode.KEY_NOT_FOUND
