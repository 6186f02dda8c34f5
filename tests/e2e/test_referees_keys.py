"""Keys that `openssl cms` 3.0 does not know, checked by openssl's primitives; RSA keys that are for PSS alone.

The structures are taken apart here by the words of RFC 8418 and RFC 8419, not by the engine.
"""

import hashlib
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from harness import gpgsm, nss
from harness.gpgsm import Gpgsm
from harness.nss import Nss
from harness.referees import BODY, RefusedError, changed, forged
from harness.waiting import PATIENCE_SECONDS
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Cipher, Digest
from mailseal.smime import ber, der
from mailseal.smime.ber import Element
from mailseal.smime.certificate import parse_certificate
from mailseal.smime.encrypt import encrypt
from mailseal.smime.errors import CmsError
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.sign import SigningIdentity, sign
from mailseal.smime.verify import read_signed, verify
from pki import NOW, Identity


def openssl(folder: Path, *words: str) -> bytes:
    done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
    if done.returncode != 0:
        raise RefusedError((done.stdout + done.stderr).decode(errors="replace"))
    return done.stdout


def at(element: Element, *numbers: int) -> Element:
    """A descendant, by its number at each level."""
    for number in numbers:
        element = element.children[number]
    return element


# Ed25519 (RFC 8419)


def test_openssl_verifies_the_octets_that_we_sign_by_ed25519(referee, people):
    signed = at(ber.read(sign(BODY, people.identity("ed25519"), SignatureForm(), at=NOW)), 1, 0)
    assert signed.children[1].whole == der.element(0x31, der.sequence(der.oid("2.16.840.1.101.3.4.2.3")))
    _, _, digest, attributes, algorithm, signature = at(signed, -1, 0).children
    assert digest.whole == der.sequence(der.oid("2.16.840.1.101.3.4.2.3"))  # SHA-512
    assert algorithm.whole == der.sequence(der.oid("1.3.101.112"))
    assert der.octet_string(hashlib.sha512(BODY).digest()) in attributes.whole
    referee.put(b"\x31" + attributes.whole[1:], "attributes")
    words = ["pkeyutl", "-verify", "-rawin", "-certin", "-inkey", "ed25519.pem", "-in", "attributes", "-sigfile"]
    openssl(referee.folder, *words, referee.put(ber.octets(signature), "signature"))
    with pytest.raises(RefusedError, match="Verification Failure"):
        openssl(referee.folder, *words, referee.put(changed(ber.octets(signature)), "signature"))


def test_we_verify_what_openssl_signs_by_ed25519(referee, people):
    # Its `cms` cannot, so the attributes of our signature get one that is made by openssl's own hand.
    ours = sign(BODY, people.identity("ed25519"), SignatureForm(), at=NOW)
    attributes, _, signature = at(ber.read(ours), 1, 0, -1, 0).children[3:]
    referee.put(b"\x31" + attributes.whole[1:], "attributes")
    words = ["pkeyutl", "-sign", "-rawin", "-inkey", "ed25519.key", "-in", "attributes"]
    theirs = openssl(referee.folder, *words)
    assert ours.endswith(der.octet_string(theirs))  # Ed25519 has no chance in it
    assert ber.octets(signature) == theirs
    (check,) = verify(read_signed(ours), BODY)
    assert (check.verified, check.algorithm, check.digest) == (True, "ed25519", "sha512")
    assert not verify(read_signed(forged(ours)), BODY)[0].verified


# X25519 (RFC 8418)


@pytest.mark.parametrize(
    ("cipher", "wrap"),
    [
        (Cipher.AES128_CBC, "2.16.840.1.101.3.4.1.5"),
        (Cipher.AES192_CBC, "2.16.840.1.101.3.4.1.25"),
        (Cipher.AES256_CBC, "2.16.840.1.101.3.4.1.45"),
    ],
)
def test_openssl_opens_by_hand_what_we_encrypt_for_x25519(referee, people, cipher, wrap):
    bits = int(cipher.value[3:6])
    structure = encrypt([BODY], people.certificates("x25519"), EncryptionForm(cipher))
    _, recipients, content = at(ber.read(structure), 1, 0).children
    _, originator, agreement, keys = at(recipients, 0).children
    assert agreement.whole == der.sequence(der.oid("1.2.840.113549.1.9.16.3.19"), der.sequence(der.oid(wrap)))
    point = at(originator, 0)
    assert at(point, 0).whole == der.sequence(der.oid("1.3.101.110"))
    # The public key as a file: SubjectPublicKeyInfo (RFC 8410 §4)
    spki = der.sequence(at(point, 0).whole, der.bit_string(ber.bits(at(point, 1))))
    folder = referee.folder
    words = ["pkeyutl", "-derive", "-inkey", "x25519.key", "-peerkey", referee.put(spki, "peer"), "-peerform", "DER"]
    secret = openssl(folder, *words)
    # ECC-CMS-SharedInfo (RFC 5753 §7.2), without a salt: there is no user keying material.
    shared = der.sequence(der.sequence(der.oid(wrap)), der.element(0xA2, der.octet_string(bits.to_bytes(4, "big"))))
    options = ["digest:SHA256", f"hexkey:{secret.hex()}", "salt:", f"hexinfo:{shared.hex()}"]
    words = [word for option in options for word in ("-kdfopt", option)]
    kek = openssl(folder, "kdf", "-keylen", str(bits // 8), "-binary", *words, "HKDF")
    wrapped = referee.put(ber.octets(at(keys, 0, 1)), "wrapped")
    words = ["enc", "-d", f"-id-aes{bits}-wrap", "-K", kek.hex(), "-iv", "A6" * 8, "-in", wrapped]
    key = openssl(folder, *words)
    vector = ber.octets(at(content, 1, 1))
    encrypted = referee.put(ber.octets(content.children[2], 0x80), "encrypted")
    words = ["enc", "-d", f"-aes-{bits}-cbc", "-K", key.hex(), "-iv", vector.hex(), "-in", encrypted]
    assert openssl(folder, *words) == BODY


# RSA keys that are for PSS alone (RFC 4055 §1.2)


@pytest.fixture(scope="module")
def pss(people, referee) -> Identity:
    """An identity whose certificate says so, made by openssl in the referee's folder."""
    folder = referee.folder
    (folder / "ca.pem").write_bytes(people.issuing.pem)
    (folder / "ca.key").write_bytes(Identity(people.issuing.certificate, None, people.issuing.key).key_pem)
    openssl(folder, "genpkey", "-quiet", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "pss.key")
    extensions = (
        "subjectAltName=email:pss@example.org",
        "extendedKeyUsage=emailProtection",
        "keyUsage=critical,digitalSignature",
        "basicConstraints=critical,CA:FALSE",
    )
    words = [word for one in extensions for word in ("-addext", one)]
    (folder / "req.cnf").write_text("[req]\ndistinguished_name=dn\n[dn]\n")
    ca = ["-config", "req.cnf", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "3650", "-subj", "/CN=pss"]
    openssl(folder, "req", "-x509", "-key", "pss.key", "-sha256", *ca, *words, "-out", "pss.pem")
    x509 = load_pem_x509_certificate((folder / "pss.pem").read_bytes())
    certificate = parse_certificate(x509.public_bytes(Encoding.DER))
    key = load_pem_private_key((folder / "pss.key").read_bytes(), None)
    assert der.oid("1.2.840.113549.1.1.10") in certificate.spki_der
    return Identity(certificate, x509, key, people.issuing.chain)


@pytest.fixture(scope="module")
def signatures(pss) -> dict[Digest, bytes]:
    """Ours, by digest; the form asks for PKCS #1 v1.5 and gets what the certificate allows.

    Made within its validity, which begins now: a referee judges it by the time of the signature.
    """
    at = pss.x509.not_valid_before_utc + timedelta(seconds=1)
    identity = SigningIdentity(pss.certificate, pss.key, pss.chain)
    return {digest: sign(BODY, identity, SignatureForm(digest), at=at) for digest in Digest}


@pytest.mark.parametrize("digest", Digest)
def test_openssl_verifies_what_we_sign_by_a_key_for_pss(referee, signatures, digest):
    assert referee.verify(signatures[digest], BODY) == BODY
    with pytest.raises(RefusedError):
        referee.verify(forged(signatures[digest]), BODY)


@pytest.fixture(scope="module")
def gnupg(people) -> Iterator[Gpgsm]:
    if reason := gpgsm.why_not():
        pytest.skip(reason)
    with Gpgsm(people.root, [people.issuing], []) as made:
        yield made


def test_gpgsm_verifies_what_we_sign_by_a_key_for_pss(gnupg, signatures):
    assert gnupg.verify(signatures[Digest.SHA256], BODY) == BODY


def test_nss_cannot_use_a_key_for_pss(people, signatures, tmp_path):
    if reason := nss.why_not():
        pytest.skip(reason)
    thunderbird = Nss(tmp_path, people.root)
    thunderbird.know(people.issuing)
    # PSS by a key for RSA at large it verifies: test_referees_nss.py.
    with pytest.raises(RefusedError, match="SEC_ERROR_INVALID_ARGS"):
        thunderbird.verify(signatures[Digest.SHA256], BODY)


@pytest.mark.parametrize("digest", ["sha256", "sha512"])
def test_we_verify_what_openssl_signs_by_a_key_for_pss(referee, pss, digest):
    options = ("-md", digest, "-keyopt", "rsa_padding_mode:pss")
    (check,) = verify(read_signed(referee.sign("pss", options=options)), BODY)
    assert (check.verified, check.algorithm, check.digest) == (True, "rsa-pss", digest)
    assert check.certificate == pss.certificate


def test_the_wrong_name_that_openssl_gives_to_a_signature_by_a_key_for_pss_is_believed_by_nobody(referee, pss):
    octets = referee.sign("pss")  # It signs by PSS and calls that rsaEncryption.
    with pytest.raises(RefusedError, match="illegal or unsupported padding mode"):
        referee.verify(octets, BODY)
    (check,) = verify(read_signed(octets), BODY)
    assert (check.verified, check.reason) == (False, ReasonCode.SIGNATURE_INVALID)


def test_nothing_is_encrypted_to_a_key_for_pss(pss):
    with pytest.raises(CmsError) as raised:
        encrypt([BODY], [pss.certificate], EncryptionForm())
    assert raised.value.reason is ReasonCode.CERTIFICATE_UNSUPPORTED_KEY
