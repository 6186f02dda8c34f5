"""NSS 3.87 (`cmsutil`) as referee of the CMS engine: what one writes the other reads, but for named limits."""

from dataclasses import replace
from itertools import product

import pytest

from harness import nss
from harness.nss import Nss
from harness.referees import (
    BODY,
    CURVES,
    KEYS,
    RSA,
    Limit,
    RefusedError,
    changed,
    forged,
    signer,
    table,
)
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Cipher, Digest, KeyTransport, RsaSignature
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.encrypt import encrypt
from mailseal.smime.errors import CmsError
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.sign import sign
from mailseal.smime.verify import read_signed, verify
from pki import NOW

GCM = (Cipher.AES128_GCM, Cipher.AES192_GCM, Cipher.AES256_GCM)

WE_SIGN = table(
    [
        *product(KEYS, map(SignatureForm, Digest)),
        *product(RSA, (SignatureForm(digest, RsaSignature.PSS) for digest in Digest)),
        ("ed25519", SignatureForm()),
    ],
    [Limit("it has no Ed25519", "ProcessingError", lambda row: row.key == "ed25519")],
)

WE_ENCRYPT = table(
    [
        *product(KEYS, map(EncryptionForm, Cipher)),
        *product(["rsa2048"], (EncryptionForm(Cipher.AES256_CBC, one) for one in KeyTransport)),
        *product([RSA, ("rsa2048", "p256"), ("rsa2048", "x25519")], map(EncryptionForm, Cipher)),
        ("x25519", EncryptionForm()),
    ],
    [
        Limit("it does not know AuthEnvelopedData", "SEC_ERROR_UNRECOGNIZED_OID", lambda row: row.how.cipher in GCM),
        Limit(
            "it knows PKCS #1 v1.5 alone",
            "SEC_ERROR_UNSUPPORTED_KEYALG",
            lambda row: row.how.key_transport is not KeyTransport.PKCS1V15,
        ),
        Limit(
            "it has no ECDH, and does not even read a mail that is for somebody with such a key besides",
            "SEC_ERROR_BAD_DER",
            lambda row: not set(RSA).issuperset(row.keys),
        ),
    ],
)

IT_SIGNS = table([*product(KEYS, ("SHA1", "SHA256", "SHA384", "SHA512"))])

# It has no option for the cipher: always AES-128-CBC.
IT_ENCRYPTS = table(
    [*product([*KEYS, RSA], ("aes128-cbc",))],
    [Limit("it has no ECDH", "SEC_ERROR_INVALID_ALGORITHM", lambda row: row.key in CURVES)],
)


@pytest.fixture(scope="module")
def referee(people, tmp_path_factory) -> Nss:
    if reason := nss.why_not():
        pytest.skip(reason)
    made = Nss(tmp_path_factory.mktemp("nss"), people.root)
    made.know(people.issuing)
    made.own(people.people[kind] for kind in KEYS)
    return made


@pytest.mark.parametrize("row", WE_SIGN)
def test_nss_verifies_what_we_sign(referee, people, row):
    octets = sign(BODY, people.identity(row.key), row.how, at=NOW)
    with row.expected:
        assert referee.verify(octets, BODY) == BODY
    inside = sign(BODY, people.identity(row.key), replace(row.how, opaque=True), at=NOW)
    with row.expected:
        assert referee.verify(inside) == BODY


@pytest.mark.parametrize("kind", ["rsa2048", "p256"])
def test_nss_refuses_what_was_changed_and_what_it_does_not_trust(referee, people, kind):
    octets = sign(BODY, people.identity(kind), SignatureForm(), at=NOW)
    with pytest.raises(RefusedError, match="DigestMismatch"):
        referee.verify(octets, changed(BODY))
    with pytest.raises(RefusedError, match="BadSignature"):
        referee.verify(forged(octets), BODY)
    with pytest.raises(RefusedError, match="SigningCertNotTrusted"):
        referee.verify(sign(BODY, signer(people.stranger), SignatureForm(), at=NOW), BODY)


@pytest.mark.parametrize("row", WE_ENCRYPT)
def test_nss_decrypts_what_we_encrypt(referee, people, row):
    octets = encrypt([BODY], people.certificates(*row.keys), row.how)
    with row.expected:
        assert referee.decrypt(octets) == BODY


def test_nss_cannot_decrypt_what_is_for_somebody_else(referee, people):
    with pytest.raises(RefusedError, match="SEC_ERROR_NOT_A_RECIPIENT"):
        referee.decrypt(encrypt([BODY], [people.outsider.certificate], EncryptionForm()))


@pytest.mark.parametrize("options", [("-G", "-P"), ()], ids=["time-and-capabilities", "bare"])
@pytest.mark.parametrize("detached", [True, False])
@pytest.mark.parametrize("row", IT_SIGNS)
def test_we_verify_what_nss_signs(referee, people, row, detached, options):
    octets = referee.sign(BODY, people.people[row.key], "-H", row.how, *options, detached=detached)
    signed = read_signed(octets)
    assert signed.econtent == (None if detached else BODY)
    (check,) = verify(signed, BODY if detached else None)
    weak = row.how == "SHA1"
    assert (check.verified, check.weak, check.digest) == (True, weak, row.how.lower())
    assert check.reason is (ReasonCode.SIGNATURE_WEAK if weak else None)
    assert check.certificate == people.people[row.key].certificate
    assert (check.signing_time is None) is ("-G" not in options)
    for refused in (verify(signed, changed(BODY)), verify(read_signed(forged(octets)), BODY)):
        assert (refused[0].verified, refused[0].reason) == (False, ReasonCode.SIGNATURE_INVALID)


@pytest.mark.parametrize("row", IT_ENCRYPTS)
def test_we_decrypt_what_nss_encrypts(referee, people, row):
    with row.expected:
        octets = referee.encrypt(BODY, [people.people[kind] for kind in row.keys])
    if row.limit:
        return
    enveloped = read_enveloped(octets)
    assert enveloped.algorithm == row.how
    for kind in row.keys:
        assert enveloped.decrypt(people.keys(kind), len(BODY) + 16) == BODY
    with pytest.raises(CmsError) as raised:
        enveloped.decrypt([(people.outsider.certificate, people.outsider.key)], 1_000_000)
    assert raised.value.reason is ReasonCode.KEY_NOT_FOUND


def test_we_read_the_certificates_of_nss(referee, people):
    signed = read_signed(referee.certificates([people.people["rsa2048"], people.people["p384"]]))
    assert signed.signers == ()
    assert {*people.certificates("rsa2048", "p384"), people.issuing.certificate} <= set(signed.certificates)
