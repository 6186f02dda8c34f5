from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from cms_samples import BODY, identity, people
from mailseal.errors import TransientError
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Digest
from mailseal.smime import algorithms, ber, der
from mailseal.smime.errors import CmsError
from mailseal.smime.form import SignatureForm
from mailseal.smime.sign import SigningIdentity, issuer_and_serial, sign
from mailseal.smime.verify import read_signed, verify
from pki import NOW, Authority

KINDS = ("rsa2048", "p256", "p384")


def check(octets, content, extra=()):
    (found,) = verify(read_signed(octets), content, extra)
    return found


def signer_parts(octets: bytes) -> list:
    """The elements of the only SignerInfo."""
    signed = ber.read(octets).children[1].children[0]
    return signed.children[-1].children[0].children


def rebuilt(
    person,
    *,
    attributes=None,
    content=None,
    content_type=algorithms.DATA,
    digest=algorithms.SHA256,
    algorithm=None,
    sign_octets=None,
    attribute_octets=None,
    scheme=None,
    certificates=None,
    sid=None,
) -> bytes:
    """A SignedData of whatever parts, for what `sign` would never write."""
    if attributes is not None:
        attribute_octets = attribute_octets or der.element(0xA0, *attributes)
        sign_octets = sign_octets or der.element(0x31, *attributes)
    scheme = scheme or (
        (padding.PKCS1v15(), digest.algorithm)
        if isinstance(person.key, rsa.RSAPrivateKey)
        else (ec.ECDSA(digest.algorithm),)
    )
    signature = person.key.sign(sign_octets, *scheme)
    default = der.sequence(algorithms.RSA_ENCRYPTION, der.NULL)
    info = der.sequence(
        der.integer(1),
        sid or issuer_and_serial(person.certificate),
        digest.identifier,
        attribute_octets or b"",
        algorithm or default,
        der.octet_string(signature),
    )
    inside = der.element(0xA0, der.octet_string(content)) if content is not None else b""
    signed = der.sequence(
        der.integer(1),
        der.set_of([digest.identifier]),
        der.sequence(content_type, inside),
        der.set_of(certificates or [person.certificate.der], tag=0xA0),
        der.set_of([info]),
    )
    return der.sequence(algorithms.SIGNED_DATA, der.element(0xA0, signed))


def attribute(kind: bytes, *values: bytes) -> bytes:
    return der.sequence(kind, der.element(0x31, *values))


def digest_of(content: bytes, row=algorithms.SHA256) -> bytes:
    return der.octet_string(row.make(content).digest())


def plain_attributes(content: bytes = BODY) -> list[bytes]:
    return [
        attribute(algorithms.CONTENT_TYPE, algorithms.DATA),
        attribute(algorithms.MESSAGE_DIGEST, digest_of(content)),
    ]


@pytest.mark.parametrize("detached", [True, False])
@pytest.mark.parametrize("digest", Digest)
@pytest.mark.parametrize("kind", KINDS)
def test_what_we_sign_we_verify(kind, digest, detached):
    octets = sign(BODY, identity(kind), SignatureForm(digest, opaque=not detached), at=NOW)
    found = check(octets, BODY if detached else None)
    assert found.verified
    assert not found.weak
    assert found.reason is None
    assert found.certificate == people()[kind].certificate
    assert found.digest == (Digest.SHA384 if (kind, digest) == ("p384", Digest.SHA256) else digest)
    assert found.signing_time == NOW
    signed = read_signed(octets)
    assert {one.der for one in signed.certificates} == {people()[kind].certificate.der, *people()[kind].chain}


def test_the_attributes_are_those_of_smime_in_order_of_der():
    attributes = signer_parts(sign(BODY, identity("p256"), SignatureForm(), at=NOW))[3]
    kinds = [ber.oid(one.children[0]) for one in attributes.children]
    assert set(kinds) == {
        algorithms.CONTENT_TYPE,
        algorithms.MESSAGE_DIGEST,
        algorithms.SIGNING_TIME,
        algorithms.SIGNING_CERTIFICATE_V2,
        algorithms.SMIME_CAPABILITIES,
    }
    assert [one.whole for one in attributes.children] == sorted(one.whole for one in attributes.children)


@given(st.binary(max_size=300), st.binary(min_size=1, max_size=300))
def test_other_content_is_not_signed(content, added):
    octets = sign(content, identity("p256"), SignatureForm(), at=NOW)
    assert check(octets, content).verified
    found = check(octets, content + added)
    assert not found.verified
    assert found.reason is ReasonCode.SIGNATURE_INVALID


def test_content_shown_must_be_the_content_inside():
    octets = sign(BODY, identity("p256"), SignatureForm(opaque=True), at=NOW)
    assert check(octets, BODY).verified
    assert check(octets, BODY + b"x").reason is ReasonCode.SIGNATURE_INVALID


def test_content_must_be_somewhere():
    with pytest.raises(CmsError):
        verify(read_signed(sign(BODY, identity("p256"), SignatureForm(), at=NOW)), None)


def test_bare_lf_counts_as_crlf_and_only_that():
    octets = sign(b"a\r\nb\r\n", identity("p256"), SignatureForm(), at=NOW)
    for content, holds in (
        (b"a\nb\n", True),
        (b"a\r\nb\n", True),
        (b"a\r\r\nb\r\n", False),
        (b"a \nb\n", False),
        (b"a\rb\r\n", False),
    ):
        assert check(octets, content).verified is holds, content


def test_without_signed_attributes():
    octets = rebuilt(people()["rsa2048"], sign_octets=b"a\r\nb", content=None)
    assert check(octets, b"a\r\nb").verified
    assert check(octets, b"a\nb").verified
    assert not check(octets, b"a\r\nc").verified
    assert check(octets, b"a\r\nb").signing_time is None


def test_signed_attributes_are_not_content():
    """The signature of a mail must not pass as the signature of its attributes (draft-ietf-lamps-cms-euf-cma)."""
    attributes = der.element(0x31, *plain_attributes())
    octets = rebuilt(people()["rsa2048"], sign_octets=attributes)
    assert check(octets, attributes).reason is ReasonCode.SIGNATURE_INVALID


def test_attributes_out_of_order_are_read_as_received():
    attributes = sorted([*plain_attributes(), attribute(algorithms.SIGNING_TIME, der.time(NOW))], reverse=True)
    assert check(rebuilt(people()["rsa2048"], attributes=attributes), BODY).verified


def test_attributes_with_ber_lengths_are_signed_as_der():
    attributes = plain_attributes()
    received = b"\xa0\x80" + b"".join(attributes) + b"\0\0"
    octets = rebuilt(people()["rsa2048"], attributes=attributes, attribute_octets=received)
    assert check(octets, BODY).verified


@pytest.mark.parametrize(
    "attributes",
    [
        plain_attributes()[:1],
        plain_attributes()[1:],
        [*plain_attributes(), plain_attributes()[1]],
        [plain_attributes()[0], attribute(algorithms.MESSAGE_DIGEST, digest_of(BODY), digest_of(b""))],
        [plain_attributes()[0], attribute(algorithms.MESSAGE_DIGEST)],
        [attribute(algorithms.CONTENT_TYPE, algorithms.SIGNED_DATA), plain_attributes()[1]],
        [plain_attributes()[0], attribute(algorithms.MESSAGE_DIGEST, der.integer(5))],
    ],
    ids=["no digest", "no type", "digest twice", "two digests", "empty digest", "other type", "digest not a string"],
)
def test_signed_attributes_that_do_not_bind_the_content(attributes):
    octets = rebuilt(people()["rsa2048"], attributes=attributes)
    try:
        reason = check(octets, BODY).reason
    except CmsError as error:
        reason = error.reason
    assert reason in {ReasonCode.SIGNATURE_INVALID, ReasonCode.MALFORMED}


def test_the_signing_certificate_attribute_binds():
    """Two certificates of the same name and number: only the one that the signature names has made it (RFC 5035)."""
    person = people()["rsa2048"]
    other = people()["p256"].certificate
    for kind, value, holds in (
        (algorithms.SIGNING_CERTIFICATE_V2, algorithms.SHA256.make(person.certificate.der).digest(), True),
        (algorithms.SIGNING_CERTIFICATE_V2, algorithms.SHA256.make(other.der).digest(), False),
        (algorithms.SIGNING_CERTIFICATE, algorithms.SHA1.make(person.certificate.der).digest(), True),
        (algorithms.SIGNING_CERTIFICATE, algorithms.SHA1.make(other.der).digest(), False),
    ):
        named = der.sequence(der.sequence(der.sequence(der.octet_string(value))))
        attributes = [*plain_attributes(), attribute(kind, named)]
        assert check(rebuilt(person, attributes=attributes), BODY).verified is holds


def test_sha1_is_weak_and_not_good():
    attributes = [
        attribute(algorithms.CONTENT_TYPE, algorithms.DATA),
        attribute(algorithms.MESSAGE_DIGEST, digest_of(BODY, algorithms.SHA1)),
    ]
    found = check(rebuilt(people()["rsa2048"], attributes=attributes, digest=algorithms.SHA1), BODY)
    assert (found.verified, found.weak, found.reason) == (True, True, ReasonCode.SIGNATURE_WEAK)
    found = check(rebuilt(people()["rsa2048"], attributes=attributes, digest=algorithms.SHA1), b"x")
    assert (found.verified, found.weak, found.reason) == (False, True, ReasonCode.SIGNATURE_INVALID)


def test_sha1_under_the_signature_alone_is_weak():
    """The content is digested with SHA-256, but the attributes with SHA-1."""
    algorithm = der.sequence(der.oid("1.2.840.113549.1.1.5"), der.NULL)
    octets = rebuilt(
        people()["rsa2048"],
        attributes=plain_attributes(),
        algorithm=algorithm,
        scheme=(padding.PKCS1v15(), hashes.SHA1()),
    )
    found = check(octets, BODY)
    assert (found.verified, found.weak) == (True, True)


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha512"])
def test_pss_parameters(digest):
    row = algorithms.DIGESTS_BY_NAME[digest]
    mask = der.sequence(algorithms.MGF1, row.identifier)
    written = (
        der.element(0xA0, row.identifier) + der.element(0xA1, mask) + der.element(0xA2, der.integer(20))
        if digest != "sha1"
        else b""
    )
    scheme = (padding.PSS(padding.MGF1(row.algorithm), 20), row.algorithm)
    octets = rebuilt(
        people()["rsa2048"],
        attributes=plain_attributes(),
        algorithm=der.sequence(algorithms.RSASSA_PSS, der.sequence(written)),
        scheme=scheme,
    )
    found = check(octets, BODY)
    assert (found.verified, found.weak, found.algorithm) == (True, digest == "sha1", "rsa-pss")


def test_ed25519():
    key = ed25519.Ed25519PrivateKey.generate()
    person = Authority("Edwards").issue("e@example.org", key=key)
    row = algorithms.DIGESTS_BY_NAME["sha512"]
    attributes = [plain_attributes()[0], attribute(algorithms.MESSAGE_DIGEST, digest_of(BODY, row))]
    signed = der.element(0x31, *attributes)
    info = der.sequence(
        der.integer(1),
        issuer_and_serial(person.certificate),
        row.identifier,
        der.element(0xA0, *attributes),
        der.sequence(algorithms.ED25519),
        der.octet_string(key.sign(signed)),
    )
    octets = der.sequence(
        algorithms.SIGNED_DATA,
        der.element(
            0xA0,
            der.sequence(
                der.integer(1),
                der.set_of([row.identifier]),
                der.sequence(algorithms.DATA),
                der.set_of([person.certificate.der], tag=0xA0),
                der.set_of([info]),
            ),
        ),
    )
    assert check(octets, BODY).verified
    assert not check(octets, BODY + b"x").verified


def test_a_certificate_that_cannot_be_parsed_hides_no_other():
    person = people()["rsa2048"]
    octets = rebuilt(
        person, attributes=plain_attributes(), certificates=[der.sequence(der.integer(7)), person.certificate.der]
    )
    assert [one.der for one in read_signed(octets).certificates] == [person.certificate.der]
    assert check(octets, BODY).verified


def test_unknown_algorithms_are_named_as_such():
    algorithm = der.sequence(der.oid("1.2.3.4"))
    found = check(rebuilt(people()["rsa2048"], attributes=plain_attributes(), algorithm=algorithm), BODY)
    assert (found.verified, found.reason) == (False, ReasonCode.UNSUPPORTED_ALGORITHM)
    assert found.algorithm == "unknown"


def test_a_missing_certificate_is_named_as_such():
    signed = read_signed(sign(BODY, identity("p256"), SignatureForm(), at=NOW))
    signed = replace(signed, certificates=())
    (found,) = verify(signed, BODY)
    assert (found.certificate, found.reason) == (None, ReasonCode.SIGNER_CERTIFICATE_MISSING)
    (found,) = verify(signed, BODY, [people()["p256"].certificate])
    assert found.verified


def test_a_signer_is_found_by_subject_key_identifier():
    person = people()["rsa2048"]
    by_key = der.element(0x80, person.certificate.ski)
    assert check(rebuilt(person, attributes=plain_attributes(), sid=by_key), BODY).verified


def test_bounds_on_signers_and_certificates():
    octets = sign(BODY, identity("p256"), SignatureForm(), at=NOW)
    signed = ber.read(octets).children[1].children[0]
    version, digests, encapsulated, certificates, signers = (one.whole for one in signed.children)
    one = ber.read(signers).children[0].whole

    def wrapped(*parts):
        return der.sequence(algorithms.SIGNED_DATA, der.element(0xA0, der.sequence(version, digests, *parts)))

    many = wrapped(encapsulated, certificates, der.element(0x31, *[one] * 33))
    for bad in (many, wrapped(encapsulated, der.element(0xA0, *[der.NULL] * 101), signers)):
        with pytest.raises(CmsError) as caught:
            read_signed(bad)
        assert caught.value.reason is ReasonCode.TOO_LARGE
    assert len(verify(read_signed(wrapped(encapsulated, certificates, der.element(0x31, *[one] * 32))), BODY)) == 32
    assert read_signed(wrapped(encapsulated, certificates, b"\x31\x00")).signers == ()


def test_the_time_after_2049():
    at = datetime(2051, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert check(sign(BODY, identity("p256"), SignatureForm(), at=at), BODY).signing_time == at


class _Lost(rsa.RSAPrivateKey):
    """A key whose token is gone."""

    def sign(self, *arguments):
        raise TransientError("the token is gone")

    decrypt = sign
    key_size = 2048

    def _no(self, *arguments, **named):
        raise NotImplementedError

    private_bytes = private_numbers = public_key = __copy__ = __deepcopy__ = _no


def test_what_the_key_raises_passes_unchanged():
    lost = SigningIdentity(people()["rsa2048"].certificate, _Lost())
    with pytest.raises(TransientError):
        sign(BODY, lost, SignatureForm(), at=NOW)
