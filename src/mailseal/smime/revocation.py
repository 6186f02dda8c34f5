"""What CRLs say of a certificate (RFC 5280 §6.3), once their signatures are verified."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeGuard

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from mailseal.smime.certificate import Certificate, CertificateError, Revocation, public_key
from mailseal.smime.crl import MAX_CRL_OCTETS, REMOVED, Crl, CrlError, Entry, read_crl
from mailseal.smime.crl_points import ALL_REASONS, Point, Scope, issuer_point, read_points
from mailseal.smime.name import normalised, same_name
from mailseal.smime.strict import DerError

__all__ = [
    "MAX_CRL_OCTETS",
    "NO_CRLS",
    "Crl",
    "CrlError",
    "CrlList",
    "CrlSet",
    "Entry",
    "Revocations",
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
class CrlSet:
    """Revocations out of a few CRLs in memory, partial ones too; for mail opened by hand and for tests.

    `clears`: for a signer, the roots (fingerprints) under which it is an authority that is good itself, until when.
    """

    lists: tuple["CrlList", ...]
    clears: Mapping[Certificate, Mapping[str, datetime]] = field(default_factory=dict)

    @staticmethod
    def build(crls: Iterable[Crl], issuers: Iterable[Certificate]) -> "CrlSet":
        """Verify each CRL against the issuers, trusted authorities all of them; raises CrlError."""
        known = tuple(issuers)
        return CrlSet(tuple(_lists((crl, verify_crl(crl, known)) for crl in crls)))

    def status(self, path: Sequence[Certificate]) -> tuple[Revocation, datetime | None]:
        """As of Revocations."""
        certificate, issuer = path[0], path[1]
        about = normalised(certificate.issuer_der), certificate.serial
        points = _points(certificate)
        covering = [(one, reasons) for one in self.lists if (reasons := one.reasons_for(certificate, about[0], points))]
        # What its own issuer lists is revoked even where the list should not cover it.
        for one in (*(one for one, _ in covering), *(one for one in self.lists if one.lists_any_of(about[0]))):
            if about in one.revoked:
                return Revocation.REVOKED, one.until
        return _good((self._clears_until(one, issuer, path[-1]), reasons) for one, reasons in covering)

    def _clears_until(self, one: "CrlList", issuer: Certificate, root: Certificate) -> datetime | None:
        """Until when a list can say that a certificate of the issuer is good; None: not at all."""
        if not one.is_complete:
            return None
        if one.signer.spki_sha256 == issuer.spki_sha256 and one.issuer == normalised(issuer.subject_der):
            return one.until
        bound = self.clears.get(one.signer, {}).get(root.fingerprint)
        return None if bound is None else min(bound, one.until)


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
class CrlList:
    """The newest complete CRL of one issuer, key and scope, brought up to date by a delta CRL if there is one.

    `issuer` is the normalised name. A delta CRL that goes with no complete one revokes, and clears nothing.
    """

    issuer: str
    signer: Certificate
    scope: Scope
    revoked: frozenset[tuple[str, int]] = field(repr=False)
    until: datetime
    is_complete: bool

    def reasons_for(self, certificate: Certificate, issuer: str, points: Sequence[Point]) -> int:
        """The reasons of ALL_REASONS for which a certificate of this issuer would be listed here."""
        found = 0
        for point in points:
            # RFC 5280 §6.3.3 (b)(1): by an issuer named for CRLs, which says it speaks for others, or by its own.
            if (self.issuer in point.issuers and self.scope.indirect) if point.issuers else self.issuer == issuer:
                found |= self.scope.reasons_for(point, is_ca=certificate.is_ca)
        return found

    def lists_any_of(self, issuer: str) -> bool:
        """Whether it lists certificates of this issuer: attribute certificates have serial numbers of their own."""
        return self.issuer == issuer and not self.scope.attributes_only


_Signed = tuple[Crl, Certificate]


def _lists(signed: Iterable[_Signed]) -> Iterator[CrlList]:
    groups: dict[tuple[object, ...], list[_Signed]] = {}
    for crl, signer in sorted(signed, key=lambda one: (one[0].this_update, one[0].number or 0), reverse=True):
        groups.setdefault((normalised(crl.issuer_der), signer.spki_sha256, crl.scope), []).append((crl, signer))
    for members in groups.values():
        deltas = [one for one in members if one[0].base is not None]
        complete = next((one for one in members if one[0].base is None), None)
        yield from _updated(complete, deltas)


def _updated(complete: _Signed | None, deltas: Sequence[_Signed]) -> Iterator[CrlList]:
    """Each delta CRL lists what is new since its base only: those that go with nothing here all count."""
    newest = complete
    if complete is not None:
        fitting = next((one for one in deltas if _goes_with(one[0], complete[0])), None)
        yield _list(*complete, fitting and fitting[0])
        newest = fitting or complete
    for delta in deltas:
        if newest is None or delta[0].this_update > newest[0].this_update:
            yield _list(*delta)


def _goes_with(delta: Crl, complete: Crl) -> bool:
    """RFC 5280 §5.2.4: both with the same scope and key, which is seen to already."""
    if delta.base is None or delta.number is None or complete.number is None:
        return False
    return delta.base <= complete.number < delta.number


def _list(crl: Crl, signer: Certificate, delta: Crl | None = None) -> CrlList:
    listed = {(issuer, serial): reason for issuer, serial, reason in crl.listed}
    until = crl.next_update
    if delta is not None:
        listed |= {(issuer, serial): reason for issuer, serial, reason in delta.listed}
        until = max(until, delta.next_update)
    return CrlList(
        issuer=normalised(crl.issuer_der),
        signer=signer,
        scope=crl.scope,
        revoked=frozenset(about for about, reason in listed.items() if reason != REMOVED),
        until=until,
        is_complete=crl.base is None,
    )


def verify_crl(crl: Crl, issuers: Iterable[Certificate]) -> Certificate:
    """The one of the issuers that signed the CRL; raises CrlError.

    `issuers` are certificates of trusted authorities: a signature by anyone else is worth nothing.
    """
    named = [one for one in issuers if same_name(one.subject_der, crl.issuer_der)]
    if not named:
        raise CrlError(f"no certificate of the issuer of the CRL is known: {crl.issuer}")
    usable = [one for one in named if may_sign_crls(one)]
    if not usable:
        raise CrlError(f"the issuer's certificate does not allow it to sign CRLs: {crl.issuer}")
    loaded = _load(crl)
    for issuer in sorted(usable, key=lambda one: one.ski != crl.aki)[:MAX_SIGNERS]:
        try:
            _verify(loaded, issuer)
        except (InvalidSignature, CertificateError, UnsupportedAlgorithm, ValueError, TypeError):
            continue
        return issuer
    raise CrlError(f"the signature of the CRL is not by the key of its issuer: {crl.issuer}")


def may_sign_crls(certificate: Certificate) -> bool:
    """By its key usage (RFC 5280 §4.2.1.3); without one only an authority may, not any certificate in its name."""
    return certificate.is_ca if certificate.key_usage is None else "crl_sign" in certificate.key_usage


def _load(crl: Crl) -> x509.CertificateRevocationList:
    try:
        loaded = x509.load_der_x509_crl(crl.der)
        digest = loaded.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise CrlError("the CRL's version or signature algorithm is not supported") from None
    if digest is not None and digest.name in _WEAK_DIGESTS:
        raise CrlError("the CRL is signed with a digest that is too weak")
    return loaded


def _verify(crl: x509.CertificateRevocationList, issuer: Certificate) -> None:
    """Raises InvalidSignature, or whatever the library makes of an algorithm that it does not know."""
    key, kind = public_key(issuer), issuer.key_algorithm
    parameters = crl.signature_algorithm_parameters
    digest = crl.signature_hash_algorithm
    if isinstance(key, ed25519.Ed25519PublicKey):
        if crl.signature_algorithm_oid != x509.SignatureAlgorithmOID.ED25519:
            raise InvalidSignature
        key.verify(crl.signature, crl.tbs_certlist_bytes)
    elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(parameters, ec.ECDSA):
        key.verify(crl.signature, crl.tbs_certlist_bytes, parameters)
    elif isinstance(key, rsa.RSAPublicKey) and digest is not None and _suits(parameters, kind):
        key.verify(crl.signature, crl.tbs_certlist_bytes, parameters, digest)
    else:
        raise InvalidSignature


def _suits(parameters: object, kind: str) -> TypeGuard[padding.PKCS1v15 | padding.PSS]:
    """A key made for RSASSA-PSS signs by nothing else, one for RSAES-OAEP not at all (RFC 4055 §1.2)."""
    if kind.startswith("rsa-oaep"):
        return False
    return isinstance(parameters, padding.PSS) or (
        isinstance(parameters, padding.PKCS1v15) and not kind.startswith("rsa-pss")
    )
