"""`gpgsm` 2.2 as referee of the CMS engine: what one writes the other reads, but for named limits."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest

from harness import gpgsm
from harness.gpgsm import Gpgsm
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
    [
        Limit(
            "it wants keys of a multiple of 8 bits: it cannot verify its own signatures by P-521, either",
            "DSA requires the hash length to be a multiple of 8 bits",
            lambda row: row.key in ("p521", "ed25519"),
        ),
    ],
)

WE_ENCRYPT = table(
    [
        *product(KEYS, map(EncryptionForm, Cipher)),
        *product(["rsa2048"], (EncryptionForm(Cipher.AES256_CBC, one) for one in KeyTransport)),
        *product([RSA, ("rsa2048", "p256"), ("rsa2048", "x25519")], map(EncryptionForm, Cipher)),
        ("x25519", EncryptionForm()),
    ],
    [
        Limit("it takes the GCM parameters for an IV", "error getting IV", lambda row: row.how.cipher in GCM),
        Limit(
            "it knows PKCS #1 v1.5 alone",
            "error getting encrypted session key",
            lambda row: row.how.key_transport is not KeyTransport.PKCS1V15,
        ),
        Limit("it has no ECDH", "decrypting session key failed", lambda row: row.key in CURVES),
        Limit("it has no X25519", "error getting encrypted session key", lambda row: row.key == "x25519"),
    ],
)

DIGESTS = ("SHA1", "SHA224", "SHA256", "SHA384", "SHA512")
IT_SIGNS = table(
    [*product(KEYS, DIGESTS), *product([("rsa2048", "rsa3072"), ("rsa2048", "p256")], DIGESTS[2:])],
    [
        Limit(
            "its agent wants digests as long as the curve",
            "Invalid length",
            lambda row: int(row.how.removeprefix("SHA")) < {"p256": 256, "p384": 384, "p521": 512}.get(row.keys[-1], 0),
        ),
    ],
)

IT_ENCRYPTS = table(
    [*product([*KEYS, RSA], ("3DES", "AES128", "AES192", "AES256"))],
    [Limit("it has no ECDH", "certificate is not usable for encryption", lambda row: row.key in CURVES)],
)


@pytest.fixture(scope="module")
def referee(people) -> Iterator[Gpgsm]:
    if reason := gpgsm.why_not():
        pytest.skip(reason)
    known = [people.issuing, people.foreign, people.people["x25519"]]
    with Gpgsm(people.root, known, [people.people[kind] for kind in KEYS]) as made:
        yield made


@pytest.mark.parametrize("row", WE_SIGN)
def test_gpgsm_verifies_what_we_sign(referee, people, row):
    octets = sign(BODY, people.identity(row.key), row.how, at=NOW)
    with row.expected:
        assert referee.verify(octets, BODY) == BODY
    inside = sign(BODY, people.identity(row.key), replace(row.how, opaque=True), at=NOW)
    with row.expected:
        assert referee.verify(inside) == BODY


@pytest.mark.parametrize("kind", ["rsa2048", "p256"])
def test_gpgsm_refuses_what_was_changed_and_what_it_does_not_trust(referee, people, kind):
    octets = sign(BODY, people.identity(kind), SignatureForm(), at=NOW)
    with pytest.raises(RefusedError, match="message digest attribute does not match"):
        referee.verify(octets, changed(BODY))
    with pytest.raises(RefusedError, match="Bad signature"):
        referee.verify(forged(octets), BODY)
    with pytest.raises(RefusedError, match="root certificate is not marked trusted"):
        referee.verify(sign(BODY, signer(people.stranger), SignatureForm(), at=NOW), BODY)


@pytest.mark.parametrize("row", WE_ENCRYPT)
def test_gpgsm_decrypts_what_we_encrypt(referee, people, row):
    octets = encrypt([BODY], people.certificates(*row.keys), row.how)
    with row.expected:
        assert referee.decrypt(octets) == BODY


def test_gpgsm_cannot_decrypt_what_is_for_somebody_else(referee, people):
    with pytest.raises(RefusedError, match="No secret key"):
        referee.decrypt(encrypt([BODY], [people.outsider.certificate], EncryptionForm()))


@pytest.mark.parametrize("detached", [True, False])
@pytest.mark.parametrize("row", IT_SIGNS)
def test_we_verify_what_gpgsm_signs(referee, people, row, detached):
    who = [people.people[kind] for kind in row.keys]
    with row.expected:
        octets = referee.sign(BODY, who, "--digest-algo", row.how, detached=detached)
    if row.limit:
        return
    signed = read_signed(octets)
    assert signed.econtent == (None if detached else BODY)
    checks = verify(signed, BODY if detached else None)
    assert {check.certificate for check in checks} == {one.certificate for one in who}
    weak = row.how == "SHA1"
    for check in checks:
        assert (check.verified, check.weak, check.digest) == (True, weak, row.how.lower())
        assert check.reason is (ReasonCode.SIGNATURE_WEAK if weak else None)
    for refused in (verify(signed, changed(BODY)), verify(read_signed(forged(octets)), BODY)):
        assert not refused[-1].verified


@pytest.mark.parametrize("row", IT_ENCRYPTS)
def test_we_decrypt_what_gpgsm_encrypts(referee, people, row):
    with row.expected:
        octets = referee.encrypt(BODY, [people.people[kind] for kind in row.keys], "--cipher-algo", row.how)
    if row.limit:
        return
    enveloped = read_enveloped(octets)
    assert enveloped.algorithm == ("3des-cbc" if row.how == "3DES" else f"{row.how.lower()}-cbc")
    for kind in row.keys:
        assert enveloped.decrypt(people.keys(kind), len(BODY) + 16) == BODY
    with pytest.raises(CmsError) as raised:
        enveloped.decrypt([(people.outsider.certificate, people.outsider.key)], 1_000_000)
    assert raised.value.reason is ReasonCode.KEY_NOT_FOUND
