"""Make SignedData (RFC 5652 §5) with the signed attributes of S/MIME (RFC 8551 §2.5, RFC 5035)."""

from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from mailseal.keys import PrivateKey
from mailseal.mail.message import Octets
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Digest
from mailseal.smime import algorithms, der
from mailseal.smime.algorithms import DigestRow
from mailseal.smime.certificate import Certificate
from mailseal.smime.errors import CmsError

_VERSION_1 = der.integer(1)

# What we can read, in order of preference (RFC 8551 §2.5.2).
_CAPABILITIES = der.sequence(
    algorithms.SMIME_CAPABILITIES,
    der.element(
        0x31,
        der.sequence(
            *(
                der.sequence(algorithms.CIPHERS_BY_NAME[name].oid)
                for name in ("aes256-gcm", "aes128-gcm", "aes256-cbc", "aes128-cbc")
            )
        ),
    ),
)
_CONTENT_IS_DATA = der.sequence(algorithms.CONTENT_TYPE, der.element(0x31, algorithms.DATA))
_PKCS1V15 = padding.PKCS1v15()


@dataclass(frozen=True, slots=True)
class SigningIdentity:
    """Who signs: the certificate, its key, and the DER of the CA certificates to send along."""

    certificate: Certificate
    key: PrivateKey
    chain: tuple[bytes, ...] = ()


def sign(content: Octets, identity: SigningIdentity, *, digest: Digest, at: datetime, detached: bool = True) -> bytes:
    """ContentInfo with SignedData, as DER; the content is in it unless detached.

    Raises CmsError when the key cannot make this signature, and what the key itself raises (TransientError).
    """
    row, rsa_identifier, ec_identifier = algorithms.WRITTEN_DIGESTS[digest]
    attributes = der.set_of(
        (
            _CONTENT_IS_DATA,
            _attribute(algorithms.SIGNING_TIME, der.time(at)),
            _attribute(algorithms.MESSAGE_DIGEST, der.octet_string(row.make(content).digest())),
            _attribute(algorithms.SIGNING_CERTIFICATE_V2, _signing_certificate(identity.certificate)),
            _CAPABILITIES,
        )
    )
    is_rsa = isinstance(identity.key, rsa.RSAPrivateKey)
    signer = der.sequence(
        _VERSION_1,
        issuer_and_serial(identity.certificate),
        row.identifier,
        b"\xa0" + attributes[1:],
        rsa_identifier if is_rsa else ec_identifier,
        der.octet_string(_signature(attributes, identity.key, row)),
    )
    behind = (
        der.set_of({identity.certificate.der, *identity.chain}, tag=0xA0),
        der.element(0x31, signer),
    )
    return _signed_data(None if detached else content, row, behind)


def _signed_data(content: Octets | None, row: DigestRow, behind: tuple[bytes, bytes]) -> bytes:
    encapsulated: list[Octets] = [algorithms.DATA]
    if content is not None:
        encapsulated += der.enclose(0xA0, der.enclose(0x04, [content]))
    signed = der.enclose(
        0x30,
        [_VERSION_1, der.element(0x31, row.identifier), *der.enclose(0x30, encapsulated), *behind],
    )
    return b"".join(der.enclose(0x30, [algorithms.SIGNED_DATA, *der.enclose(0xA0, signed)]))


def _attribute(kind: bytes, value: bytes) -> bytes:
    return der.sequence(kind, der.element(0x31, value))


def issuer_and_serial(certificate: Certificate) -> bytes:
    """IssuerAndSerialNumber (RFC 5652 §10.2.4)."""
    return der.sequence(certificate.issuer_der, der.integer(certificate.serial))


def _signing_certificate(certificate: Certificate) -> bytes:
    """SigningCertificateV2 (RFC 5035 §3): SHA-256 is the default and so not written; issuer as a directoryName."""
    issuer = der.sequence(der.element(0xA4, certificate.issuer_der))
    issuer_serial = der.sequence(issuer, der.integer(certificate.serial))
    fingerprint = der.octet_string(bytes.fromhex(certificate.fingerprint))
    return der.sequence(der.sequence(der.sequence(fingerprint, issuer_serial)))


def _signature(attributes: bytes, key: PrivateKey, row: DigestRow) -> bytes:
    try:
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(attributes, _PKCS1V15, row.algorithm)
        return key.sign(attributes, ec.ECDSA(row.algorithm))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, "the key cannot sign with this digest") from error
