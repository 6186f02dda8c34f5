"""Make SignedData (RFC 5652 §5) with the signed attributes of S/MIME (RFC 8551 §2.5, RFC 5035)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa, x448, x25519

from mailseal.keys import PrivateKey
from mailseal.mail.message import Octets
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Digest, RsaSignature
from mailseal.smime import algorithms, capabilities, der
from mailseal.smime.algorithms import DigestRow, Scheme
from mailseal.smime.certificate import Certificate
from mailseal.smime.errors import CmsError
from mailseal.smime.form import SignatureForm
from mailseal.smime.rsa_parameters import pss_parameters_of_key

_VERSION_1 = der.integer(1)

_CAPABILITIES = der.sequence(algorithms.SMIME_CAPABILITIES, der.element(0x31, capabilities.OURS))
_CONTENT_IS_DATA = der.sequence(algorithms.CONTENT_TYPE, der.element(0x31, algorithms.DATA))
_PKCS1V15 = padding.PKCS1v15()
_ED25519_IDENTIFIER = der.sequence(algorithms.ED25519)
_CURVE_DIGESTS = {
    "ec-secp384r1": Digest.SHA384,
    "ec-secp521r1": Digest.SHA512,
    "ec-brainpoolP384r1": Digest.SHA384,
    "ec-brainpoolP512r1": Digest.SHA512,
    "ed25519": Digest.SHA512,
}


@dataclass(frozen=True, slots=True)
class SigningIdentity:
    """Who signs: the certificate, its key, and the DER of the CA certificates to send along."""

    certificate: Certificate
    key: PrivateKey
    chain: tuple[bytes, ...] = ()


def sign(content: Octets, identity: SigningIdentity, form: SignatureForm, *, at: datetime) -> bytes:
    """ContentInfo with SignedData, as DER; the content is in it if the form is opaque.

    Raises CmsError when the key cannot make this signature, and what the key itself raises (TransientError).
    """
    return b"".join(signed(content, identity, form, at=at))


def signed(content: Octets, identity: SigningIdentity, form: SignatureForm, *, at: datetime) -> list[Octets]:
    """What `sign` makes, in pieces, the content not copied; raises what `sign` raises."""
    way = _way(identity, form)
    attributes = der.set_of(
        (
            _CONTENT_IS_DATA,
            _attribute(algorithms.SIGNING_TIME, der.time(at)),
            _attribute(algorithms.MESSAGE_DIGEST, der.octet_string(way.digest.make(content).digest())),
            _attribute(algorithms.SIGNING_CERTIFICATE_V2, _signing_certificate(identity.certificate)),
            _CAPABILITIES,
        )
    )
    signer = der.sequence(
        _VERSION_1,
        issuer_and_serial(identity.certificate),
        way.digest.identifier,
        b"\xa0" + attributes[1:],
        way.identifier,
        der.octet_string(_signature(attributes, way)),
    )
    behind = (
        der.set_of({identity.certificate.der, *identity.chain}, tag=0xA0),
        der.element(0x31, signer),
    )
    return _signed_data(content if form.opaque else None, way.digest, behind)


@dataclass(frozen=True, slots=True)
class _Way:
    """How one signature is made: digest, AlgorithmIdentifier, and the key with its arguments."""

    digest: DigestRow
    identifier: bytes
    make: Callable[[bytes], bytes]


def digest_for(certificate: Certificate, form: SignatureForm) -> Digest:
    """The digest of a signature: at least as long as the curve (RFC 5480 §4); Ed25519 has its own (RFC 8419 §2.3).

    So has a key for RSASSA-PSS with parameters (RFC 4055 §3.3): raises CmsError for those that we do not write.
    """
    if certificate.key_algorithm.startswith("rsa-pss"):
        bound = pss_parameters_of_key(certificate.spki_der)
        if bound is not None:
            digest = next((one for one in Digest if one == bound.digest.name), None)
            if digest is None or bound.mask != bound.digest or bound.salt_octets > bound.digest.algorithm.digest_size:
                raise CmsError(ReasonCode.CERTIFICATE_UNSUPPORTED_KEY, "the parameters of the key are not supported")
            return digest
    floor = _CURVE_DIGESTS.get(certificate.key_algorithm, Digest.SHA256)
    order = list(Digest)
    return max(floor, form.digest, key=order.index)


def signature_algorithms(certificate: Certificate, form: SignatureForm) -> str:
    """What the log says of a signature, like "rsa-pss sha256"."""
    kind = certificate.key_algorithm
    if kind == "ed25519":
        return f"{algorithms.SCHEME_NAMES[Scheme.ED25519]} {Digest.SHA512}"
    if kind.startswith("ec-"):
        scheme = Scheme.ECDSA
    else:
        scheme = Scheme.RSA_PSS if _is_pss(certificate, form) else Scheme.RSA_PKCS1V15
    return f"{algorithms.SCHEME_NAMES[scheme]} {digest_for(certificate, form)}"


def _is_pss(certificate: Certificate, form: SignatureForm) -> bool:
    return form.rsa is RsaSignature.PSS or certificate.key_algorithm.startswith("rsa-pss")


def _way(identity: SigningIdentity, form: SignatureForm) -> _Way:
    key, certificate = identity.key, identity.certificate
    written = algorithms.WRITTEN_DIGESTS[digest_for(certificate, form)]
    row = written.row
    match key:
        case rsa.RSAPrivateKey() if certificate.key_algorithm.startswith("rsa-oaep"):
            raise CmsError(ReasonCode.CERTIFICATE_UNSUPPORTED_KEY, "a key for RSAES-OAEP does not sign")
        case rsa.RSAPrivateKey():
            if _is_pss(certificate, form):
                scheme = padding.PSS(padding.MGF1(row.algorithm), row.algorithm.digest_size)
                return _Way(row, written.pss, lambda octets: key.sign(octets, scheme, row.algorithm))
            return _Way(row, written.rsa, lambda octets: key.sign(octets, _PKCS1V15, row.algorithm))
        case ec.EllipticCurvePrivateKey():
            return _Way(row, written.ecdsa, lambda octets: key.sign(octets, ec.ECDSA(row.algorithm)))
        case ed25519.Ed25519PrivateKey():
            return _Way(algorithms.SHA512, _ED25519_IDENTIFIER, key.sign)
        case x25519.X25519PrivateKey() | x448.X448PrivateKey():
            raise CmsError(ReasonCode.CERTIFICATE_UNSUPPORTED_KEY, "a key on X25519 or X448 does not sign")
        case ed448.Ed448PrivateKey():
            raise CmsError(ReasonCode.CERTIFICATE_UNSUPPORTED_KEY, "a key on Ed448 does not sign here")


def _signed_data(content: Octets | None, row: DigestRow, behind: tuple[bytes, bytes]) -> list[Octets]:
    encapsulated: list[Octets] = [algorithms.DATA]
    if content is not None:
        encapsulated += der.enclose(0xA0, der.enclose(0x04, [content]))
    inside = der.enclose(
        0x30,
        [_VERSION_1, der.element(0x31, row.identifier), *der.enclose(0x30, encapsulated), *behind],
    )
    return der.enclose(0x30, [algorithms.SIGNED_DATA, *der.enclose(0xA0, inside)])


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


def _signature(attributes: bytes, way: _Way) -> bytes:
    try:
        return way.make(attributes)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, "the key cannot sign with this digest") from error
