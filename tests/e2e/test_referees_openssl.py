"""`openssl cms` (3.0) as referee of what CMS knows besides one signer, one recipient and today's algorithms."""

import subprocess
from dataclasses import replace

import pytest

from harness.referees import BODY, KEYS, changed, forged
from mailseal.policy.reason import ReasonCode
from mailseal.smime import ber, der
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.encrypt import encrypt
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.sign import sign
from mailseal.smime.verify import read_signed, verify
from pki import NOW

PSS = ("-keyopt", "rsa_padding_mode:pss")
COUNTERSIGNATURE = der.oid("1.2.840.113549.1.9.6")


# Several signers.

CROWDS = {
    "rsa-ec": ("rsa2048", "p256"),
    "ec": ("p256", "p384", "p521"),
    "rsa-pss-ec": ("rsa2048", ("rsa3072", *PSS), "p256"),
    "pss-by-key-and-by-name": (("rsa2048", *PSS, "-keyopt", "rsa_pss_saltlen:32"), "p384"),
    "all": ("rsa2048", ("rsa3072", *PSS), "p256", "p384", "p521"),
}


@pytest.mark.parametrize("options", [(), ("-keyid",), ("-noattr",), ("-nodetach",)], ids=" ".join)
@pytest.mark.parametrize("crowd", CROWDS)
def test_we_verify_several_signers(referee, people, crowd, options):
    octets = referee.sign(*CROWDS[crowd], options=options)
    names = [one if isinstance(one, str) else one[0] for one in CROWDS[crowd]]
    checks = verify(read_signed(octets), BODY)
    assert [check.verified for check in checks] == [True] * len(names)
    assert {check.certificate for check in checks} == set(people.certificates(*names))
    assert not any(check.verified for check in verify(read_signed(octets), changed(BODY)))
    # One that is forged takes nothing from the others, and gets nothing from them.
    checks = verify(read_signed(forged(octets)), BODY)
    assert [check.verified for check in checks] == [True] * (len(names) - 1) + [False]


def test_openssl_signs_what_we_signed_and_both_read_it(referee, people):
    ours = sign(BODY, people.identity("rsa2048"), SignatureForm(), at=NOW)
    both = referee.sign_also(ours, "p256")
    assert referee.verify(both, BODY) == BODY
    checks = verify(read_signed(both), BODY)
    assert [check.verified for check in checks] == [True, True]
    assert {check.certificate for check in checks} == set(people.certificates("rsa2048", "p256"))


def test_a_signer_without_certificate_is_known_by_what_we_have(referee, people):
    for options in ((), ("-keyid",)):
        octets = referee.cms(
            "-sign", "-nocerts", "-binary", "-in", referee.put(BODY, "content"), "-outform", "DER", *options,
            "-signer", "p256.pem", "-inkey", "p256.key",
        )  # fmt: skip
        signed = read_signed(octets)
        assert signed.certificates == ()
        assert verify(signed, BODY)[0].reason is ReasonCode.SIGNER_CERTIFICATE_MISSING
        (check,) = verify(signed, BODY, people.certificates(*KEYS))
        assert check.verified
        assert check.certificate == people.people["p256"].certificate


def test_we_do_not_accept_md5(referee):
    (check,) = verify(read_signed(referee.sign("rsa2048", options=("-md", "md5"))), BODY)
    assert (check.verified, check.reason) == (False, ReasonCode.UNSUPPORTED_ALGORITHM)


# Signatures with more in them.


def with_unsigned(octets: bytes, attribute: bytes) -> bytes:
    """SignedData of one signer with an unsigned attribute."""
    kind, explicit = ber.read(octets).children
    *front, signers = explicit.children[0].children
    signer = der.sequence(*(one.whole for one in signers.children[0].children), der.element(0xA1, attribute))
    signed = der.sequence(*(one.whole for one in front), der.element(0x31, signer))
    return der.sequence(kind.whole, der.element(0xA0, signed))


@pytest.mark.parametrize("by", ["p256", "rsa3072"])
def test_a_countersignature_changes_nothing(referee, people, by):
    octets = referee.sign("rsa2048")
    value = read_signed(octets).signers[0].signature
    # A countersignature is a SignerInfo over the value of the signature (RFC 5652 §11.4).
    over = ber.read(referee.sign(by, options=("-noattr",), content=value)).children[1].children[0].children[-1]
    attribute = der.sequence(COUNTERSIGNATURE, over.whole)
    countersigned = with_unsigned(octets, attribute)
    assert referee.verify(countersigned, BODY) == BODY
    (check,) = verify(read_signed(countersigned), BODY)
    assert check.verified
    assert check.certificate == people.people["rsa2048"].certificate
    assert not verify(read_signed(countersigned), changed(BODY))[0].verified
    # Nor is one worth anything that is wrong, or in place of the signature.
    (check,) = verify(read_signed(with_unsigned(octets, changed(attribute))), BODY)
    assert check.verified
    (check,) = verify(read_signed(with_unsigned(forged(octets), attribute)), BODY)
    assert not check.verified


def test_a_request_for_receipts_is_read_over(referee):
    options = ("-receipt_request_to", "olga@example.org", "-receipt_request_first", "-receipt_request_print")
    octets = referee.sign("p384", options=options)
    assert der.oid("1.2.840.113549.1.9.16.2.1") in octets
    (check,) = verify(read_signed(octets), BODY)
    assert check.verified


def test_content_of_another_type_is_not_data(referee):
    octets = referee.sign("p256", options=("-nodetach", "-econtent_type", "1.2.3.4"))
    signed = read_signed(octets)
    assert signed.content_type == der.oid("1.2.3.4")
    assert signed.econtent == BODY


def test_certificates_alone(referee, people):
    referee.put(b"".join(one.pem for one in people.people.values()), "all.pem")
    words = ["openssl", "crl2pkcs7", "-nocrl", "-certfile", "all.pem", "-outform", "DER"]
    octets = subprocess.run(words, cwd=referee.folder, capture_output=True, check=True).stdout
    signed = read_signed(octets)
    assert set(signed.certificates) == set(people.certificates(*people.people))
    assert (signed.signers, verify(replace(signed, econtent=b""), None)) == ((), ())


# Layers.


@pytest.mark.parametrize("stream", [(), ("-stream",)], ids=" ".join)
@pytest.mark.parametrize(("inner", "reader", "outer"), [("rsa2048", "rsa3072", "p256"), ("p256", "p384", "rsa2048")])
def test_we_read_three_layers_of_openssl(referee, people, inner, reader, outer, stream):
    signed = referee.sign(inner, options=("-nodetach", *stream))
    encrypted = referee.encrypt(reader, options=("-aes-256-gcm", *stream), content=signed)
    octets = referee.sign(outer, options=("-nodetach", *stream), content=encrypted)
    first = read_signed(octets)
    assert verify(first, None)[0].certificate == people.people[outer].certificate
    opened = read_enveloped(first.econtent).decrypt(people.keys(reader), 1_000_000)
    last = read_signed(opened)
    (check,) = verify(last, None)
    assert (check.verified, last.econtent) == (True, BODY)
    assert check.certificate == people.people[inner].certificate


def test_openssl_reads_our_three_layers(referee, people):
    signed = sign(BODY, people.identity("p256"), SignatureForm(opaque=True), at=NOW)
    encrypted = encrypt([signed], people.certificates("rsa2048", "p384"), EncryptionForm())
    octets = sign(encrypted, people.identity("rsa3072"), SignatureForm(opaque=True), at=NOW)
    for kind in ("rsa2048", "p384"):
        opened = referee.decrypt(referee.verify(octets), kind)
        assert referee.verify(opened) == BODY
