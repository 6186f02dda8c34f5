"""Verify the signatures of SignedData (RFC 5652 §5.4 to §5.6) over the content that is shown.

Only the signature is judged here: whether its certificate is trusted, and whose it is, is judged elsewhere.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from mailseal.mail.message import Octets, with_crlf
from mailseal.policy.reason import ReasonCode
from mailseal.smime import algorithms, ber
from mailseal.smime.algorithms import DigestRow, Scheme
from mailseal.smime.ber import Fields
from mailseal.smime.capabilities import Capabilities
from mailseal.smime.certificate import Certificate, CertificateError, PublicKey, public_key
from mailseal.smime.errors import CmsError, malformed, only_cms_errors
from mailseal.smime.rsa_parameters import PssParameters, digest_row, pss_parameters, pss_parameters_of_key
from mailseal.smime.select import MIN_RSA_BITS
from mailseal.smime.signed import SignedData, SignerInfo, read_signed

__all__ = ["SignedData", "SignerCheck", "SignerInfo", "read_signed", "verify"]

MAX_CANDIDATES = 4
"""Certificates tried for one signature: several may have the same name, only one made it."""
MAX_NAMED = 16
"""Certificates compared with the one that a signature names."""
MAX_KEY_USES = 64
"""Uses of public keys for one structure: the largest RSA keys take milliseconds each."""
MIN_CURVE_BITS = 224

_PKCS1V15 = padding.PKCS1v15()


@dataclass(frozen=True, slots=True)
class SignerCheck:
    """What is true of one signature. A weak one may be `verified`, and is not good all the same.

    `certificate` is the one that verified it, or else the one it names. `reason` is None for a good one.
    `capabilities`: what the signer says that his program can read.
    """

    certificate: Certificate | None
    digest: str
    algorithm: str
    verified: bool
    weak: bool
    signing_time: datetime | None
    reason: ReasonCode | None
    capabilities: Capabilities | None = None


def verify(
    signed: SignedData, content: Octets | None, extra_certificates: Sequence[Certificate] = ()
) -> tuple[SignerCheck, ...]:
    """Check every signer over `content`, the octets shown; None: over the content inside.

    Content given and content inside that differ make every signature invalid. Bare LF counts as CRLF where the
    signature does not hold otherwise. Raises CmsError when there is no content at all.
    """
    if content is None and signed.econtent is None:
        raise malformed("the signed content is missing")
    inside = signed.econtent
    case = _Case(
        signed,
        _Shown(content if content is not None else inside or b""),
        tuple(dict.fromkeys((*signed.certificates, *extra_certificates))),
        same=content is None or inside is None or inside == bytes(content),
    )
    return tuple(_check(signer, case) for signer in signed.signers)


class _Shown:
    """The content, and its digests made once: as it is, and with CRLF for bare LF where that differs."""

    def __init__(self, octets: Octets) -> None:
        self._octets = octets
        self._canonical: bytes | None = None
        self._digests: dict[tuple[str, bool], bytes] = {}

    def octets(self, *, canonical: bool) -> Octets:
        if not canonical:
            return self._octets
        if self._canonical is None:
            self._canonical = with_crlf(bytes(self._octets))
        return self._canonical

    def looks_like_attributes(self) -> bool:
        """Whether it may be read as the signed attributes of another signature (draft-ietf-lamps-cms-euf-cma).

        In both readings: attributes that have a CRLF in them can be shown with a bare LF.
        """
        if bytes(self._octets[:1]) != b"\x31":
            return False
        return any(_is_one_element(bytes(self.octets(canonical=canonical))) for canonical in (False, True))

    def digest(self, row: DigestRow, *, canonical: bool) -> bytes:
        key = row.name, canonical
        if key not in self._digests:
            self._digests[key] = row.make(self.octets(canonical=canonical)).digest()
        return self._digests[key]


def _is_one_element(octets: bytes) -> bool:
    try:
        return ber.read(octets).end == len(octets)
    except CmsError:
        return False


@dataclass(slots=True)
class _Case:
    """What all signatures of one structure have in common. `same`: the content shown is the one inside."""

    signed: SignedData
    shown: _Shown
    known: tuple[Certificate, ...]
    same: bool
    key_uses_left: int = MAX_KEY_USES

    def use_key(self) -> None:
        """Pay for one; raises CmsError."""
        if not self.key_uses_left:
            raise CmsError(ReasonCode.TOO_MANY_SIGNERS, "there are too many signatures and certificates to try")
        self.key_uses_left -= 1


@dataclass(frozen=True, slots=True)
class _Method:
    """How one signature is made: digest of the content, digest under the signature, parameters of RSASSA-PSS."""

    content: DigestRow
    scheme: Scheme
    signing: DigestRow
    pss: PssParameters | None
    weak: bool

    def fits(self, certificate: Certificate) -> bool:
        """Whether a key for one purpose only may sign like this (RFC 4055 §1.2, §3.3)."""
        if certificate.key_algorithm.startswith("rsa-oaep"):
            return False
        if not certificate.key_algorithm.startswith("rsa-pss"):
            return True
        if self.pss is None:
            return False
        bound = pss_parameters_of_key(certificate.spki_der)
        return bound is None or bound.allows(self.pss)


def _check(signer: SignerInfo, case: _Case) -> SignerCheck:
    named = [one for one in case.known if signer.names(one)][:MAX_NAMED]
    certificate = named[0] if named else None
    reason: ReasonCode | None = ReasonCode.SIGNER_CERTIFICATE_MISSING
    weak = False
    try:
        method = _method(signer)
        weak = method.weak
        if certificate is not None and not case.same:
            reason = ReasonCode.SIGNATURE_INVALID
        elif certificate is not None:
            candidates = _bound(signer, named)
            _check_attributes(signer, case, method)
            certificate = _verifying(signer, case, method, candidates)
            weak = weak or _is_weak(_key(certificate))
            reason = None
    except CmsError as error:
        reason = _reason(error)
    verified = reason is None
    if verified and weak:
        reason = ReasonCode.SIGNATURE_WEAK
    return SignerCheck(
        certificate,
        *_names(signer),
        verified,
        weak,
        signer.signing_time,
        reason,
        signer.capabilities if verified else None,
    )


def _reason(error: CmsError) -> ReasonCode:
    return ReasonCode.SIGNATURE_INVALID if error.reason is ReasonCode.MALFORMED else error.reason


def _names(signer: SignerInfo) -> tuple[str, str]:
    row = algorithms.DIGESTS.get(signer.digest)
    scheme, _ = algorithms.SIGNATURES.get(signer.algorithm, (None, None))
    return row.name if row else "unknown", algorithms.SCHEME_NAMES[scheme] if scheme else "unknown"


@only_cms_errors
def _method(signer: SignerInfo) -> _Method:
    content = algorithms.DIGESTS.get(signer.digest)
    scheme, name = algorithms.SIGNATURES.get(signer.algorithm, (None, None))
    if content is None or scheme is None:
        raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, "the signature algorithm is not supported")
    signing = algorithms.DIGESTS_BY_NAME[name] if name else content
    parameters = pss_parameters(signer.parameters) if scheme is Scheme.RSA_PSS else None
    if parameters is not None:
        signing = parameters.digest
    return _Method(content, scheme, signing, parameters, weak=content.weak or signing.weak)


@only_cms_errors
def _bound(signer: SignerInfo, named: list[Certificate]) -> list[Certificate]:
    """Those of the named certificates that the signature itself says to be made with (RFC 5035 §5)."""
    value, default = signer.attribute(algorithms.SIGNING_CERTIFICATE_V2), algorithms.SHA256
    if value is None:
        value, default = signer.attribute(algorithms.SIGNING_CERTIFICATE), algorithms.SHA1
    if value is None:
        return named
    first = Fields(Fields(Fields(value).take(ber.SEQUENCE)).take(ber.SEQUENCE))
    algorithm = first.optional(ber.SEQUENCE)
    row = digest_row(algorithm) if algorithm is not None else default
    expected = ber.octets(first.take())
    return [one for one in named if row.make(one.der).digest() == expected]


@only_cms_errors
def _check_attributes(signer: SignerInfo, case: _Case, method: _Method) -> None:
    """The rules on contentType and messageDigest (RFC 5652 §5.3, §11.1, §11.2)."""
    signed, shown = case.signed, case.shown
    if signed.content_type != algorithms.DATA:
        # RFC 8551 §2.4.2. A signature on a timestamp or a receipt says nothing about a mail.
        raise malformed("the signed content is no mail")
    if signer.attributes is None:
        if shown.looks_like_attributes():
            raise malformed("this content may only be signed by way of signed attributes")
        return
    content_type = signer.attribute(algorithms.CONTENT_TYPE)
    message_digest = signer.attribute(algorithms.MESSAGE_DIGEST)
    if content_type is None or message_digest is None:
        raise malformed("a signed attribute is missing")
    if ber.oid(content_type) != signed.content_type:
        raise malformed("the content is not of the signed type")
    digest = ber.octets(message_digest)
    if all(digest != shown.digest(method.content, canonical=canonical) for canonical in (False, True)):
        raise CmsError(ReasonCode.SIGNATURE_INVALID, "the content is not the signed one")


@only_cms_errors
def _verifying(signer: SignerInfo, case: _Case, method: _Method, candidates: list[Certificate]) -> Certificate:
    """The certificate whose key made the signature."""
    for certificate in candidates[:MAX_CANDIDATES]:
        if not method.fits(certificate):
            continue
        key = _key(certificate)
        for holds in _ways(key, signer, case.shown, method):
            case.use_key()
            if holds():
                return certificate
    raise CmsError(ReasonCode.SIGNATURE_INVALID, "the signature does not hold")


def _ways(key: PublicKey, signer: SignerInfo, shown: _Shown, method: _Method) -> Iterator[Callable[[], bool]]:
    """What the signature may be over: its attributes in two readings, or without any the content in two readings."""
    if signer.attributes is not None:
        for octets in signer.signed_octets():
            yield partial(_holds, key, signer.signature, octets, method, method.signing.algorithm)
    else:
        for canonical in (False, True):
            yield partial(_holds_content, key, signer.signature, shown, method, canonical=canonical)


def _key(certificate: Certificate) -> PublicKey:
    try:
        return public_key(certificate)
    except CertificateError as error:
        raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, str(error)) from error


def _is_weak(key: PublicKey) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size < MIN_RSA_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < MIN_CURVE_BITS


def _holds_content(key: PublicKey, signature: bytes, shown: _Shown, method: _Method, *, canonical: bool) -> bool:
    """Over the content itself, which is hashed once however many signatures and keys there are."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        octets = bytes(shown.octets(canonical=canonical))
    else:
        octets = shown.digest(method.signing, canonical=canonical)
    return _holds(key, signature, octets, method, Prehashed(method.signing.algorithm))


def _holds(
    key: PublicKey, signature: bytes, octets: bytes, method: _Method, algorithm: hashes.HashAlgorithm | Prehashed
) -> bool:
    try:
        if method.scheme is Scheme.ECDSA and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, octets, ec.ECDSA(algorithm))
        elif method.scheme is Scheme.ED25519 and isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, octets)
        elif method.scheme in (Scheme.RSA_PKCS1V15, Scheme.RSA_PSS) and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, octets, method.pss.padding if method.pss else _PKCS1V15, algorithm)
        else:
            return False
    except (InvalidSignature, ValueError):
        return False
    return True
