"""CMS structures that `openssl cms` 3.0 wrote once: what could be read then must be read for ever.

The later ones were made in `cms`, where `content` is CONTENT and L is `-provider legacy -provider default`:

    openssl cms -encrypt L -binary -in content -outform DER -CIPHER -recip rsa2048.pem
        CIPHER: rc2-40-cbc, rc2-64-cbc, rc2-128, des-cbc, cast5-cbc, des3
    openssl cms -encrypt L -binary -in content -outform DER -des3 -recip p256.pem           3des-ecdh-3deswrap
    openssl cms -encrypt -stream -binary -in content -outform DER -aes256 -keyid -recip rsa2048.pem|p256.pem
    openssl cms -encrypt -binary -in content -outform DER -aes128|-des3 -pwri_password 'secret word'
    openssl cms -encrypt -binary -in content -outform DER -aes256|-des3|-aes-256-gcm
        -secretkey 00010203… -secretkeyid C0FFEE
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:brainpoolP384r1 -nodes -subj /CN=brainpool
    openssl cms -encrypt -binary -in content -outform DER -aes256 -recip brainpoolP384r1.pem
        -keyopt ecdh_kdf_md:sha384
    openssl cms -sign -binary -in content -outform DER -nodetach -md sha384 -signer brainpoolP384r1.pem
        -inkey brainpoolP384r1.key -signer rsa2048.pem -inkey rsa2048.key -keyopt rsa_padding_mode:pss
"""

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from mailseal.policy.reason import ReasonCode
from mailseal.smime.certificate import parse_certificate
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.errors import CmsError
from mailseal.smime.recipient import RecipientKind
from mailseal.smime.secret import SharedKey, SharedPassword
from mailseal.smime.verify import read_signed, verify

FOLDER = Path(__file__).parent / "cms"
CONTENT = b"Content-Type: text/plain\r\n\r\nA message in a vector.\r\n"
KEY_ID = bytes.fromhex("c0ffee")


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


@pytest.mark.parametrize(
    ("name", "kind", "algorithm", "weak"),
    [
        ("encrypted-rc2-40", "rsa2048", "rc2-40-cbc", True),
        ("encrypted-rc2-64", "rsa2048", "rc2-64-cbc", True),
        ("encrypted-rc2-128", "rsa2048", "rc2-128-cbc", True),
        ("encrypted-des", "rsa2048", "des-cbc", True),
        ("encrypted-cast5", "rsa2048", "cast5-cbc", True),
        ("encrypted-3des", "rsa2048", "3des-cbc", True),
        ("encrypted-3des-ecdh-3deswrap", "p256", "3des-cbc", True),
        ("encrypted-keyid-ber", "rsa2048", "aes256-cbc", False),
        ("encrypted-keyid-ecdh", "p256", "aes256-cbc", False),
        ("encrypted-brainpool", "brainpoolP384r1", "aes256-cbc", False),
    ],
)
def test_old_ciphers_key_identifiers_and_curves(name, kind, algorithm, weak):
    enveloped = read_enveloped(octets(name))
    assert (enveloped.algorithm, enveloped.weak, enveloped.integrity) == (algorithm, weak, "none")
    assert enveloped.decrypt([person(kind)], 1000) == CONTENT


@pytest.mark.parametrize(
    ("name", "algorithm", "key_octets"),
    [
        ("encrypted-kek-aes128", "aes256-cbc", 16),
        ("encrypted-kek-3des", "3des-cbc", 24),
        ("encrypted-kek-gcm", "aes256-gcm", 24),
    ],
)
def test_keys_agreed_beforehand(name, algorithm, key_octets):
    enveloped = read_enveloped(octets(name))
    assert enveloped.algorithm == algorithm
    (recipient,) = enveloped.recipients
    assert (recipient.kind, recipient.key_id) == (RecipientKind.SHARED_KEY, KEY_ID)
    key = bytes(range(key_octets))
    for key_id in (None, KEY_ID):
        assert enveloped.decrypt_with_secrets([SharedKey(key, key_id)], 1000) == CONTENT
    for wrong, reason in (
        (SharedKey(key, b"another"), ReasonCode.KEY_NOT_FOUND),
        (SharedPassword(key), ReasonCode.KEY_NOT_FOUND),
        (SharedKey(bytes(key_octets)), ReasonCode.DECRYPTION_FAILED),
        (SharedKey(bytes(7)), ReasonCode.DECRYPTION_FAILED),
    ):
        with pytest.raises(CmsError) as caught:
            enveloped.decrypt_with_secrets([wrong], 1000)
        assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("name", "algorithm"), [("encrypted-password", "aes128-cbc"), ("encrypted-password-3des", "3des-cbc")]
)
def test_passwords(name, algorithm):
    enveloped = read_enveloped(octets(name))
    assert enveloped.algorithm == algorithm
    assert [one.kind for one in enveloped.recipients] == [RecipientKind.PASSWORD]
    assert enveloped.decrypt_with_secrets([SharedPassword(b"secret word")], 1000) == CONTENT
    with pytest.raises(CmsError) as caught:
        enveloped.decrypt_with_secrets([SharedPassword(b"secret work")], 1000)
    assert caught.value.reason is ReasonCode.DECRYPTION_FAILED
    # The right one among several is found.
    secrets = [SharedKey(bytes(16)), SharedPassword(b"another"), SharedPassword(b"secret word")]
    assert enveloped.decrypt_with_secrets(secrets, 1000) == CONTENT


def test_two_signers():
    signed = read_signed(octets("signed-two-signers"))
    found = {(one.algorithm, one.digest, one.verified, one.reason) for one in verify(signed, CONTENT)}
    assert found == {("ecdsa", "sha384", True, None), ("rsa-pss", "sha384", True, None)}
    assert not any(one.verified for one in verify(signed, CONTENT + b"x"))
