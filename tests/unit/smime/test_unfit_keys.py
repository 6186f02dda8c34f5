"""Keys that are not for what somebody wants of them, and keys that are none."""

from collections.abc import Callable

import pytest

from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Digest, KeyTransport
from mailseal.smime import algorithms, ber, der
from mailseal.smime.certificate import Certificate, CertificateError, parse_certificate, public_key
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.encrypt import encrypt
from mailseal.smime.errors import CmsError
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.sign import SigningIdentity, sign, signature_algorithms
from mailseal.smime.signed import read_signed
from mailseal.smime.verify import verify
from pki import NOW
from unit.smime.test_writing import CONTENT, only, person


def test_keys_for_one_purpose_open_nothing_else():
    one = person("rsa2048")
    by_pkcs1, by_oaep = (
        read_enveloped(encrypt([CONTENT], [one.certificate], EncryptionForm(key_transport=transport)))
        for transport in (KeyTransport.PKCS1V15, KeyTransport.OAEP_SHA256)
    )
    for purpose, barred in ((algorithms.RSASSA_PSS, (by_pkcs1, by_oaep)), (algorithms.RSAES_OAEP, (by_pkcs1,))):
        for enveloped in barred:
            with pytest.raises(CmsError) as caught:
                enveloped.decrypt([(only(one.certificate, purpose), one.key)], 1000)
            assert caught.value.reason is ReasonCode.KEY_NOT_FOUND
    assert by_oaep.decrypt([(only(one.certificate, algorithms.RSAES_OAEP), one.key)], 1000) == CONTENT


def with_key(kind: str, spki: Callable[[bytes], bytes]) -> Certificate:
    """A certificate with its key changed (not signed again)."""
    certificate = person(kind).certificate
    return parse_certificate(certificate.der.replace(certificate.spki_der, spki(certificate.spki_der)))


@pytest.mark.parametrize(
    "certificate",
    [
        with_key("x25519", lambda spki: spki[:-32] + bytes(32)),
        with_key("x25519", lambda spki: spki[:-32] + b"\1" + bytes(31)),
        with_key("p256", lambda spki: spki[:-1] + bytes((spki[-1] ^ 1,))),
        with_key("rsa2048", lambda spki: spki[:-6] + bytes((spki[-6] ^ 1,)) + spki[-5:]),
    ],
    ids=["zero", "one", "off-curve", "even"],
)
def test_keys_that_nothing_can_be_encrypted_to(certificate):
    with pytest.raises(CertificateError):
        public_key(certificate)
    with pytest.raises(CmsError) as caught:
        encrypt([CONTENT], [certificate], EncryptionForm())
    assert caught.value.reason is ReasonCode.CERTIFICATE_UNSUPPORTED_KEY


def bound(*parameters: bytes) -> SigningIdentity:
    """Somebody whose key is for RSASSA-PSS with these parameters only."""
    one, plain = person("rsa2048"), der.sequence(algorithms.RSASSA_PSS)
    certificate = only(one.certificate, algorithms.RSASSA_PSS)
    key = ber.read(certificate.spki_der).children
    changed = der.sequence(der.sequence(algorithms.RSASSA_PSS, *parameters), key[1].whole)
    assert key[0].whole == plain
    fields = [changed if one.whole == certificate.spki_der else one.whole for one in signed_part(certificate)]
    rest = ber.read(certificate.der).children[1:]
    octets = der.sequence(der.sequence(*fields), *(one.whole for one in rest))
    return SigningIdentity(parse_certificate(octets), one.key)


def signed_part(certificate: Certificate) -> list[ber.Element]:
    return ber.read(certificate.der).children[0].children


@pytest.mark.parametrize("digest", Digest)
def test_a_key_for_pss_with_parameters_signs_with_those(digest):
    parameters = ber.read(algorithms.pss_identifier(algorithms.DIGESTS_BY_NAME[digest])).children[1].whole
    identity = bound(parameters)
    for wanted in Digest:
        octets = sign(CONTENT, identity, SignatureForm(wanted, opaque=True), at=NOW)
        (check,) = verify(read_signed(octets), None)
        assert (check.verified, check.digest, check.algorithm) == (True, digest, "rsa-pss")
        assert signature_algorithms(identity.certificate, SignatureForm(wanted)) == f"rsa-pss {digest}"


@pytest.mark.parametrize(
    "parameters",
    [
        der.sequence(),  # SHA-1
        der.sequence(der.element(0xA0, der.sequence(algorithms.SHA256.oid))),  # its mask by SHA-1
        ber.read(algorithms.pss_identifier(algorithms.SHA256)).children[1].whole[:-1] + b"\x21",  # a salt of 33
    ],
    ids=["sha1", "mask", "salt"],
)
def test_a_key_for_pss_with_parameters_that_are_not_written_signs_nothing(parameters):
    with pytest.raises(CmsError) as caught:
        sign(CONTENT, bound(parameters), SignatureForm(), at=NOW)
    assert caught.value.reason is ReasonCode.CERTIFICATE_UNSUPPORTED_KEY
