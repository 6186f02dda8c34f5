"""Keys that are not for what somebody wants of them, and keys that are none."""

from collections.abc import Callable

import pytest

from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import KeyTransport
from mailseal.smime import algorithms
from mailseal.smime.certificate import Certificate, CertificateError, parse_certificate, public_key
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.encrypt import encrypt
from mailseal.smime.errors import CmsError
from mailseal.smime.form import EncryptionForm
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
