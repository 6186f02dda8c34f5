"""Signers: keys for one purpose, curves, several at once; what beside a signature must not count; what it may cost."""

import time
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, x25519
from hypothesis import given
from hypothesis import strategies as st

from cms_samples import BODY, identity, people
from mailseal.policy.reason import ReasonCode
from mailseal.smime import algorithms, ber, der
from mailseal.smime.certificate import parse_certificate
from mailseal.smime.errors import CmsError
from mailseal.smime.form import SignatureForm
from mailseal.smime.sign import issuer_and_serial, sign
from mailseal.smime.verify import MAX_CANDIDATES, MAX_KEY_USES, read_signed, verify
from pki import NOW, Authority

SHA256, SHA384 = algorithms.SHA256, algorithms.SHA384
PKCS1 = der.sequence(algorithms.RSA_ENCRYPTION, der.NULL)
ISSUER = Authority("Signers")
COUNTERSIGNATURE = der.oid("1.2.840.113549.1.9.6")


def attribute(kind, *values):
    return der.sequence(kind, der.element(0x31, *values))


def attributes(content=BODY, row=SHA256):
    return [
        attribute(algorithms.CONTENT_TYPE, algorithms.DATA),
        attribute(algorithms.MESSAGE_DIGEST, der.octet_string(row.make(content).digest())),
    ]


def info(certificate, signature_of, *, row=SHA256, algorithm=PKCS1, signed=None, unsigned=b"", plain=False):
    """A SignerInfo; `signature_of` makes the signature of octets. `signed` are its attributes."""
    signed = attributes(row=row) if signed is None else signed
    shown = BODY if plain else der.element(0x31, *signed)
    return der.sequence(
        der.integer(1),
        issuer_and_serial(certificate),
        row.identifier,
        b"" if plain else der.element(0xA0, *signed),
        algorithm,
        der.octet_string(signature_of(shown)),
        unsigned,
    )


def structure(infos, certificates, content=None):
    inside = der.element(0xA0, der.octet_string(content)) if content is not None else b""
    return der.sequence(
        algorithms.SIGNED_DATA,
        der.element(
            0xA0,
            der.sequence(
                der.integer(1),
                der.element(0x31),
                der.sequence(algorithms.DATA, inside),
                der.element(0xA0, *certificates),
                der.element(0x31, *infos),
            ),
        ),
    )


def checks(infos, certificates, content=BODY):
    return verify(read_signed(structure(infos, [one.der for one in certificates])), content)


def rsa(octets):
    return people()["rsa2048"].key.sign(octets, padding.PKCS1v15(), hashes.SHA256())


def pss(row=SHA256, salt=32, mask=None):
    scheme = padding.PSS(padding.MGF1((mask or row).algorithm), salt)
    return lambda octets: people()["rsa2048"].key.sign(octets, scheme, row.algorithm)


def pss_identifier(row=SHA256, salt=32, mask=None):
    parameters = der.sequence(
        der.element(0xA0, row.identifier),
        der.element(0xA1, algorithms.mask_identifier(mask or row)),
        der.element(0xA2, der.integer(salt)),
    )
    return der.sequence(algorithms.RSASSA_PSS, parameters)


def made_for(algorithm):
    """The certificate of the RSA key with another algorithm in its key; its own signature does not matter here."""
    certificate = ber.read(people()["rsa2048"].der)
    fields = [one.whole for one in certificate.children[0].children]
    spki = ber.read(people()["rsa2048"].certificate.spki_der)
    changed = der.sequence(algorithm, spki.children[1].whole)
    fields = [changed if one == spki.whole else one for one in fields]
    return parse_certificate(der.sequence(der.sequence(*fields), *(one.whole for one in certificate.children[1:])))


PLAIN = people()["rsa2048"].certificate
FOR_PSS = made_for(der.sequence(algorithms.RSASSA_PSS))
FOR_OAEP = made_for(der.sequence(algorithms.RSAES_OAEP))


@pytest.mark.parametrize(
    ("certificate", "by_pkcs1", "by_pss"),
    [(PLAIN, True, True), (FOR_PSS, False, True), (FOR_OAEP, False, False)],
    ids=["plain", "pss", "oaep"],
)
def test_a_key_for_one_purpose_verifies_nothing_else(certificate, by_pkcs1, by_pss):
    for plain in (False, True):
        (check,) = checks([info(certificate, rsa, plain=plain)], [certificate])
        assert check.verified is by_pkcs1
        (check,) = checks([info(certificate, pss(), algorithm=pss_identifier(), plain=plain)], [certificate])
        assert check.verified is by_pss
        assert check.reason is (None if by_pss else ReasonCode.SIGNATURE_INVALID)


@pytest.mark.parametrize(
    ("row", "salt", "mask", "verified"),
    [
        (SHA256, 32, None, True),
        (SHA256, 64, None, True),
        (SHA256, 31, None, False),
        (SHA256, 0, None, False),
        (SHA384, 48, None, False),
        (SHA256, 32, SHA384, False),
    ],
)
def test_parameters_of_a_pss_key_bind_its_signatures(row, salt, mask, verified):
    certificate = made_for(pss_identifier())
    algorithm = pss_identifier(row, salt, mask)
    one = info(certificate, pss(row, salt, mask), row=row, algorithm=algorithm)
    (check,) = checks([one], [certificate])
    assert check.verified is verified
    assert checks([info(PLAIN, pss(row, salt, mask), row=row, algorithm=algorithm)], [PLAIN])[0].verified


@pytest.mark.parametrize("salt", [0, 1, 20, 32, 222])
@pytest.mark.parametrize("name", ["sha1", "sha224", "sha256", "sha384", "sha512"])
def test_pss_with_every_digest_and_salt(name, salt):
    row = algorithms.DIGESTS_BY_NAME[name]
    salt = min(salt, 256 - row.algorithm.digest_size - 2)
    (check,) = checks([info(PLAIN, pss(row, salt), row=row, algorithm=pss_identifier(row, salt))], [PLAIN])
    assert (check.verified, check.weak, check.digest, check.algorithm) == (True, name == "sha1", name, "rsa-pss")


CURVES = [ec.SECP521R1, ec.SECP256K1, ec.BrainpoolP256R1, ec.BrainpoolP384R1, ec.BrainpoolP512R1]


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_ecdsa_on_other_curves(curve):
    person = ISSUER.issue("a@example.org", key=ec.generate_private_key(curve()))
    for row, algorithm in ((SHA256, "1.2.840.10045.4.3.2"), (algorithms.SHA512, "1.2.840.10045.4.3.4")):

        def signature_of(octets, row=row):
            return person.key.sign(octets, ec.ECDSA(row.algorithm))

        one = info(person.certificate, signature_of, row=row, algorithm=der.sequence(der.oid(algorithm)))
        (check,) = checks([one], [person.certificate])
        assert (check.verified, check.weak, check.algorithm) == (True, False, "ecdsa")
        assert not checks([one], [person.certificate], BODY + b"x")[0].verified


def test_ed25519_with_and_without_attributes():
    person = ISSUER.issue("e@example.org", key=ed25519.Ed25519PrivateKey.generate())
    row, algorithm = algorithms.SHA512, der.sequence(algorithms.ED25519)
    for plain in (False, True):
        one = info(person.certificate, person.key.sign, row=row, algorithm=algorithm, plain=plain)
        (check,) = checks([one], [person.certificate])
        assert (check.verified, check.weak, check.algorithm) == (True, False, "ed25519")
        assert not checks([one], [person.certificate], BODY + b"x")[0].verified


def test_a_key_of_another_kind_than_the_signature():
    edwards = ISSUER.issue("e@example.org", key=ed25519.Ed25519PrivateKey.generate()).certificate
    montgomery = ISSUER.issue("x@example.org", key=x25519.X25519PrivateKey.generate()).certificate
    elliptic = people()["p256"].certificate
    ecdsa = der.sequence(der.oid("1.2.840.10045.4.3.2"))
    for certificate in (edwards, montgomery, elliptic, PLAIN):
        for algorithm in (PKCS1, pss_identifier(), ecdsa, der.sequence(algorithms.ED25519)):
            (check,) = checks([info(certificate, lambda _: bytes(256), algorithm=algorithm)], [certificate])
            assert (check.verified, check.reason) == (False, ReasonCode.SIGNATURE_INVALID)


UNSIGNED = [
    der.element(0xA1),
    der.element(0xA1, der.NULL, der.NULL),
    der.element(0xA1, attribute(COUNTERSIGNATURE, der.sequence(der.integer(1)))),
    der.element(0xA1, *[attribute(COUNTERSIGNATURE, info(PLAIN, rsa))] * 100),
    der.element(0xA1, attribute(algorithms.MESSAGE_DIGEST, der.octet_string(bytes(32)))),
    der.element(0xA1, attribute(algorithms.SIGNING_TIME, der.time(NOW))),
    b"\xa1\x80" + attribute(COUNTERSIGNATURE, info(PLAIN, rsa)) + b"\0\0",
    b"\xa1\x84\x00\x00\x00\x05\xff\xff\xff\xff\xff",
]


@pytest.mark.parametrize("unsigned", UNSIGNED)
def test_unsigned_attributes_say_nothing(unsigned):
    (check,) = checks([info(PLAIN, rsa, unsigned=unsigned)], [PLAIN])
    assert (check.verified, check.reason, check.signing_time) == (True, None, None)


def test_a_good_countersignature_makes_no_signer():
    """A countersignature is over a signature, not over the mail (RFC 5652 §11.4)."""
    signature = rsa(der.element(0x31, *attributes()))
    counter = attributes(signature)
    inner = info(PLAIN, rsa, signed=counter)
    (check,) = checks([info(PLAIN, lambda _: bytes(256), unsigned=der.element(0xA1, inner))], [PLAIN])
    assert not check.verified
    (check,) = checks([inner], [PLAIN])
    assert not check.verified


@pytest.mark.parametrize(
    "signed",
    [
        [],
        attributes()[:1],
        attributes()[1:],
        [*attributes(), attributes()[0]],
        [*attributes(), attributes(b"other")[1]],
        [*attributes(), attribute(algorithms.SIGNING_TIME), attribute(algorithms.SIGNING_TIME)],
        [attributes()[0], attribute(algorithms.MESSAGE_DIGEST)],
        [attributes()[0], attribute(algorithms.MESSAGE_DIGEST, *[der.octet_string(SHA256.make(BODY).digest())] * 2)],
        [attribute(algorithms.CONTENT_TYPE, algorithms.DATA, algorithms.DATA), attributes()[1]],
        [attribute(algorithms.CONTENT_TYPE, algorithms.SIGNED_DATA), attributes()[1]],
        [attributes()[0], attribute(algorithms.MESSAGE_DIGEST, der.NULL)],
    ],
    ids=str,
)
def test_attributes_missing_or_twice(signed):
    """Their signature holds; what they say does not."""
    octets = structure([info(PLAIN, rsa, signed=signed)], [PLAIN.der])
    assert verdict(octets) in {ReasonCode.MALFORMED, ReasonCode.SIGNATURE_INVALID}
    assert verdict(structure([info(PLAIN, rsa)], [PLAIN.der])) is None


def verdict(octets):
    """Why the only signature is not good."""
    try:
        (check,) = verify(read_signed(octets), BODY)
    except CmsError as error:
        return error.reason
    return check.reason


@given(st.permutations(range(4)), st.booleans())
def test_attributes_in_any_order_and_in_ber(order, indefinite):
    every = [*attributes(), attribute(algorithms.SIGNING_TIME, der.time(NOW)), attribute(der.oid("1.2.3"), der.NULL)]
    every = [every[at] for at in order]
    one = info(PLAIN, rsa, signed=every)
    if indefinite:
        body = b"".join(b"\x30\x80" + child[2:] + b"\0\0" for child in every)
        whole = der.element(0xA0, *every)
        fields = [child.whole for child in ber.read(one).children]
        one = der.sequence(*(b"\xa0\x80" + body + b"\0\0" if field == whole else field for field in fields))
    (check,) = checks([one], [PLAIN])
    assert (check.verified, check.signing_time) == (True, NOW)


def test_each_signer_is_judged_for_himself():
    stranger = people()["p256"].certificate
    good, bad = info(PLAIN, rsa), info(PLAIN, lambda _: bytes(256))
    ecdsa = der.sequence(der.oid("1.2.840.10045.4.3.2"))
    second = info(
        stranger, lambda octets: people()["p256"].key.sign(octets, ec.ECDSA(hashes.SHA256())), algorithm=ecdsa
    )
    found = checks([good, second, bad], [PLAIN, stranger])
    assert [one.verified for one in found] == [True, True, False]
    assert [one.certificate for one in found] == [PLAIN, stranger, PLAIN]


def test_uses_of_keys_are_counted(monkeypatch):
    uses = []
    monkeypatch.setattr("mailseal.smime.verify._holds", lambda *_: bool(uses.append(1)))
    twins = [replace(PLAIN, fingerprint=str(at)) for at in range(20)]
    signed = read_signed(structure([info(PLAIN, lambda _: bytes(256))] * 32, []))
    found = verify(signed, BODY, twins)
    assert len(uses) == MAX_KEY_USES
    assert {one.reason for one in found} == {ReasonCode.SIGNATURE_INVALID, ReasonCode.TOO_MANY_SIGNERS}
    assert not any(one.verified for one in found)
    uses.clear()
    verify(replace(signed, signers=signed.signers[:1]), BODY, twins)
    assert len(uses) == 2 * MAX_CANDIDATES


def test_thirty_two_honest_signers_are_all_verified():
    octets = structure([info(PLAIN, rsa)] * 32, [PLAIN.der], BODY)
    assert all(one.reason is None for one in verify(read_signed(octets), None))


def test_the_largest_keys_are_used_in_bounded_time():
    numbers = people()["rsa2048"].key.public_key().public_numbers()
    modulus = (numbers.n << (16384 - 2048)) | 1
    exponent = (1 << 64) - 1
    key = der.bit_string(der.sequence(der.integer(modulus), der.integer(exponent)))
    certificate = ber.read(PLAIN.der)
    spki = ber.read(PLAIN.spki_der)
    fields = [
        der.sequence(PKCS1, key) if one.whole == spki.whole else one.whole for one in certificate.children[0].children
    ]
    large = parse_certificate(der.sequence(der.sequence(*fields), *(one.whole for one in certificate.children[1:])))
    assert large.key_algorithm == "rsa-16384"
    signed = read_signed(structure([info(large, lambda _: b"\1" * 2048)] * 32, [large.der]))
    started = time.process_time()
    assert not any(one.verified for one in verify(signed, BODY))
    assert time.process_time() - started < 5


def test_a_signature_of_another_structure_is_none_of_this():
    """Attributes and signature of one mail under the content of another."""
    octets = sign(b"other", identity("p256"), SignatureForm(), at=NOW)
    (check,) = verify(read_signed(octets), BODY)
    assert (check.verified, check.reason) == (False, ReasonCode.SIGNATURE_INVALID)
