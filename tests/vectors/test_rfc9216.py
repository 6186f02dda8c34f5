"""RFC 9216: the sample certificates and keys for S/MIME, with RSA, Ed25519 and X25519."""

import ssl
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256, sha512
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from harness import openssl
from mailseal.policy import settings
from mailseal.policy.reason import ReasonCode
from mailseal.smime import der
from mailseal.smime.certificate import parse_certificate, public_key
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.encrypt import encrypt
from mailseal.smime.errors import CmsError
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.importing import ImportingError, read_certificates, read_pkcs12
from mailseal.smime.path import validate
from mailseal.smime.revocation import NO_CRLS
from mailseal.smime.sign import SigningIdentity, sign
from mailseal.smime.verify import read_signed, verify
from pki import DAY

FOLDER = Path(__file__).parent / "rfc9216"
AT = datetime(2026, 1, 1, tzinfo=UTC)
OWNERS = {"alice": "rsa", "bob": "rsa", "carlos": "25519", "dana": "25519"}
"""Whose certificates are by which of the two authorities."""
LEAVES = [f"{owner}.{use}" for owner in OWNERS for use in ("sign", "encrypt")]


def certificate(name):
    return parse_certificate(ssl.PEM_cert_to_DER_cert((FOLDER / f"{name}.crt").read_text()))


def key(name):
    return load_pem_private_key((FOLDER / f"{name}.key").read_bytes(), None)


def bundle(owner):
    body = (FOLDER / f"{owner}.p12").read_text().split("-----")[2]
    return b64decode("".join(body.split()), validate=True)


def judge(leaf, *intermediates, root, at=AT):
    verdict = validate(
        certificate(leaf), [certificate(one) for one in intermediates], [certificate(root)], NO_CRLS, at, crl_grace=DAY
    )
    return verdict.trusted, verdict.reason


@pytest.mark.parametrize("name", [*LEAVES, "ca.rsa", "ca.rsa.cross", "ca.25519", "ca.25519.cross"])
def test_certificates_are_read(name):
    one = certificate(name)
    assert one.is_ca == name.startswith("ca.")
    assert read_certificates((FOLDER / f"{name}.crt").read_bytes()) == (one,)
    assert public_key(one) == key(name.removesuffix(".cross")).public_key()
    if name in LEAVES:
        owner, use = name.split(".")
        assert one.san_emails == (f"{owner}@smime.example",)
        curve = "ed25519" if use == "sign" else "x25519"
        assert one.key_algorithm == ("rsa-2048" if OWNERS[owner] == "rsa" else curve)


@pytest.mark.parametrize("name", LEAVES)
def test_paths(name):
    kind = OWNERS[name.split(".")[0]]
    other = {"rsa": "25519", "25519": "rsa"}[kind]
    assert judge(name, root=f"ca.{kind}") == (True, None)
    # By way of the other authority, which certified this one: found only with that certificate at hand.
    assert judge(name, f"ca.{kind}.cross", root=f"ca.{other}") == (True, None)
    assert judge(name, root=f"ca.{other}") == (False, ReasonCode.CERTIFICATE_UNTRUSTED)
    assert judge(name, f"ca.{other}.cross", root=f"ca.{other}") == (False, ReasonCode.CERTIFICATE_UNTRUSTED)


def test_a_path_ends_with_its_certificates():
    verdict = validate(certificate("alice.sign"), [], [certificate("ca.rsa")], NO_CRLS, AT, crl_grace=DAY)
    assert (verdict.valid_from.year, verdict.valid_until.year) == (2019, 2052)


@pytest.mark.parametrize("owner", OWNERS)
def test_pkcs12(owner):
    found = read_pkcs12(bundle(owner), owner.encode())
    own = {certificate(f"{owner}.{use}"): key(f"{owner}.{use}").public_key() for use in ("sign", "encrypt")}
    assert {one: private.public_key() for one, private in found.keys} == own
    assert found.chain == (certificate(f"ca.{OWNERS[owner]}.cross"),)
    assert found.problems == ()
    with pytest.raises(ImportingError):
        read_pkcs12(bundle(owner), b"eve")


CONTENT = b"Content-Type: text/plain\r\n\r\nSigned with a sample key.\r\n"
SHA256 = der.sequence(der.oid("2.16.840.1.101.3.4.2.1"))
SHA512 = der.sequence(der.oid("2.16.840.1.101.3.4.2.3"))
RSA = der.sequence(der.oid("1.2.840.113549.1.1.1"), der.NULL)
ED25519 = der.sequence(der.oid("1.3.101.112"))
DATA, SIGNED_DATA = der.oid("1.2.840.113549.1.7.1"), der.oid("1.2.840.113549.1.7.2")


def attribute(kind, value):
    return der.sequence(der.oid(kind), der.set_of([value]))


def signed_by(owner):
    """SignedData, content left out, as RFC 5652 §5 and RFC 8419 §3 have it: written here, not by what reads it."""
    one, private = certificate(f"{owner}.sign"), key(f"{owner}.sign")
    edwards = isinstance(private, Ed25519PrivateKey)
    digest, algorithm, make = (SHA512, ED25519, sha512) if edwards else (SHA256, RSA, sha256)
    attributes = [
        attribute("1.2.840.113549.1.9.3", DATA),
        attribute("1.2.840.113549.1.9.4", der.octet_string(make(CONTENT).digest())),
    ]
    octets = der.set_of(attributes)
    signature = private.sign(octets) if edwards else private.sign(octets, PKCS1v15(), hashes.SHA256())
    signer = der.sequence(
        der.integer(1),
        der.sequence(one.issuer_der, der.integer(one.serial)),
        digest,
        der.set_of(attributes, tag=0xA0),
        algorithm,
        der.octet_string(signature),
    )
    signed = der.sequence(
        der.integer(1), der.set_of([digest]), der.sequence(DATA), der.element(0xA0, one.der), der.set_of([signer])
    )
    return der.sequence(SIGNED_DATA, der.element(0xA0, signed))


@pytest.mark.parametrize("owner", OWNERS)
def test_signatures(owner):
    signed = read_signed(signed_by(owner))
    (check,) = verify(signed, CONTENT)
    assert (check.verified, check.weak, check.reason) == (True, False, None)
    assert check.algorithm == ("rsa-pkcs1v15" if OWNERS[owner] == "rsa" else "ed25519")
    assert check.certificate == certificate(f"{owner}.sign")
    (check,) = verify(signed, CONTENT + b"\r\n")
    assert check.reason is ReasonCode.SIGNATURE_INVALID
    # The encryption certificate of the same person did not sign it.
    (check,) = verify(replace(signed, certificates=(certificate(f"{owner}.encrypt"),)), CONTENT)
    assert not check.verified


@pytest.mark.parametrize("owner", OWNERS)
def test_what_the_sample_keys_sign_here(owner):
    identity = SigningIdentity(certificate(f"{owner}.sign"), key(f"{owner}.sign"))
    (check,) = verify(read_signed(sign(CONTENT, identity, SignatureForm(), at=AT)), CONTENT)
    assert (check.verified, check.reason, check.signing_time) == (True, None, AT)


@pytest.mark.parametrize("owner", [owner for owner, kind in OWNERS.items() if kind == "rsa"])
@pytest.mark.parametrize("options", [(), ("-keyopt", "rsa_padding_mode:oaep")], ids=["pkcs1v15", "oaep"])
def test_encrypted_to_an_rsa_key(owner, options):
    made = openssl.run(
        *("cms", "-encrypt", "-aes256", "-binary", "-outform", "DER", "-recip", FOLDER / f"{owner}.encrypt.crt"),
        *options,
        given=CONTENT,
    )
    enveloped = read_enveloped(made)
    assert enveloped.decrypt([(certificate(f"{owner}.encrypt"), key(f"{owner}.encrypt"))], 1000) == CONTENT
    with pytest.raises(CmsError):
        enveloped.decrypt([(certificate(f"{owner}.sign"), key(f"{owner}.sign"))], 1000)


@pytest.mark.parametrize(
    "form",
    [EncryptionForm(), EncryptionForm(settings.Cipher.AES128_GCM, settings.KeyTransport.OAEP_SHA256)],
    ids=["cbc", "gcm-oaep"],
)
def test_what_is_encrypted_here_to_the_sample_keys(form):
    made = encrypt([CONTENT], [certificate(f"{owner}.encrypt") for owner in OWNERS], form)
    for owner in OWNERS:
        own = certificate(f"{owner}.encrypt"), key(f"{owner}.encrypt")
        assert read_enveloped(made).decrypt([own], 1000) == CONTENT


AES128_WRAP = der.sequence(der.oid("2.16.840.1.101.3.4.1.5"))
DERIVATIONS = {
    "1.3.132.1.11.1": lambda info: X963KDF(hashes.SHA256(), 16, info),
    "1.2.840.113549.1.9.16.3.19": lambda info: HKDF(hashes.SHA256(), 16, None, info),
}
"""dhSinglePass-stdDH-sha256kdf-scheme and -hkdf-sha256-scheme (RFC 8418 §2.2)."""


def encrypted_to(owner, derivation):
    """EnvelopedData with an ephemeral X25519 key (RFC 8418 §3), written here and not by what reads it."""
    one, ephemeral = certificate(f"{owner}.encrypt"), X25519PrivateKey.from_private_bytes(bytes(range(32)))
    info = der.sequence(AES128_WRAP, der.element(0xA2, der.octet_string((128).to_bytes(4, "big"))))
    kek = DERIVATIONS[derivation](info).derive(ephemeral.exchange(public_key(one)))
    key_, vector = bytes(range(16)), bytes(16)
    point = der.bit_string(ephemeral.public_key().public_bytes_raw())
    agreement = der.element(
        0xA1,
        der.integer(3),
        der.element(0xA0, der.element(0xA1, der.sequence(der.oid("1.3.101.110")), point)),
        der.sequence(der.oid(derivation), AES128_WRAP),
        der.sequence(
            der.sequence(
                der.sequence(one.issuer_der, der.integer(one.serial)), der.octet_string(aes_key_wrap(kek, key_))
            )
        ),
    )
    encryptor = Cipher(AES(key_), CBC(vector)).encryptor()
    missing = 16 - len(CONTENT) % 16
    ciphertext = encryptor.update(CONTENT + bytes([missing]) * missing) + encryptor.finalize()
    cipher = der.sequence(der.oid("2.16.840.1.101.3.4.1.2"), der.octet_string(vector))
    content = der.sequence(DATA, cipher, der.element(0x80, ciphertext))
    enveloped = der.sequence(der.integer(2), der.set_of([agreement]), content)
    return der.sequence(der.oid("1.2.840.113549.1.7.3"), der.element(0xA0, enveloped))


@pytest.mark.parametrize("derivation", DERIVATIONS)
@pytest.mark.parametrize("owner", ["carlos", "dana"])
def test_encrypted_to_an_x25519_key(owner, derivation):
    enveloped = read_enveloped(encrypted_to(owner, derivation))
    assert enveloped.decrypt([(certificate(f"{owner}.encrypt"), key(f"{owner}.encrypt"))], 1000) == CONTENT
    other = {"carlos": "dana", "dana": "carlos"}[owner]
    with pytest.raises(CmsError):
        enveloped.decrypt([(certificate(f"{owner}.encrypt"), key(f"{other}.encrypt"))], 1000)
