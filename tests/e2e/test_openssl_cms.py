"""`openssl cms` (3.0) as referee of the CMS engine: what each writes the other reads, whatever both know.

Limits of openssl are named in the tables. What is not in them: structures of other kinds are in
test_referees_openssl.py, whole mails in test_referees_mail.py.
"""

from dataclasses import replace
from itertools import product

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

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
DIGESTS = ("sha1", "sha224", "sha256", "sha384", "sha512")


def keyopts(*values: str) -> tuple[str, ...]:
    return tuple(word for value in values for word in ("-keyopt", value))


WE_SIGN = table(
    [
        *product(KEYS, map(SignatureForm, Digest)),
        *product(RSA, (SignatureForm(digest, RsaSignature.PSS) for digest in Digest)),
        ("ed25519", SignatureForm()),
    ],
    [Limit("its `cms` cannot verify Ed25519", "invalid digest", lambda row: row.key == "ed25519")],
)

WE_ENCRYPT = table(
    [
        *product(KEYS, map(EncryptionForm, Cipher)),
        *product(["rsa2048"], (EncryptionForm(*form) for form in product(Cipher, KeyTransport))),
        *product([KEYS], map(EncryptionForm, Cipher)),
        (KEYS, EncryptionForm(Cipher.AES256_GCM, KeyTransport.OAEP_SHA256)),
        *product(["x25519"], map(EncryptionForm, Cipher)),
    ],
    [Limit("its `cms` has no X25519", "no matching recipient", lambda row: row.key == "x25519")],
)

PSS = [
    keyopts("rsa_padding_mode:pss", f"rsa_pss_saltlen:{salt}", f"rsa_mgf1_md:{mask}")
    for salt, mask in product((0, 20, 32, 48, 64), ("sha1", "sha256", "sha512"))
]
IT_SIGNS = table(
    [
        *product(KEYS, (("-md", digest) for digest in DIGESTS)),
        *product(KEYS, (("-noattr",), ("-cades",), ("-nosmimecap",), ("-keyid",), ("-noattr", "-keyid"))),
        *product(["rsa2048"], (("-md", digest, *keyopts("rsa_padding_mode:pss")) for digest in DIGESTS)),
        *product(["rsa2048"], (("-md", digest, *form) for digest, form in product(("sha256", "sha512"), PSS))),
        ("rsa3072", ("-noattr", *keyopts("rsa_padding_mode:pss", "rsa_pss_saltlen:32"))),
        ("rsa3072", ("-keyid", "-nosmimecap", *keyopts("rsa_padding_mode:pss"))),
        ("ed25519", ()),
        ("ed25519", ("-md", "sha512")),
    ],
    [
        Limit(
            "its `cms` cannot sign by Ed25519",
            "no default digest|invalid digest|zero content",
            lambda row: row.key == "ed25519",
        )
    ],
)

CIPHERS = ("aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "aes-128-gcm", "aes-192-gcm", "aes-256-gcm")
OAEP = [
    ("rsa_padding_mode:oaep", f"rsa_oaep_md:{digest}", f"rsa_mgf1_md:{mask}")
    for digest, mask in product(DIGESTS, DIGESTS)
]
ECDH = [
    (f"ecdh_kdf_md:{digest}", f"ecdh_cofactor_mode:{cofactor}") for digest, cofactor in product(DIGESTS, ("0", "1"))
]
IT_ENCRYPTS = table(
    [
        *product(KEYS, ((f"-{cipher}",) for cipher in CIPHERS)),
        *product(KEYS, (("-keyid", "-aes-256-cbc"),)),
        *product(KEYS, (("-stream", f"-{cipher}") for cipher in ("aes-256-cbc", "aes-256-gcm"))),
        *product(["rsa2048"], (("-aes-256-cbc", *keyopts(*form)) for form in OAEP)),
        ("rsa2048", ("-aes-128-gcm", *keyopts("rsa_padding_mode:oaep"))),
        ("rsa2048", ("-aes-256-cbc", *keyopts("rsa_padding_mode:oaep", "rsa_oaep_label:00ff41"))),
        ("rsa2048", ("-keyid", "-aes-256-cbc", *keyopts(*OAEP[7], "rsa_oaep_label:6c6162656c"))),
        *product(CURVES, (("-aes-256-cbc", *keyopts(*form)) for form in ECDH)),
        *product(["p256"], ((f"-{cipher}", f"-aes{bits}-wrap") for cipher, bits in product(CIPHERS, (128, 192, 256)))),
    ]
)


# What we write, openssl reads.


@pytest.mark.parametrize("row", WE_SIGN)
def test_openssl_verifies_what_we_sign(referee, people, row):
    octets = sign(BODY, people.identity(row.key), row.how, at=NOW)
    with row.expected:
        assert referee.verify(octets, BODY) == BODY
    inside = sign(BODY, people.identity(row.key), replace(row.how, opaque=True), at=NOW)
    with row.expected:
        assert referee.verify(inside, None, "-cades") == BODY
    if row.limit:
        return
    with pytest.raises(RefusedError, match="content verify error"):
        referee.verify(octets, changed(BODY))
    with pytest.raises(RefusedError, match=r"signature verify error|verification failure"):
        referee.verify(forged(octets), BODY)


def test_openssl_does_not_trust_everybody(referee, people):
    octets = sign(BODY, signer(people.stranger), SignatureForm(), at=NOW)
    with pytest.raises(RefusedError, match="certificate verify error"):
        referee.verify(octets, BODY)


@pytest.mark.parametrize("row", WE_ENCRYPT)
def test_openssl_decrypts_what_we_encrypt(referee, people, row):
    octets = encrypt([BODY[:100], memoryview(BODY)[100:]], people.certificates(*row.keys), row.how)
    for kind in row.keys:
        with row.expected:
            assert referee.decrypt(octets, kind) == BODY
    if row.how.cipher in GCM:
        with pytest.raises(RefusedError):
            referee.decrypt(changed(octets), row.key)


@pytest.mark.parametrize("transport", KeyTransport)
def test_openssl_cannot_decrypt_what_is_for_somebody_else(referee, people, transport):
    form = EncryptionForm(Cipher.AES256_GCM, transport)
    octets = encrypt([BODY], people.certificates("rsa2048", "p256"), form)
    assert referee.decrypt(octets, "p256") == BODY
    with pytest.raises(RefusedError, match="Error decrypting CMS using private key"):
        referee.decrypt(octets, "outsider")
    with pytest.raises(RefusedError):
        referee.open(octets, "-inkey", "outsider.key")


# What openssl writes, we read.


@pytest.mark.parametrize("form", [(), ("-nodetach",), ("-nodetach", "-stream")], ids=" ".join)
@pytest.mark.parametrize("row", IT_SIGNS)
def test_we_verify_what_openssl_signs(referee, people, row, form):
    if "-stream" in form and "rsa_padding_mode:pss" in row.how:
        return  # openssl 3.0 cannot write this
    with row.expected:
        octets = referee.sign((row.key, *row.how), options=form)
    if row.limit:
        return
    signed = read_signed(octets)
    opaque = "-nodetach" in form
    assert signed.econtent == (BODY if opaque else None)
    (check,) = verify(signed, None if opaque else BODY)
    weak = "sha1" in row.how[:2]
    assert (check.verified, check.weak) == (True, weak)
    assert check.reason is (ReasonCode.SIGNATURE_WEAK if weak else None)
    assert check.certificate == people.people[row.key].certificate
    assert (check.signing_time is None) is ("-noattr" in row.how)
    for refused in (verify(signed, changed(BODY)), verify(read_signed(forged(octets)), BODY)):
        assert (refused[0].verified, refused[0].reason) == (False, ReasonCode.SIGNATURE_INVALID)


@pytest.mark.parametrize("row", IT_ENCRYPTS)
def test_we_decrypt_what_openssl_encrypts(referee, people, row):
    octets = referee.encrypt((row.key, *row.how))
    enveloped = read_enveloped(octets)
    assert enveloped.fits(people.people[row.key].certificate)
    assert not enveloped.fits(people.outsider.certificate)
    gcm = any(word.endswith("gcm") for word in row.how)
    assert enveloped.integrity == ("authenticated" if gcm else "none")
    assert enveloped.decrypt(people.keys(row.key), len(BODY) + 16) == BODY
    if gcm:
        tag = -7 if "-stream" in row.how else -1  # three ends of contents follow it
        with pytest.raises(CmsError) as raised:
            read_enveloped(changed(octets, tag)).decrypt(people.keys(row.key), 1_000_000)
        assert raised.value.reason is ReasonCode.DECRYPTION_FAILED


@pytest.mark.parametrize("stream", [(), ("-stream",)])
@pytest.mark.parametrize("cipher", ["aes-256-cbc", "aes-256-gcm"])
def test_we_decrypt_what_openssl_encrypts_to_many(referee, people, cipher, stream):
    oaep = keyopts("rsa_padding_mode:oaep")
    to = ["rsa2048", ("rsa3072", *oaep), ("p256", "-keyid"), "p384", "p521"]
    enveloped = read_enveloped(referee.encrypt(*to, options=(f"-{cipher}", *stream)))
    assert len(enveloped.recipients) == len(KEYS)
    for kind in KEYS:
        assert enveloped.decrypt(people.keys(kind), 1_000_000) == BODY
    with pytest.raises(CmsError) as raised:
        enveloped.decrypt([(people.outsider.certificate, people.outsider.key)], 1_000_000)
    assert raised.value.reason is ReasonCode.KEY_NOT_FOUND


def test_our_signed_certificates_reach_openssl(referee, people):
    octets = sign(BODY, people.identity("p256"), SignatureForm(), at=NOW)
    pem = [load_der_x509_certificate(one.der).public_bytes(Encoding.PEM) for one in read_signed(octets).certificates]
    referee.verify(octets, BODY, "-certsout", "certificates")
    found = (referee.folder / "certificates").read_bytes()
    assert len(pem) == 2
    assert all(one in found for one in pem)
