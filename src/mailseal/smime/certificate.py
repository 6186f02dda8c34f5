"""An X.509 certificate and what is stored of it: parsed fields, verdict, hand-made choices (RFC 5280, RFC 9598)."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailseal.errors import PermanentError
from mailseal.policy.reason import ReasonCode
from mailseal.smime import der as write
from mailseal.smime.capabilities import Capabilities
from mailseal.smime.extension import Extensions, is_email
from mailseal.smime.name import read_name
from mailseal.smime.strict import (
    BIT_STRING,
    INTEGER,
    OID,
    SEQUENCE,
    DerError,
    Element,
    children,
    dotted,
    elements,
    integer,
    moment,
    only,
)

MAX_CERTIFICATE_OCTETS = 262_144
MAX_RSA_BITS = 16_384
MAX_EXPONENT_BITS = 64

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | x25519.X25519PublicKey


class CertificateError(PermanentError):
    """The octets are not a certificate that can be used, or its key is of no use."""


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """A parsed certificate; equal when the DER is. Fingerprints are lower-case SHA-256 hex, names RFC 4514 text.

    `key_usage` and `extended_usage` are None when the extension is absent; `key_usage` has names like
    "digital_signature", `extended_usage` dotted OIDs. `key_algorithm` is like "rsa-2048", "ec-secp256r1", "ed25519",
    "x25519", or a dotted OID; "rsa-pss-2048" may only sign by RSASSA-PSS, "rsa-oaep-2048" only be encrypted to by
    RSAES-OAEP (RFC 4055 §1.2). `capabilities_der` and `crl_points_der` are the values of the extensions
    SMIMECapabilities (RFC 4262) and cRLDistributionPoints, unread. `subject_der`, `issuer_der` and `spki_der` are the
    exact octets of the certificate.
    """

    der: bytes = field(repr=False)
    fingerprint: str
    spki_sha256: str
    subject: str
    issuer: str
    subject_der: bytes = field(repr=False)
    issuer_der: bytes = field(repr=False)
    serial: int
    ski: bytes | None
    aki: bytes | None
    san_emails: tuple[str, ...]
    subject_emails: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    key_usage: frozenset[str] | None
    extended_usage: frozenset[str] | None
    is_ca: bool
    key_algorithm: str
    spki_der: bytes = field(repr=False)
    capabilities_der: bytes | None = field(default=None, repr=False)
    crl_points_der: bytes | None = field(default=None, repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certificate) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)


class Revocation(StrEnum):
    """What the revocation lists say of a whole path: the worst of its certificates."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a path validation, kept beside the certificate until a bound passes.

    `trusted`: there is a path to a root, leaving revocation aside; `reason` says why not. The path holds from
    `valid_from` to `valid_until`. `revocation` counts until `revocation_until`, after that it is unknown; None means
    no bound.
    """

    trusted: bool
    reason: ReasonCode | None
    valid_from: datetime
    valid_until: datetime
    revocation: Revocation
    revocation_until: datetime | None


class CtlEntry(StrEnum):
    """What the certificate trust list says of one certificate, by thumbprint."""

    ALLOW = "allow"
    DENY = "deny"
    ALLOW_EXPIRED = "allow-expired"


@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """A certificate with its stored verdict. `selected`: chosen by hand for this address or its domain.

    `capabilities`: what its owner's program can read, None if that is not known. `conflict`: it came with a mail and
    brings another key for an address that was known before.
    """

    certificate: Certificate
    verdict: Verdict
    ctl: CtlEntry | None = None
    selected: bool = False
    has_key: bool = False
    capabilities: Capabilities | None = None
    conflict: bool = False


def parse_certificate(der: bytes) -> Certificate:
    """Read one DER certificate of at most 256 KiB; raises CertificateError, nothing else."""
    if len(der) > MAX_CERTIFICATE_OCTETS:
        raise CertificateError("the certificate is larger than 256 KiB")
    try:
        return _parse(bytes(der))
    except DerError as error:
        raise CertificateError(f"not a usable certificate: {error}") from None


def public_key(certificate: Certificate) -> PublicKey:
    """The loaded public key (cached); raises CertificateError for a kind of key that S/MIME here does not use.

    What the key may be used for is told by `key_algorithm`: "rsa-pss-…" and "rsa-oaep-…" keys are RSA keys here.
    """
    return _load_public_key(certificate.spki_der)


@lru_cache(maxsize=4096)
def _load_public_key(spki_der: bytes) -> PublicKey:
    try:
        key = load_der_public_key(_with_a_known_algorithm(spki_der))
    except (DerError, ValueError, UnsupportedAlgorithm):
        raise CertificateError("the public key of the certificate cannot be read") from None
    if isinstance(key, rsa.RSAPublicKey):
        # A huge exponent makes every use of the key slow.
        numbers = key.public_numbers()
        if key.key_size > MAX_RSA_BITS or numbers.e.bit_length() > MAX_EXPONENT_BITS:
            raise CertificateError("the RSA key of the certificate is too large")
        if numbers.n % 2 == 0:
            raise CertificateError("the RSA key of the certificate is no RSA key")
        return key
    if isinstance(key, x25519.X25519PublicKey) and _of_small_order(key):
        raise CertificateError("the key of the certificate is of small order")
    if isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | x25519.X25519PublicKey):
        return key
    raise CertificateError("the certificate's key is neither RSA nor on an elliptic curve used here")


def _of_small_order(key: x25519.X25519PublicKey) -> bool:
    """Whether what is agreed with it is known to everybody (RFC 7748 §6.1)."""
    try:
        x25519.X25519PrivateKey.generate().exchange(key)
    except ValueError:
        return True
    return False


def _with_a_known_algorithm(spki_der: bytes) -> bytes:
    """A key for RSASSA-PSS or RSAES-OAEP only (RFC 4055 §1.2) as the plain RSA key that the library reads."""
    algorithm, key = elements(spki_der, *only(spki_der, 0, len(spki_der), SEQUENCE))
    if not spki_der.startswith(_RSA_FOR_ONE_PURPOSE, algorithm[2]):
        return spki_der
    return write.sequence(_RSA_ENCRYPTION, spki_der[key[1] : key[3]])


def _parse(der: bytes) -> Certificate:
    start, end = only(der, 0, len(der), SEQUENCE)
    outer = elements(der, start, end)
    if [element[0] for element in outer] != [SEQUENCE, SEQUENCE, BIT_STRING]:
        raise DerError("it has not the three parts of a certificate")
    signature = outer[2][2]
    if der[signature : signature + 1] != b"\0":
        # Otherwise one signature could be written in several ways, each another certificate by its thumbprint.
        raise DerError("its signature is not whole octets")
    tbs = elements(der, outer[0][2], outer[0][3])
    v3 = bool(tbs) and tbs[0][0] == 0xA0
    if v3:
        del tbs[0]
    if len(tbs) < 6 or [element[0] for element in tbs[1:6]] != [SEQUENCE] * 5:
        raise DerError("fields are missing")
    serial, algorithm, issuer, validity, subject, spki = tbs[:6]
    if der[algorithm[1] : algorithm[3]] != der[outer[1][1] : outer[1][3]]:
        raise DerError("it names two different signature algorithms")
    subject_der, issuer_der = der[subject[1] : subject[3]], der[issuer[1] : issuer[3]]
    spki_der = der[spki[1] : spki[3]]
    subject_text, subject_emails = read_name(subject_der)
    extensions = Extensions()
    for field_ in _behind_the_key(tbs[6:]):
        extensions.read(der, field_)
    not_before, not_after = (moment(der, one) for one in _pair(children(der, validity)))
    return Certificate(
        der=der,
        fingerprint=hashlib.sha256(der).hexdigest(),
        spki_sha256=hashlib.sha256(spki_der).hexdigest(),
        subject=subject_text,
        issuer=read_name(issuer_der)[0],
        subject_der=subject_der,
        issuer_der=issuer_der,
        serial=integer(der, serial),
        ski=extensions.ski,
        aki=extensions.aki,
        san_emails=tuple(extensions.emails),
        subject_emails=tuple(one for one in subject_emails if is_email(one)),
        not_before=not_before,
        not_after=not_after,
        key_usage=extensions.key_usage,
        extended_usage=extensions.extended_usage,
        is_ca=extensions.is_ca,
        key_algorithm=_key_algorithm(der, children(der, spki)),
        spki_der=spki_der,
        capabilities_der=extensions.capabilities,
        crl_points_der=extensions.crl_points,
    )


def _behind_the_key(fields: list[Element]) -> list[Element]:
    """The extensions; what stands there besides must be known, lest extensions in a wrong place go unread."""
    tags = [one[0] for one in fields]
    if tags != sorted(set(tags) & {0x81, 0x82, 0xA3}):
        raise DerError("it has fields that a certificate does not have")
    return fields[-1:] if tags[-1:] == [0xA3] else []


def _pair(found: list[Element]) -> list[Element]:
    if len(found) != 2:
        raise DerError("a pair has not two parts")
    return found


_RSA = {"1.2.840.113549.1.1.1": "rsa", "1.2.840.113549.1.1.7": "rsa-oaep", "1.2.840.113549.1.1.10": "rsa-pss"}
_RSA_FOR_ONE_PURPOSE = (write.oid("1.2.840.113549.1.1.7"), write.oid("1.2.840.113549.1.1.10"))
_RSA_ENCRYPTION = write.sequence(write.oid("1.2.840.113549.1.1.1"), write.NULL)
_CURVES = {
    "1.2.840.10045.3.1.7": "ec-secp256r1",
    "1.3.132.0.33": "ec-secp224r1",
    "1.3.132.0.34": "ec-secp384r1",
    "1.3.132.0.35": "ec-secp521r1",
    "1.3.132.0.10": "ec-secp256k1",
    "1.3.36.3.3.2.8.1.1.7": "ec-brainpoolP256r1",
    "1.3.36.3.3.2.8.1.1.9": "ec-brainpoolP320r1",
    "1.3.36.3.3.2.8.1.1.11": "ec-brainpoolP384r1",
    "1.3.36.3.3.2.8.1.1.13": "ec-brainpoolP512r1",
}
_PLAIN = {"1.3.101.110": "x25519", "1.3.101.111": "x448", "1.3.101.112": "ed25519", "1.3.101.113": "ed448"}


def _key_algorithm(der: bytes, spki: list[Element]) -> str:
    algorithm, bits = _pair(spki)
    parts = children(der, algorithm)
    if not parts or parts[0][0] != OID or bits[0] != BIT_STRING:
        raise DerError("its public key is malformed")
    oid = dotted(der[parts[0][2] : parts[0][3]])
    if oid in _RSA:
        return f"{_RSA[oid]}-{_rsa_bits(der, bits)}"
    if oid == "1.2.840.10045.2.1" and len(parts) == 2 and parts[1][0] == OID:
        curve = dotted(der[parts[1][2] : parts[1][3]])
        return _CURVES.get(curve, f"ec-{curve}")
    return _PLAIN.get(oid, oid)


def _rsa_bits(der: bytes, bits: Element) -> int:
    _, _, start, end = bits
    if start >= end or der[start] != 0:
        raise DerError("its RSA key is malformed")
    modulus, _ = _pair(elements(der, *only(der, start + 1, end, SEQUENCE)))
    octets = modulus[3] - modulus[2]
    value = integer(der, modulus, octets) if octets <= MAX_RSA_BITS // 8 + 1 else 0
    if modulus[0] != INTEGER or not 0 < value.bit_length() <= MAX_RSA_BITS or value < 0:
        raise DerError("its RSA key is too large, or no RSA key")
    return value.bit_length()
