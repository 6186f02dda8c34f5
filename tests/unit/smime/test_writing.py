"""What we write: every key with every form, read again by our reader, and the exact AlgorithmIdentifiers."""

import itertools
import tracemalloc
from collections.abc import Callable
from functools import cache

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, x25519

from mailseal.mail.mime import parse
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Cipher, Digest, KeyTransport, RsaSignature
from mailseal.smime import algorithms, ber, der
from mailseal.smime.certificate import Certificate, parse_certificate, public_key
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.encrypt import encrypt, encryption_algorithms
from mailseal.smime.errors import CmsError
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.message import encrypted_entity, signed_entity
from mailseal.smime.sign import SigningIdentity, sign, signature_algorithms
from mailseal.smime.signed import read_signed
from mailseal.smime.verify import verify
from pki import NOW, Authority, Identity

CONTENT = b"Content-Type: text/plain\r\n\r\nThe canary sings.\r\n"
CA = Authority("Writing CA")
CURVES = ("p256", "p384", "p521", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1")
SIGNERS = ("rsa2048", "rsa3072", *CURVES, "ed25519")
RECIPIENTS = ("rsa2048", "rsa3072", *CURVES, "x25519")


@cache
def person(kind: str) -> Identity:
    key = x25519.X25519PrivateKey.generate() if kind == "x25519" else kind
    return CA.issue(f"{kind}@example.org", key=key)


def only(certificate: Certificate, purpose: bytes) -> Certificate:
    """The certificate with its key as one for RSASSA-PSS, or RSAES-OAEP, only (not signed again)."""
    plain = der.sequence(algorithms.RSA_ENCRYPTION, der.NULL)
    key = der.element(0x30, der.sequence(purpose), *(one.whole for one in ber.read(certificate.spki_der).children[1:]))
    assert plain in certificate.spki_der
    signed, *rest = ber.read(certificate.der).children
    fields = [key if one.whole == certificate.spki_der else one.whole for one in signed.children]
    return parse_certificate(der.sequence(der.sequence(*fields), *(one.whole for one in rest)))


def signer_of(kind: str) -> SigningIdentity:
    one = person(kind)
    return SigningIdentity(one.certificate, one.key, one.chain)


def signer_info(octets: bytes) -> list[ber.Element]:
    signed = ber.read(octets).children[1].children[0]
    return signed.children[-1].children[0].children


def hexadecimal(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


# RFC 5754 §2, §3.2, §3.3; RFC 8419 §3.1
DIGEST = {
    "sha256": hexadecimal("300b 0609608648016503040201"),
    "sha384": hexadecimal("300b 0609608648016503040202"),
    "sha512": hexadecimal("300b 0609608648016503040203"),
}
RSA = {
    "sha256": hexadecimal("300d 06092a864886f70d01010b 0500"),
    "sha384": hexadecimal("300d 06092a864886f70d01010c 0500"),
    "sha512": hexadecimal("300d 06092a864886f70d01010d 0500"),
}
ECDSA = {
    "sha256": hexadecimal("300a 06082a8648ce3d040302"),
    "sha384": hexadecimal("300a 06082a8648ce3d040303"),
    "sha512": hexadecimal("300a 06082a8648ce3d040304"),
}
ED25519 = hexadecimal("3005 06032b6570")
# RFC 4055 §3.1: rSASSA-PSS-SHA256-Params and so on
PSS = {
    name: hexadecimal(
        f"3041 06092a864886f70d01010a 3034 a00f 300d 06096086480165030402{last} 0500"
        f" a11c 301a 06092a864886f70d010108 300d 06096086480165030402{last} 0500 a203 0201{salt}"
    )
    for name, last, salt in (("sha256", "01", "20"), ("sha384", "02", "30"), ("sha512", "03", "40"))
}
FLOOR = {
    "p384": Digest.SHA384,
    "brainpoolP384r1": Digest.SHA384,
    "p521": Digest.SHA512,
    "brainpoolP512r1": Digest.SHA512,
}


def expected(kind: str, form: SignatureForm) -> tuple[bytes, bytes]:
    digest = max(form.digest, FLOOR.get(kind, Digest.SHA256), key=list(Digest).index)
    if kind == "ed25519":
        return DIGEST["sha512"], ED25519
    if kind.startswith("rsa"):
        return DIGEST[digest], (PSS if form.rsa is RsaSignature.PSS else RSA)[digest]
    return DIGEST[digest], ECDSA[digest]


@pytest.mark.parametrize("kind", SIGNERS)
@pytest.mark.parametrize("opaque", [False, True])
def test_every_signature(kind, opaque):
    for digest, rsa in itertools.product(Digest, RsaSignature):
        form = SignatureForm(digest, rsa, opaque)
        octets = sign(CONTENT, signer_of(kind), form, at=NOW)
        fields = signer_info(octets)
        assert (fields[2].whole, fields[4].whole) == expected(kind, form)
        (digests,) = ber.read(octets).children[1].children[0].children[1].children
        assert digests.whole == fields[2].whole
        (check,) = verify(read_signed(octets), None if opaque else CONTENT)
        assert check.verified
        assert check.reason is None
        assert check.signing_time == NOW
        assert signature_algorithms(person(kind).certificate, form) == f"{check.algorithm} {check.digest}"
        assert (CONTENT in octets) is opaque


def test_ed25519_signs_the_attributes_themselves():
    octets = sign(CONTENT, signer_of("ed25519"), SignatureForm(Digest.SHA256), at=NOW)
    fields = signer_info(octets)
    attributes = b"\x31" + fields[3].whole[1:]
    person("ed25519").key.public_key().verify(fields[5].value, attributes)
    digest = hashes.Hash(hashes.SHA512())
    digest.update(CONTENT)
    assert der.sequence(algorithms.MESSAGE_DIGEST, der.element(0x31, der.octet_string(digest.finalize()))) in attributes


def test_the_salt_is_as_long_as_the_digest():
    for digest, algorithm in zip(Digest, (hashes.SHA256(), hashes.SHA384(), hashes.SHA512()), strict=True):
        fields = signer_info(sign(CONTENT, signer_of("rsa2048"), SignatureForm(digest, RsaSignature.PSS), at=NOW))
        scheme = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
        attributes = b"\x31" + fields[3].whole[1:]
        person("rsa2048").key.public_key().verify(fields[5].value, attributes, scheme, algorithm)


def test_a_key_that_may_only_sign_by_pss_does():
    certificate = only(person("rsa2048").certificate, algorithms.RSASSA_PSS)
    assert certificate.key_algorithm == "rsa-pss-2048"
    identity = SigningIdentity(certificate, person("rsa2048").key)
    octets = sign(CONTENT, identity, SignatureForm(), at=NOW)
    assert signer_info(octets)[4].whole == PSS["sha256"]
    assert signature_algorithms(certificate, SignatureForm()) == "rsa-pss sha256"
    (check,) = verify(read_signed(octets), CONTENT)
    assert check.verified


def test_a_key_too_small_for_the_digest():
    small = CA.issue("small@example.org", key="rsa1024")
    identity = SigningIdentity(small.certificate, small.key)
    assert sign(CONTENT, identity, SignatureForm(Digest.SHA256, RsaSignature.PSS), at=NOW)
    with pytest.raises(CmsError) as caught:
        sign(CONTENT, identity, SignatureForm(Digest.SHA512, RsaSignature.PSS), at=NOW)
    assert caught.value.reason is ReasonCode.UNSUPPORTED_ALGORITHM


def test_x25519_does_not_sign():
    with pytest.raises(CmsError) as caught:
        sign(CONTENT, signer_of("x25519"), SignatureForm(), at=NOW)
    assert caught.value.reason is ReasonCode.CERTIFICATE_UNSUPPORTED_KEY


# RFC 3370 §4.2.1; RFC 4055 §4.1: rSAES-OAEP-SHA256-Params and so on, SHA-1 by the defaults
TRANSPORT = {KeyTransport.PKCS1V15: hexadecimal("300d 06092a864886f70d010101 0500")}
TRANSPORT[KeyTransport.OAEP_SHA1] = hexadecimal("300d 06092a864886f70d010107 3000")
TRANSPORT |= {
    transport: hexadecimal(
        f"303c 06092a864886f70d010107 302f a00f 300d 06096086480165030402{last} 0500"
        f" a11c 301a 06092a864886f70d010108 300d 06096086480165030402{last} 0500"
    )
    for transport, last in (
        (KeyTransport.OAEP_SHA256, "01"),
        (KeyTransport.OAEP_SHA384, "02"),
        (KeyTransport.OAEP_SHA512, "03"),
    )
}
# RFC 3565 §4.1, RFC 5084 §3.2: the last octet of the object identifier
CONTENT_CIPHER = {
    Cipher.AES128_CBC: "02",
    Cipher.AES192_CBC: "16",
    Cipher.AES256_CBC: "2a",
    Cipher.AES128_GCM: "06",
    Cipher.AES192_GCM: "1a",
    Cipher.AES256_GCM: "2e",
}


def enveloped_fields(octets: bytes) -> list[ber.Element]:
    return ber.read(octets).children[1].children[0].children


@pytest.mark.parametrize("cipher", Cipher)
@pytest.mark.parametrize("kind", RECIPIENTS)
def test_every_ciphertext(kind, cipher):
    one = person(kind)
    for transport in KeyTransport if kind.startswith("rsa") else (KeyTransport.PKCS1V15,):
        form = EncryptionForm(cipher, transport)
        octets = encrypt([CONTENT[:7], memoryview(CONTENT)[7:]], [one.certificate], form)
        assert b"canary" not in octets
        enveloped = read_enveloped(octets)
        assert enveloped.algorithm == cipher
        assert enveloped.decrypt([(one.certificate, one.key)], 1000) == CONTENT
        name = f"{cipher} {transport}" if kind.startswith("rsa") else cipher
        assert encryption_algorithms([one.certificate], form) == name
        octets = encrypt([b""], [one.certificate], form)
        assert read_enveloped(octets).decrypt([(one.certificate, one.key)], 1000) == b""


@pytest.mark.parametrize("transport", KeyTransport)
def test_identifiers_of_key_transport(transport):
    octets = encrypt([CONTENT], [person("rsa2048").certificate], EncryptionForm(key_transport=transport))
    version, infos, _ = enveloped_fields(octets)
    (info,) = infos.children
    assert info.tag == ber.SEQUENCE
    assert info.children[2].whole == TRANSPORT[transport]
    assert (version.value, info.children[0].value) == (b"\0", b"\0")


# RFC 5753 §7.1.4, by the strength of the curve (§8); RFC 8418 §2.2; RFC 3565 §2.3.2
@pytest.mark.parametrize("cipher", Cipher)
@pytest.mark.parametrize(
    ("kind", "derivation"),
    [
        ("p256", "2b8104010b01"),
        ("brainpoolP256r1", "2b8104010b01"),
        ("p384", "2b8104010b02"),
        ("brainpoolP384r1", "2b8104010b02"),
        ("p521", "2b8104010b03"),
        ("brainpoolP512r1", "2b8104010b03"),
        ("x25519", "2a864886f70d0109100313"),
    ],
)
def test_identifiers_of_key_agreement(kind, derivation, cipher):
    octets = encrypt([CONTENT], [person(kind).certificate], EncryptionForm(cipher))
    version, infos, *_ = enveloped_fields(octets)
    (info,) = infos.children
    three, originator, agreement, _ = info.children
    assert info.tag == 0xA1
    assert three.value == b"\3"
    assert version.value == (b"\0" if cipher.endswith("gcm") else b"\2")
    wrap = {"128": "05", "192": "19", "256": "2d"}[cipher[3:6]]
    inner = hexadecimal(f"300b 06096086480165030401{wrap}")
    kind_of_key = bytes.fromhex(derivation)
    assert agreement.whole == der.sequence(der.element(0x06, kind_of_key), inner)
    identifier, point = originator.children[0].children
    size = 32 if kind == "x25519" else 1 + 2 * ((public_key(person(kind).certificate).key_size + 7) // 8)
    assert len(point.value) == 1 + size
    assert identifier.whole == hexadecimal("3005 06032b656e" if kind == "x25519" else "3009 06072a8648ce3d0201")


@pytest.mark.parametrize("cipher", Cipher)
def test_identifiers_of_content_encryption(cipher):
    octets = encrypt([CONTENT], [person("rsa2048").certificate], EncryptionForm(cipher))
    fields = enveloped_fields(octets)
    kind, identifier, ciphertext = fields[2].children
    assert kind.whole == algorithms.DATA
    oid, parameters = identifier.children
    assert oid.value == bytes.fromhex(f"6086480165030401{CONTENT_CIPHER[cipher]}")
    if cipher.endswith("gcm"):
        nonce, tag = parameters.children
        assert (len(nonce.value), tag.value) == (12, b"\x10")
        assert len(ciphertext.value) == len(CONTENT)
        assert len(fields[3].value) == 16
    else:
        assert len(parameters.value) == 16
        assert len(ciphertext.value) == len(CONTENT) // 16 * 16 + 16
        assert len(fields) == 3


def test_a_key_that_may_only_receive_by_oaep_does():
    one = person("rsa2048")
    certificate = only(one.certificate, algorithms.RSAES_OAEP)
    assert certificate.key_algorithm == "rsa-oaep-2048"
    for wanted, written in (
        (KeyTransport.PKCS1V15, KeyTransport.OAEP_SHA256),
        (KeyTransport.OAEP_SHA512, KeyTransport.OAEP_SHA512),
    ):
        form = EncryptionForm(key_transport=wanted)
        octets = encrypt([CONTENT], [certificate], form)
        assert enveloped_fields(octets)[1].children[0].children[2].whole == TRANSPORT[written]
        assert read_enveloped(octets).decrypt([(certificate, one.key)], 1000) == CONTENT
        assert encryption_algorithms([certificate], form) == f"aes256-cbc {written}"
    both = [certificate, person("rsa3072").certificate]
    assert encryption_algorithms(both, EncryptionForm()) == "aes256-cbc pkcs1v15 oaep-sha256"


def test_an_rsa_key_too_small_for_the_transport():
    small = CA.issue("small@example.org", key="rsa1024")
    form = EncryptionForm(key_transport=KeyTransport.OAEP_SHA512)
    with pytest.raises(CmsError) as caught:
        encrypt([CONTENT], [small.certificate], form)
    assert caught.value.reason is ReasonCode.CERTIFICATE_UNSUPPORTED_KEY
    assert encrypt([CONTENT], [person("rsa2048").certificate], form)


def test_keys_for_one_purpose_serve_no_other():
    one = person("rsa2048")
    with pytest.raises(CmsError) as caught:
        encrypt([CONTENT], [only(one.certificate, algorithms.RSASSA_PSS)], EncryptionForm())
    assert caught.value.reason is ReasonCode.CERTIFICATE_UNSUPPORTED_KEY
    identity = SigningIdentity(only(one.certificate, algorithms.RSAES_OAEP), one.key)
    with pytest.raises(CmsError) as caught:
        sign(CONTENT, identity, SignatureForm(), at=NOW)
    assert caught.value.reason is ReasonCode.CERTIFICATE_UNSUPPORTED_KEY


def test_ed25519_receives_nothing():
    with pytest.raises(CmsError) as caught:
        encrypt([CONTENT], [person("ed25519").certificate], EncryptionForm())
    assert caught.value.reason is ReasonCode.CERTIFICATE_UNSUPPORTED_KEY


@pytest.mark.parametrize("cipher", [Cipher.AES256_CBC, Cipher.AES192_GCM])
def test_one_ciphertext_for_everybody(cipher):
    everyone = [person(kind) for kind in RECIPIENTS]
    octets = encrypt([CONTENT], [one.certificate for one in everyone], EncryptionForm(cipher, KeyTransport.OAEP_SHA384))
    enveloped = read_enveloped(octets)
    for one in everyone:
        assert enveloped.decrypt([(one.certificate, one.key)], 1000) == CONTENT


@pytest.mark.parametrize("cipher", [Cipher.AES256_CBC, Cipher.AES256_GCM])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 127, 128, 58_367, 58_368, 58_369, 200_000])
def test_lengths_written_before_the_content(size, cipher):
    one = person("p256")
    content = bytes(range(251)) * (size // 251 + 1)
    pieces = [content[: size // 3], memoryview(content)[size // 3 : size]]
    octets = encrypt(pieces, [one.certificate], EncryptionForm(cipher))
    assert ber.read(octets).end == len(octets)
    assert read_enveloped(octets).decrypt([(one.certificate, one.key)], size + 16) == content[:size]


@pytest.mark.parametrize("kind", SIGNERS)
def test_the_digest_that_a_reader_has_to_make_on_the_way(kind):
    """micalg (RFC 8551 §3.5.3.2) is of the digest that signed, also where the key has one of its own."""
    for digest in Digest:
        form = SignatureForm(digest)
        root = parse(b"".join(signed_entity(CONTENT, signer_of(kind), form, NOW))).root
        name = signature_algorithms(person(kind).certificate, form).split()[-1]
        assert root.content_type.parameters["micalg"] == name.replace("sha", "sha-")


@pytest.mark.parametrize("cipher", [Cipher.AES256_CBC, Cipher.AES256_GCM])
def test_the_memory_that_writing_takes(cipher):
    content = bytes(2_000_000)
    certificates = [person("p256").certificate]

    def peak(write: Callable[[], object]) -> float:
        write()
        tracemalloc.start()
        try:
            write()
            return tracemalloc.get_traced_memory()[1] / len(content)
        finally:
            tracemalloc.stop()

    assert peak(lambda: encrypted_entity([content], certificates, EncryptionForm(cipher))) < 1.6
    assert peak(lambda: signed_entity(content, signer_of("p256"), SignatureForm(), NOW)) < 0.1
    assert peak(lambda: signed_entity(content, signer_of("p256"), SignatureForm(opaque=True), NOW)) < 1.6


def test_nothing_is_used_twice():
    first, second = (encrypt([CONTENT], [person("rsa2048").certificate], EncryptionForm()) for _ in range(2))
    identifiers = {enveloped_fields(one)[2].children[1].whole for one in (first, second)}
    assert len(identifiers) == 2
    points = {
        enveloped_fields(encrypt([CONTENT], [person("p256").certificate], EncryptionForm()))[1]
        .children[0]
        .children[1]
        .whole
        for _ in range(2)
    }
    assert len(points) == 2
