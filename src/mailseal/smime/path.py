"""Certification paths (RFC 5280 §6, RFC 8550 §4): from a certificate to a root, as a verdict that can be stored.

`path_search` finds the paths; each is then validated by pyhanko-certvalidator, and by rules of our own for e-mail.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidSignature
from pyhanko_certvalidator import PKIXValidationParams, ValidationContext
from pyhanko_certvalidator.authority import CertTrustAnchor, TrustQualifiers
from pyhanko_certvalidator.errors import ExpiredError, NotYetValidError
from pyhanko_certvalidator.name_trees import process_general_subtrees
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import NO_REVOCATION, CertRevTrustPolicy
from pyhanko_certvalidator.sig_validate import SignatureValidator
from pyhanko_certvalidator.validate import async_validate_path

from mailseal.mail.address import Address, AddressError
from mailseal.policy.reason import ReasonCode
from mailseal.smime.certificate import Certificate, Revocation, Verdict
from mailseal.smime.path_search import MAX_PATH, BudgetSpentError, Node, Search, Signatures, node
from mailseal.smime.revocation import Revocations
from mailseal.smime.select import fits_email

__all__ = ["MAX_PATH", "valid_paths", "validate", "with_revocation"]

MAX_VALIDATIONS = 20
"""Paths validated for one certificate."""
MAX_NAME_COMPARISONS = 20_000
MAX_NAME_OCTETS_SQUARED = 8_000_000
"""Octets of constraints times octets of names, over all paths of one certificate: names can be long, or many."""

POLICIES = PKIXValidationParams()
"""Every certificate policy will do, and none is demanded (RFC 5280 §6.1.1 (c) to (f))."""

FOREVER = datetime.max.replace(microsecond=0, tzinfo=UTC)

_log = logging.getLogger(__name__)


def validate(
    certificate: Certificate,
    intermediates: Iterable[Certificate],
    roots: Iterable[Certificate],
    revocations: Revocations,
    at: datetime,
    *,
    crl_grace: timedelta,
) -> Verdict:
    """Judge a certificate for e-mail at a time. Never raises; the work is bounded whatever is handed in.

    `intermediates` in order of preference: only the first 10 of one name are looked at. A certificate outside its own
    validity is judged at the nearest moment inside: `valid_from` and `valid_until` tell the rest.
    """
    refused = _Refusal(ReasonCode.CERTIFICATE_UNTRUSTED)
    best: Verdict | None = None
    for path in _valid_paths(certificate, intermediates, roots, at, refused, for_email=True):
        verdict = with_revocation(path, revocations, at, crl_grace)
        if best is None or _rank(verdict) < _rank(best):
            best = verdict
        if best.revocation is Revocation.GOOD:
            break
    if best is not None:
        return best
    return Verdict(
        trusted=False,
        reason=refused.reason,
        valid_from=certificate.not_before,
        valid_until=certificate.not_after,
        revocation=Revocation.UNKNOWN,
        revocation_until=None,
    )


def valid_paths(
    certificate: Certificate, intermediates: Iterable[Certificate], roots: Iterable[Certificate], at: datetime
) -> Iterator[tuple[Certificate, ...]]:
    """The valid paths of a certificate, leaf first, whatever it is for; bounded, never raises."""
    refused = _Refusal(ReasonCode.CERTIFICATE_UNTRUSTED)
    return _valid_paths(certificate, intermediates, roots, at, refused, for_email=False)


@dataclass(slots=True)
class _Refusal:
    """Why the paths looked at so far were no good."""

    reason: ReasonCode


def _rank(verdict: Verdict) -> int:
    return (Revocation.GOOD, Revocation.UNKNOWN, Revocation.REVOKED).index(verdict.revocation)


def with_revocation(path: Sequence[Certificate], revocations: Revocations, at: datetime, grace: timedelta) -> Verdict:
    """The verdict of a valid path (leaf first): the worst revocation, the narrowest bounds."""
    verdict = Verdict(
        trusted=True,
        reason=None,
        valid_from=max(one.not_before for one in path),
        valid_until=min(one.not_after for one in path),
        revocation=Revocation.GOOD,
        revocation_until=None,
    )
    until: datetime | None = None
    for above in range(len(path) - 1):
        state, next_update = revocations.status(path[above:])
        if state is Revocation.REVOKED:
            return replace(verdict, revocation=Revocation.REVOKED, revocation_until=None)
        # A nextUpdate of 9999-12-31 means never (RFC 5280 §4.1.2.5), and has no time after it.
        late = None if next_update is None else min(next_update, FOREVER - grace) + grace
        if state is Revocation.GOOD and late is not None and late >= at:
            until = late if until is None else min(until, late)
            continue
        verdict = replace(verdict, revocation=Revocation.UNKNOWN)
    return replace(verdict, revocation_until=until if verdict.revocation is Revocation.GOOD else None)


def _valid_paths(
    certificate: Certificate,
    intermediates: Iterable[Certificate],
    roots: Iterable[Certificate],
    at: datetime,
    refused: _Refusal,
    *,
    for_email: bool,
) -> Iterator[tuple[Certificate, ...]]:
    leaf = node(certificate)
    if leaf is None:
        return
    if for_email and not fits_email(certificate):
        refused.reason = ReasonCode.CERTIFICATE_WRONG_USAGE
        return
    moment = min(max(at, certificate.not_before), certificate.not_after)
    validation = _Validation(moment, for_email=for_email)
    try:
        for path in Search(intermediates, roots, Signatures()).paths(leaf):
            reason = validation.refuse(path)
            if reason is None:
                yield tuple(one.certificate for one in path)
            elif refused.reason is ReasonCode.CERTIFICATE_UNTRUSTED:
                refused.reason = reason
    except BudgetSpentError:
        return


@dataclass(slots=True)
class _Validation:
    """The validation of the paths of one certificate, and what it has cost so far."""

    moment: datetime
    for_email: bool
    paths: int = 0
    comparisons: int = 0
    octets_squared: int = 0

    def refuse(self, path: Sequence[Node]) -> ReasonCode | None:
        """Why the path is not valid, or None (RFC 5280 §6.1); raises BudgetSpentError."""
        if len(path) == 1:
            return None
        if self.for_email and not all(fits_email(one.certificate) for one in path[1:]):
            return ReasonCode.CERTIFICATE_WRONG_USAGE
        # The library takes an anchor as it is; one that is no authority, or is one for other purposes, issues nothing.
        root = path[-1].certificate
        if not root.is_ca or (root.key_usage is not None and "key_cert_sign" not in root.key_usage):
            return ReasonCode.CERTIFICATE_UNTRUSTED
        self.paths += 1
        if self.paths > MAX_VALIDATIONS:
            raise BudgetSpentError
        try:
            self._check_names(path)
            asyncio.run(_validate(path, self.moment))
        except ExpiredError:
            return ReasonCode.CERTIFICATE_EXPIRED
        except NotYetValidError:
            return ReasonCode.CERTIFICATE_NOT_YET_VALID
        except Exception as error:  # noqa: BLE001 - asn1crypto reads late: whatever a hostile certificate provokes
            _log.debug("path refused for %s: %s", path[0].certificate.fingerprint, type(error).__name__)
            return ReasonCode.CERTIFICATE_UNTRUSTED
        return None

    def _check_names(self, path: Sequence[Node]) -> None:
        """Raises ValueError for names that cost too much to compare, or that name constraints do not reach."""
        constraints = octets = 0
        for one in reversed(path):
            names = one.asn1.subject_alt_name_value
            if constraints:
                self.comparisons += constraints * (1 + len(names or ()))
                length = len(one.certificate.subject_der) + (len(names.contents) if names else 0)
                self.octets_squared += octets * length
            limits = one.asn1.name_constraints_value
            if limits is not None:
                constraints += sum(len(limits[field] or ()) for field in ("permitted_subtrees", "excluded_subtrees"))
                octets += len(limits.contents)
        if not constraints:
            return
        if self.comparisons > MAX_NAME_COMPARISONS or self.octets_squared > MAX_NAME_OCTETS_SQUARED:
            raise ValueError("too many names under name constraints")
        _check_addresses(path[0], path[1:])


def _check_addresses(leaf: Node, above: Sequence[Node]) -> None:
    """The library compares rfc822Name, and emailAddress of the subject only where there is no subjectAltName.

    An SmtpUTF8Mailbox (RFC 9598 §6), or an emailAddress beside other names, would get round the constraints; so would
    what is excluded in another spelling: the library takes the case of a local part and needless quotes for
    differences, and compares the U-labels of an address with the A-labels of a constraint.
    """
    certificate = leaf.certificate
    if not all(email.isascii() for email in certificate.san_emails):
        raise ValueError("an internationalised address under name constraints")
    if certificate.subject_emails and not certificate.san_emails and leaf.asn1.subject_alt_name_value is not None:
        raise ValueError("an address in the subject that name constraints do not reach")
    excluded = [text for one in above for text in _excluded_addresses(one)]
    if excluded and any(
        _is_excluded(email, excluded) for email in certificate.san_emails or certificate.subject_emails
    ):
        raise ValueError("an excluded address")


def _excluded_addresses(authority: Node) -> Iterator[str]:
    limits = authority.asn1.name_constraints_value
    for subtree in () if limits is None else limits["excluded_subtrees"] or ():
        if subtree["base"].name == "rfc822_name":
            yield subtree["base"].chosen.contents.decode("ascii")


def _is_excluded(email: str, excluded: Iterable[str]) -> bool:
    """By addresses, hosts, and domains with a dot before them (RFC 5280 §4.2.1.10)."""
    try:
        address = Address.parse(email)
    except AddressError:
        return False  # it stands for nobody
    for text in excluded:
        mailbox, _, host = text.lower().rpartition("@")
        if mailbox and Address.parse(text) == address:
            return True
        if not mailbox and (address.domain == host or (host[:1] == "." and address.domain.endswith(host))):
            return True
    return False


class _AlreadyVerified(SignatureValidator):
    """The search has verified every signature of its paths, over the octets of the certificates as they came."""

    def __init__(self, path: Sequence[Node]) -> None:
        self._signatures = {one.signature for one in path[:-1]}

    def validate_signature(self, signature: bytes, *_: object, **__: object) -> None:
        """As of the library."""
        if signature not in self._signatures:
            raise InvalidSignature


async def _validate(path: Sequence[Node], moment: datetime) -> None:
    root = path[-1]
    anchor = CertTrustAnchor(
        root.asn1,
        TrustQualifiers(
            standard_parameters=_root_parameters(root),
            max_path_length=root.asn1.max_path_length,
            valid_from=root.certificate.not_before,
            valid_until=root.certificate.not_after,
        ),
    )
    context = ValidationContext(
        trust_roots=[anchor],
        moment=moment,
        revinfo_policy=CertRevTrustPolicy(NO_REVOCATION),
        time_tolerance=timedelta(0),
        signature_validator=_AlreadyVerified(path),
    )
    between = [one.asn1 for one in reversed(path[1:-1])]
    await async_validate_path(context, ValidationPath(anchor, between, path[0].asn1), POLICIES)


def _root_parameters(root: Node) -> PKIXValidationParams | None:
    """The root's own name constraints bind too (RFC 5937)."""
    limits = root.asn1.name_constraints_value
    if limits is None:
        return None
    permitted, excluded = limits["permitted_subtrees"], limits["excluded_subtrees"]
    return PKIXValidationParams(
        initial_permitted_subtrees=process_general_subtrees(permitted) if permitted else None,
        initial_excluded_subtrees=process_general_subtrees(excluded) if excluded else None,
    )
