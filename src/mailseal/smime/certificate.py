"""An X.509 certificate and what is stored of it: parsed fields, verdict, hand-made choices (RFC 5280, RFC 9598)."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailseal.errors import PermanentError
from mailseal.policy.reason import ReasonCode
from mailseal.smime.name import read_name
from mailseal.smime.strict import (
    BIT_STRING,
    BOOLEAN,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    UTF8_STRING,
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
MAX_EMAIL_OCTETS = 254
MAX_EMAILS = 1000
MAX_PURPOSES_OCTETS = 4096

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class CertificateError(PermanentError):
    """The octets are not a certificate that can be used, or its key is of no use."""


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """A parsed certificate; equal when the DER is. Fingerprints are lower-case SHA-256 hex, names RFC 4514 text.

    `key_usage` and `extended_usage` are None when the extension is absent; `key_usage` has names like
    "digital_signature", `extended_usage` dotted OIDs. `key_algorithm` is like "rsa-2048", "ec-secp256r1", "ed25519",
    or a dotted OID. `subject_der`, `issuer_der` and `spki_der` are the exact octets of the certificate.
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
    """A certificate with its stored verdict. `selected`: chosen by hand for this address or its domain."""

    certificate: Certificate
    verdict: Verdict
    ctl: CtlEntry | None = None
    selected: bool = False
    has_key: bool = False


def parse_certificate(der: bytes) -> Certificate:
    """Read one DER certificate of at most 256 KiB; raises CertificateError, nothing else."""
    if len(der) > MAX_CERTIFICATE_OCTETS:
        raise CertificateError("the certificate is larger than 256 KiB")
    try:
        return _parse(bytes(der))
    except DerError as error:
        raise CertificateError(f"not a usable certificate: {error}") from None


def public_key(certificate: Certificate) -> PublicKey:
    """The loaded public key (cached); raises CertificateError for a kind of key that S/MIME here does not use."""
    return _load_public_key(certificate.spki_der)


@lru_cache(maxsize=4096)
def _load_public_key(spki_der: bytes) -> PublicKey:
    try:
        key = load_der_public_key(spki_der)
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError("the public key of the certificate cannot be read") from None
    if isinstance(key, rsa.RSAPublicKey):
        # A huge exponent makes every use of the key slow.
        if key.key_size > MAX_RSA_BITS or key.public_numbers().e.bit_length() > 64:
            raise CertificateError("the RSA key of the certificate is too large")
        return key
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key
    raise CertificateError("the certificate's key is neither RSA nor on an elliptic curve")


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
    extensions = _Extensions()
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
        subject_emails=tuple(one for one in subject_emails if _is_email(one)),
        not_before=not_before,
        not_after=not_after,
        key_usage=extensions.key_usage,
        extended_usage=extensions.extended_usage,
        is_ca=extensions.is_ca,
        key_algorithm=_key_algorithm(der, children(der, spki)),
        spki_der=spki_der,
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


_RSA = {"1.2.840.113549.1.1.1": "rsa", "1.2.840.113549.1.1.10": "rsa-pss"}
_CURVES = {
    "1.2.840.10045.3.1.7": "ec-secp256r1",
    "1.3.132.0.34": "ec-secp384r1",
    "1.3.132.0.35": "ec-secp521r1",
    "1.3.36.3.3.2.8.1.1.7": "ec-brainpoolP256r1",
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
    if modulus[0] != INTEGER or modulus[3] - modulus[2] > MAX_RSA_BITS // 8 + 1:
        raise DerError("its RSA key is too large")
    return int.from_bytes(der[modulus[2] : modulus[3]], "big").bit_length()


_USAGES = (
    "digital_signature",
    "non_repudiation",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


class _Extensions:
    """The extensions that Mailseal reads (RFC 5280 §4.2); each may occur once."""

    __slots__ = ("aki", "emails", "extended_usage", "is_ca", "key_usage", "ski")

    def __init__(self) -> None:
        self.ski: bytes | None = None
        self.aki: bytes | None = None
        self.emails: list[str] = []
        self.key_usage: frozenset[str] | None = None
        self.extended_usage: frozenset[str] | None = None
        self.is_ca = False

    def read(self, der: bytes, explicit: Element) -> None:
        seen: set[bytes] = set()
        start, end = only(der, explicit[2], explicit[3], SEQUENCE)
        for extension in elements(der, start, end):
            parts = children(der, extension)
            if not 2 <= len(parts) <= 3 or parts[0][0] != OID or parts[-1][0] != OCTET_STRING:
                raise DerError("an extension is malformed")
            oid = der[parts[0][2] : parts[0][3]]
            if oid in seen:
                # Two readers could each believe another one of them.
                raise DerError("an extension occurs twice")
            seen.add(oid)
            reader = _READERS.get(oid)
            if reader is not None:
                reader(self, der, parts[-1][2], parts[-1][3])

    def read_ski(self, der: bytes, start: int, end: int) -> None:
        start, end = only(der, start, end, OCTET_STRING)
        self.ski = der[start:end]

    def read_aki(self, der: bytes, start: int, end: int) -> None:
        for tag, _, content, stop in elements(der, *only(der, start, end, SEQUENCE)):
            if tag == 0x80:
                self.aki = der[content:stop]

    def read_key_usage(self, der: bytes, start: int, end: int) -> None:
        start, end = only(der, start, end, BIT_STRING)
        self.key_usage = _usage(der[start:end])

    def read_extended_usage(self, der: bytes, start: int, end: int) -> None:
        self.extended_usage = _purposes(der[start:end])

    def read_basic_constraints(self, der: bytes, start: int, end: int) -> None:
        found = elements(der, *only(der, start, end, SEQUENCE))
        if found and found[0][0] == BOOLEAN:
            self.is_ca = der[found[0][2] : found[0][3]] != b"\x00"

    def read_alternative_names(self, der: bytes, start: int, end: int) -> None:
        for tag, _, content, stop in elements(der, *only(der, start, end, SEQUENCE)):
            if tag == 0x81:
                text = der[content:stop].decode("ascii", "replace")
            elif tag == 0xA0:
                text = _smtp_utf8_mailbox(der, content, stop)
            else:
                continue
            if _is_email(text):
                self.emails.append(text)
                if len(self.emails) > MAX_EMAILS:
                    raise DerError("it has too many addresses")


_READERS: dict[bytes, Callable[[_Extensions, bytes, int, int], None]] = {
    bytes.fromhex("551d0e"): _Extensions.read_ski,
    bytes.fromhex("551d23"): _Extensions.read_aki,
    bytes.fromhex("551d0f"): _Extensions.read_key_usage,
    bytes.fromhex("551d25"): _Extensions.read_extended_usage,
    bytes.fromhex("551d13"): _Extensions.read_basic_constraints,
    bytes.fromhex("551d11"): _Extensions.read_alternative_names,
}


@lru_cache(maxsize=512)
def _usage(content: bytes) -> frozenset[str]:
    if not 1 <= len(content) <= 3 or content[0] > 7:
        raise DerError("the key usage is malformed")
    bits = int.from_bytes(content[1:].ljust(2, b"\x00"), "big")
    return frozenset(name for at, name in enumerate(_USAGES) if bits & (0x8000 >> at))


@lru_cache(maxsize=512)
def _purposes(der: bytes) -> frozenset[str]:
    if len(der) > MAX_PURPOSES_OCTETS:
        raise DerError("the extended key usage is too long")
    found = elements(der, *only(der, 0, len(der), SEQUENCE))
    if any(one[0] != OID for one in found):
        raise DerError("the extended key usage is malformed")
    return frozenset(dotted(der[content:stop]) for _, _, content, stop in found)


def _smtp_utf8_mailbox(der: bytes, start: int, end: int) -> str:
    """The address in an otherName of type id-on-SmtpUTF8Mailbox (RFC 9598), or nothing."""
    parts = elements(der, start, end)
    if len(parts) != 2 or dotted(der[parts[0][2] : parts[0][3]]) != "1.3.6.1.5.5.7.8.9" or parts[1][0] != 0xA0:
        return ""
    content, stop = only(der, parts[1][2], parts[1][3], UTF8_STRING)
    text = der[content:stop].decode("utf-8", "replace")
    # An ASCII address here would get round the rfc822Name constraints of the authorities (RFC 9598 §3).
    return "" if text.rpartition("@")[0].isascii() else text


def _is_email(text: str) -> bool:
    return 3 <= len(text) <= MAX_EMAIL_OCTETS and "@" in text and text.isprintable() and "\ufffd" not in text
