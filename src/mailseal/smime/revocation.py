"""What CRLs say of a certificate (RFC 5280 §6.3), once their signatures are verified."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from mailseal.smime.certificate import Certificate, CertificateError, PublicKey, Revocation, public_key
from mailseal.smime.crl import MAX_CRL_OCTETS, REMOVED, Crl, CrlError, Entry, read_crl
from mailseal.smime.crl_points import ALL_REASONS, Point, issuer_point, read_points
from mailseal.smime.name import normalised
from mailseal.smime.strict import DerError

__all__ = [
    "MAX_CRL_OCTETS",
    "NO_CRLS",
    "Crl",
    "CrlError",
    "CrlSet",
    "Entry",
    "Revocations",
    "SignedCrl",
    "may_sign_crls",
    "read_crl",
    "verify_crl",
]

MAX_SIGNERS = 50
"""Certificates of one name tried for the signature of a CRL."""

_WEAK_DIGESTS = ("md2", "md5", "sha1")


class Revocations(Protocol):
    """What verified CRLs say, wherever they are kept."""

    def status(self, path: Sequence[Certificate]) -> tuple[Revocation, datetime | None]:
        """The state of `path[0]`, issued by `path[1]`, and so on up to a root; the nextUpdate of the CRLs behind it.

        UNKNOWN with None if there is no CRL for it. CRLs past their nextUpdate are still answered from. What a CRL of
        the issuer's name by another key (a rollover, a key for CRLs only) lists is REVOKED; it makes GOOD only where
        that key is itself known to be trusted under the same root and not revoked.
        """


@dataclass(frozen=True, slots=True)
class SignedCrl:
    """A CRL with the certificate of its signer.

    `clears`: the roots, by fingerprint, under which the signer is an authority that is good itself, until when.
    """

    crl: Crl
    signer: Certificate
    clears: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class CrlSet:
    """Revocations out of a few CRLs in memory, partial ones too; for mail opened by hand and for tests."""

    signed: tuple[SignedCrl, ...]

    @staticmethod
    def build(crls: Iterable[Crl], issuers: Iterable[Certificate]) -> "CrlSet":
        """Verify each CRL against the issuers, trusted authorities all of them; raises CrlError."""
        known = tuple(issuers)
        return CrlSet(tuple(SignedCrl(crl, verify_crl(crl, known)) for crl in crls))

    @cached_property
    def _by_issuer(self) -> Mapping[str, tuple["_List", ...]]:
        found: dict[str, list[_List]] = {}
        for one in _lists(self.signed):
            found.setdefault(one.issuer, []).append(one)
        return {name: tuple(lists) for name, lists in found.items()}

    def status(self, path: Sequence[Certificate]) -> tuple[Revocation, datetime | None]:
        """As of Revocations."""
        certificate, issuer = path[0], path[1]
        about = normalised(certificate.issuer_der), certificate.serial
        points = _points(certificate)
        names = {about[0]}.union(*(point.issuers for point in points))
        lists = [one for name in names for one in self._by_issuer.get(name, ())]
        covering = [(one, reasons) for one in lists if (reasons := one.reasons_for(certificate, about[0], points))]
        # What its own issuer lists is revoked even where the list should not cover it.
        for one in (*(one for one, _ in covering), *(one for one in lists if one.lists_any_of(about[0]))):
            if about in one.revoked:
                return Revocation.REVOKED, one.until
        return _good((one.clears_until(issuer, path[-1]), reasons) for one, reasons in covering)


def _good(found: Iterable[tuple[datetime | None, int]]) -> tuple[Revocation, datetime | None]:
    """GOOD if the lists together cover every reason. The longest-lived ones count: the bound is the latest possible."""
    covered = 0
    for until, reasons in sorted(((until, reasons) for until, reasons in found if until is not None), reverse=True):
        covered |= reasons
        if covered == ALL_REASONS:
            return Revocation.GOOD, until
    return Revocation.UNKNOWN, None


def _points(certificate: Certificate) -> tuple[Point, ...]:
    """The certificate's CRL distribution points, and the one that every certificate has (RFC 5280 §6.3.3)."""
    own = issuer_point(certificate.issuer_der)
    if certificate.crl_points_der is None:
        return (own,)
    try:
        return (*read_points(certificate.crl_points_der, certificate.issuer_der), own)
    except DerError:
        return (own,)


NO_CRLS = CrlSet(())


@dataclass(frozen=True, slots=True)
class _List:
    """The newest complete CRL of one issuer, key and scope, brought up to date by a delta CRL if there is one.

    A delta CRL that goes with no complete one lists, and clears nothing: `clears` is None.
    """

    signed: SignedCrl
    issuer: str
    revoked: frozenset[tuple[str, int]] = field(repr=False)
    until: datetime
    is_complete: bool

    def reasons_for(self, certificate: Certificate, issuer: str, points: Sequence[Point]) -> int:
        """The reasons of ALL_REASONS for which a certificate of this issuer would be listed here."""
        scope, found = self.signed.crl.scope, 0
        for point in points:
            # RFC 5280 §6.3.3 (b)(1): by an issuer named for CRLs, which says it speaks for others, or by its own.
            right = self.issuer in point.issuers and scope.indirect if point.issuers else self.issuer == issuer
            if right:
                found |= scope.reasons_for(point, is_ca=certificate.is_ca)
        return found

    def lists_any_of(self, issuer: str) -> bool:
        """Whether it lists certificates of this issuer: attribute certificates have serial numbers of their own."""
        return self.issuer == issuer and not self.signed.crl.scope.attributes_only

    def clears_until(self, issuer: Certificate, root: Certificate) -> datetime | None:
        """Until when this list can say that a certificate of the issuer is good; None: not at all."""
        if not self.is_complete:
            return None
        signer = self.signed.signer
        if signer.spki_sha256 == issuer.spki_sha256 and self.issuer == normalised(issuer.subject_der):
            return self.until
        bound = self.signed.clears.get(root.fingerprint)
        return None if bound is None else min(bound, self.until)


def _lists(signed: Iterable[SignedCrl]) -> Iterator[_List]:
    groups: dict[tuple[object, ...], list[SignedCrl]] = {}
    for one in sorted(signed, key=lambda one: (one.crl.this_update, one.crl.number or 0), reverse=True):
        crl = one.crl
        key = normalised(crl.issuer_der), one.signer.spki_sha256, crl.scope
        groups.setdefault(key, []).append(one)
    for members in groups.values():
        deltas = [one for one in members if one.crl.base is not None]
        complete = next((one for one in members if one.crl.base is None), None)
        yield from _updated(complete, deltas[:1])


def _updated(complete: SignedCrl | None, deltas: Sequence[SignedCrl]) -> Iterator[_List]:
    if complete is None:
        yield from (_list(one, is_complete=False) for one in deltas)
        return
    for delta in deltas:
        if _goes_with(delta.crl, complete.crl):
            yield _with_delta(complete, delta.crl)
            return
        if delta.crl.this_update > complete.crl.this_update:
            yield _list(delta, is_complete=False)
    yield _list(complete, is_complete=True)


def _goes_with(delta: Crl, complete: Crl) -> bool:
    """RFC 5280 §5.2.4: both with the same scope and key, which is seen to already."""
    if delta.base is None or delta.number is None or complete.number is None:
        return False
    return delta.base <= complete.number < delta.number


def _list(one: SignedCrl, *, is_complete: bool) -> _List:
    revoked = frozenset((issuer, serial) for issuer, serial, reason in one.crl.listed if reason != REMOVED)
    return _List(one, normalised(one.crl.issuer_der), revoked, one.crl.next_update, is_complete)


def _with_delta(complete: SignedCrl, delta: Crl) -> _List:
    changes = {(issuer, serial): reason != REMOVED for issuer, serial, reason in delta.listed}
    before = {(issuer, serial): reason != REMOVED for issuer, serial, reason in complete.crl.listed}
    revoked = frozenset(about for about, listed in (before | changes).items() if listed)
    until = max(complete.crl.next_update, delta.next_update)
    return _List(complete, normalised(delta.issuer_der), revoked, until, is_complete=True)


def verify_crl(crl: Crl, issuers: Iterable[Certificate]) -> Certificate:
    """The one of the issuers that signed the CRL; raises CrlError.

    `issuers` are certificates of trusted authorities: a signature by anyone else is worth nothing.
    """
    name = normalised(crl.issuer_der)
    named = [one for one in issuers if normalised(one.subject_der) == name]
    if not named:
        raise CrlError(f"no certificate of the issuer of the CRL is known: {crl.issuer}")
    usable = [one for one in named if may_sign_crls(one)]
    if not usable:
        raise CrlError(f"the issuer's certificate does not allow it to sign CRLs: {crl.issuer}")
    loaded = _load(crl)
    for issuer in sorted(usable, key=lambda one: one.ski != crl.aki)[:MAX_SIGNERS]:
        try:
            _verify(loaded, public_key(issuer))
        except (InvalidSignature, CertificateError, UnsupportedAlgorithm, ValueError, TypeError):
            continue
        return issuer
    raise CrlError(f"the signature of the CRL is not by the key of its issuer: {crl.issuer}")


def may_sign_crls(certificate: Certificate) -> bool:
    """The key usage, if there is one, allows it (RFC 5280 §4.2.1.3)."""
    return certificate.key_usage is None or "crl_sign" in certificate.key_usage


def _load(crl: Crl) -> x509.CertificateRevocationList:
    try:
        loaded = x509.load_der_x509_crl(crl.der)
        digest = loaded.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise CrlError("the CRL's version or signature algorithm is not supported") from None
    if digest is not None and digest.name in _WEAK_DIGESTS:
        raise CrlError("the CRL is signed with a digest that is too weak")
    return loaded


def _verify(crl: x509.CertificateRevocationList, key: PublicKey) -> None:
    """Raises InvalidSignature, or whatever the library makes of an algorithm that it does not know."""
    parameters = crl.signature_algorithm_parameters
    digest = crl.signature_hash_algorithm
    if isinstance(key, ed25519.Ed25519PublicKey):
        if crl.signature_algorithm_oid != x509.SignatureAlgorithmOID.ED25519:
            raise InvalidSignature
        key.verify(crl.signature, crl.tbs_certlist_bytes)
    elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(parameters, ec.ECDSA):
        key.verify(crl.signature, crl.tbs_certlist_bytes, parameters)
    elif (
        isinstance(key, rsa.RSAPublicKey)
        and isinstance(parameters, padding.PKCS1v15 | padding.PSS)
        and digest is not None
    ):
        key.verify(crl.signature, crl.tbs_certlist_bytes, parameters, digest)
    else:
        raise InvalidSignature
