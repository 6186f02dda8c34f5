"""Certificate revocation lists (RFC 5280 §5): read, verified once, then asked for (issuer, serial number)."""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from mailseal.errors import PermanentError
from mailseal.smime.certificate import Certificate, CertificateError, PublicKey, Revocation, public_key
from mailseal.smime.name import read_name
from mailseal.smime.strict import (
    BIT_STRING,
    GENERALIZED_TIME,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    UTC_TIME,
    DerError,
    Element,
    children,
    dotted,
    element,
    elements,
    integer,
    moment,
    only,
)

MAX_CRL_OCTETS = 64 * 1024 * 1024

_AKI, _NUMBER, _DELTA, _SCOPE = "2.5.29.35", "2.5.29.20", "2.5.29.27", "2.5.29.28"
_REASON, _ENTRY_ISSUER = "2.5.29.21", "2.5.29.29"
_REASONS = (
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "",
    "removeFromCRL",
    "privilegeWithdrawn",
    "aACompromise",
)
_WEAK_DIGESTS = ("md2", "md5", "sha1")


class CrlError(PermanentError):
    """The octets are not a CRL that can be used, or no known authority signed it."""


Entry = tuple[int, str | None, datetime]
"""(serial number, reason name of RFC 5280 §5.3.1 or None, revocation date)."""


@dataclass(frozen=True, slots=True)
class Crl:
    """A complete, direct CRL whose entries have all been read once. Its signature is `verify_crl`'s affair."""

    issuer: str
    issuer_der: bytes = field(repr=False)
    aki: bytes | None
    number: int | None
    this_update: datetime
    next_update: datetime
    entry_count: int
    der: bytes = field(repr=False)
    entries_span: tuple[int, int] = field(repr=False)

    @property
    def entries(self) -> Iterator[Entry]:
        """The revoked serial numbers, read from the octets each time: a CRL can have a million."""
        return _entries(self.der, *self.entries_span)


class Revocations(Protocol):
    """What verified CRLs say, kept as rows elsewhere."""

    def status(self, issuer: Certificate, serial: int) -> tuple[Revocation, datetime | None]:
        """The state of a certificate of this issuer (same name and key), and the nextUpdate of the CRL behind it.

        UNKNOWN with None if there is no CRL of the issuer. A CRL past its nextUpdate is still answered from. What a CRL
        of the same name by another key (a rollover, a key for CRLs only) lists is REVOKED; it never makes GOOD.
        """


@dataclass(frozen=True)
class CrlSet:
    """Revocations out of a few CRLs in memory, for one file opened by hand and for tests. Each is verified."""

    verified: tuple[tuple[Crl, Certificate], ...]

    @staticmethod
    def build(crls: Iterable[Crl], issuers: Iterable[Certificate]) -> "CrlSet":
        """Verify each CRL against the issuers; raises CrlError."""
        known = tuple(issuers)
        return CrlSet(tuple((crl, verify_crl(crl, known)) for crl in crls))

    @cached_property
    def _by_issuer(self) -> Mapping[tuple[bytes, str], tuple[frozenset[int], datetime]]:
        newest = sorted(self.verified, key=lambda pair: (pair[0].this_update, pair[0].number or 0))
        return {
            (issuer.subject_der, issuer.spki_sha256): (frozenset(entry[0] for entry in crl.entries), crl.next_update)
            for crl, issuer in newest
        }

    def status(self, issuer: Certificate, serial: int) -> tuple[Revocation, datetime | None]:
        """As of Revocations."""
        found = self._by_issuer.get((issuer.subject_der, issuer.spki_sha256))
        for (name, _), (revoked, next_update) in self._by_issuer.items():
            if name == issuer.subject_der and serial in revoked:
                return Revocation.REVOKED, next_update
        return (Revocation.UNKNOWN, None) if found is None else (Revocation.GOOD, found[1])


NO_CRLS = CrlSet(())


def read_crl(data: bytes) -> Crl:
    """Read one CRL, DER or PEM, of at most 64 MiB; raises CrlError.

    Refused, since reading them as complete would be wrong: delta CRLs, indirect CRLs, CRLs for a part of the
    certificates or reasons, unknown critical extensions, no nextUpdate.
    """
    if len(data) > MAX_CRL_OCTETS:
        raise CrlError("the CRL is larger than 64 MiB")
    der = _from_pem(data) if data.lstrip()[:5] == b"-----" else bytes(data)
    try:
        return _parse(der)
    except DerError as error:
        raise CrlError(f"not a usable CRL: {error}") from None


def verify_crl(crl: Crl, issuers: Iterable[Certificate]) -> Certificate:
    """The one of the issuers that signed the CRL; raises CrlError.

    `issuers` are certificates of trusted authorities: a signature by anyone else is worth nothing.
    """
    named = [one for one in issuers if one.subject_der == crl.issuer_der]
    if not named:
        raise CrlError(f"no certificate of the issuer of the CRL is known: {crl.issuer}")
    usable = [one for one in named if one.key_usage is None or "crl_sign" in one.key_usage]
    if not usable:
        raise CrlError(f"the issuer's certificate does not allow it to sign CRLs: {crl.issuer}")
    for issuer in sorted(usable, key=lambda one: one.ski != crl.aki):
        if _signed_by(crl, issuer):
            return issuer
    raise CrlError(f"the signature of the CRL is not by the key of its issuer: {crl.issuer}")


def _signed_by(crl: Crl, issuer: Certificate) -> bool:
    try:
        _verify(x509.load_der_x509_crl(crl.der), public_key(issuer))
    except InvalidSignature:
        return False
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, CertificateError):
        raise CrlError("the CRL's version or signature algorithm is not supported") from None
    return True


def _verify(crl: x509.CertificateRevocationList, key: PublicKey) -> None:
    """Raises InvalidSignature, or whatever the library makes of an algorithm that it does not know."""
    digest = crl.signature_hash_algorithm
    parameters = crl.signature_algorithm_parameters
    if isinstance(key, ed25519.Ed25519PublicKey):
        if crl.signature_algorithm_oid != x509.SignatureAlgorithmOID.ED25519:
            raise InvalidSignature
        key.verify(crl.signature, crl.tbs_certlist_bytes)
    elif digest is None or digest.name in _WEAK_DIGESTS:
        raise CrlError("the CRL is signed with a digest that is too weak")
    elif isinstance(key, rsa.RSAPublicKey) and isinstance(parameters, padding.PKCS1v15 | padding.PSS):
        key.verify(crl.signature, crl.tbs_certlist_bytes, parameters, digest)
    elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(parameters, ec.ECDSA):
        key.verify(crl.signature, crl.tbs_certlist_bytes, parameters)
    else:
        raise InvalidSignature


def _from_pem(data: bytes) -> bytes:
    _, begin, rest = data.partition(b"-----BEGIN X509 CRL-----")
    body, end, _ = rest.partition(b"-----END X509 CRL-----")
    if not begin or not end:
        raise CrlError("the PEM text holds no X509 CRL")
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        raise CrlError("the PEM text is not base64") from None


def _parse(der: bytes) -> Crl:
    outer = elements(der, *only(der, 0, len(der), SEQUENCE))
    if [one[0] for one in outer] != [SEQUENCE, SEQUENCE, BIT_STRING]:
        raise DerError("it has not the three parts of a CRL")
    at, end = outer[0][2:]
    fields: list[Element] = []
    while at < end:
        fields.append(element(der, at, end))
        at = fields[-1][3]
    if fields and fields[0][0] == INTEGER:
        del fields[0]
    if len(fields) < 3 or [one[0] for one in fields[:2]] != [SEQUENCE, SEQUENCE]:
        raise DerError("fields are missing")
    algorithm, issuer, this_update, *rest = fields
    if der[algorithm[1] : algorithm[3]] != der[outer[1][1] : outer[1][3]]:
        raise DerError("it names two different signature algorithms")
    if not rest or rest[0][0] not in {UTC_TIME, GENERALIZED_TIME}:
        raise DerError("it has no nextUpdate, which RFC 5280 demands")
    next_update = rest.pop(0)
    revoked = rest.pop(0) if rest and rest[0][0] == SEQUENCE else (SEQUENCE, at, at, at)
    aki, number = _extensions(der, rest)
    issuer_der = der[issuer[1] : issuer[3]]
    return Crl(
        issuer=read_name(issuer_der)[0],
        issuer_der=issuer_der,
        aki=aki,
        number=number,
        this_update=moment(der, this_update),
        next_update=moment(der, next_update),
        entry_count=sum(1 for _ in _read_entries(der, revoked[2], revoked[3])),
        der=der,
        entries_span=(revoked[2], revoked[3]),
    )


def _extensions(der: bytes, rest: list[Element]) -> tuple[bytes | None, int | None]:
    """(authority key identifier, CRL number); raises DerError for an extension that changes the CRL's meaning."""
    aki: bytes | None = None
    number: int | None = None
    if not rest:
        return aki, number
    if len(rest) > 1 or rest[0][0] != 0xA0:
        raise DerError("fields are in the wrong place")
    for oid, critical, start, end in _each_extension(der, *only(der, rest[0][2], rest[0][3], SEQUENCE)):
        if oid == _AKI:
            inner = elements(der, *only(der, start, end, SEQUENCE))
            aki = next((der[content:stop] for tag, _, content, stop in inner if tag == 0x80), None)
        elif oid == _NUMBER:
            number = integer(der, element(der, start, end))
        elif oid == _DELTA:
            raise DerError("it is a delta CRL; import the complete one")
        elif oid == _SCOPE:
            _check_scope(der, start, end)
        elif critical:
            raise DerError(f"it has a critical extension that is not known here: {oid}")
    return aki, number


def _check_scope(der: bytes, start: int, end: int) -> None:
    """IssuingDistributionPoint (RFC 5280 §5.2.5): only one that limits nothing may pass."""
    for tag, _, content, stop in elements(der, *only(der, start, end, SEQUENCE)):
        if tag == 0x84 and der[content:stop] != b"\x00":
            raise DerError("it is an indirect CRL, which speaks for other issuers")
        if tag in {0xA0, 0x83} or der[content:stop] != b"\x00":
            raise DerError("it covers only a part of its issuer's certificates or reasons")


def _each_extension(der: bytes, start: int, end: int) -> Iterator[tuple[str, bool, int, int]]:
    for one in elements(der, start, end):
        parts = children(der, one)
        if not 2 <= len(parts) <= 3 or parts[0][0] != OID or parts[-1][0] != OCTET_STRING:
            raise DerError("an extension is malformed")
        critical = len(parts) == 3 and der[parts[1][2] : parts[1][3]] != b"\x00"
        yield dotted(der[parts[0][2] : parts[0][3]]), critical, parts[-1][2], parts[-1][3]


def _entries(der: bytes, start: int, end: int) -> Iterator[Entry]:
    try:
        yield from _read_entries(der, start, end)
    except DerError as error:
        raise CrlError(f"not a usable CRL: {error}") from None


def _read_entries(der: bytes, start: int, end: int) -> Iterator[Entry]:
    while start < end:
        entry = element(der, start, end)
        parts = children(der, entry)
        if not 2 <= len(parts) <= 3:
            raise DerError("an entry is malformed")
        reason = _entry_reason(der, parts[2]) if len(parts) == 3 else None
        yield integer(der, parts[0]), reason, moment(der, parts[1])
        start = entry[3]


def _entry_reason(der: bytes, extensions: Element) -> str | None:
    reason: str | None = None
    for oid, critical, start, end in _each_extension(der, extensions[2], extensions[3]):
        if oid == _REASON:
            code = integer(der, element(der, start, end))
            reason = _REASONS[code] if 0 <= code < len(_REASONS) else None
        elif oid == _ENTRY_ISSUER:
            raise DerError("it is an indirect CRL, which speaks for other issuers")
        elif critical:
            raise DerError(f"an entry has a critical extension that is not known here: {oid}")
    return reason
