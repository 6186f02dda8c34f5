"""Certification paths (RFC 5280 §6, RFC 8550 §4): from a certificate to a root, as a verdict that can be stored.

Paths are searched here, breadth first, and only along signatures that verify, so that many same-named authorities
cost a bounded number of signature checks; each path found is then validated by pyhanko-certvalidator.
"""

import asyncio
import logging
import unicodedata
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any

from asn1crypto import x509 as asn1
from cryptography.exceptions import InvalidSignature
from pyhanko_certvalidator import PKIXValidationParams, ValidationContext
from pyhanko_certvalidator.authority import CertTrustAnchor, TrustQualifiers
from pyhanko_certvalidator.errors import ExpiredError, NotYetValidError
from pyhanko_certvalidator.name_trees import process_general_subtrees
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import NO_REVOCATION, CertRevTrustPolicy
from pyhanko_certvalidator.sig_validate import (
    DEFAULT_VALIDATION_CONTEXT,
    DefaultSignatureValidator,
    SignatureValidationContext,
)
from pyhanko_certvalidator.validate import async_validate_path

from mailseal.policy.reason import ReasonCode
from mailseal.smime.certificate import Certificate, Revocation, Verdict
from mailseal.smime.revocation import Revocations
from mailseal.smime.select import fits_email

MAX_ISSUERS = 10
"""Candidates looked at for one certificate's issuer."""
MAX_PATH = 8
"""Certificates in a path, root included."""
MAX_SIGNATURE_CHECKS = 50
MAX_STEPS = 200
MAX_NAME_COMPARISONS = 20_000
MAX_OCTETS = 65_536
"""Of one certificate on a path."""


_log = logging.getLogger(__name__)
_Candidates = dict[str, list[Certificate]]


class _BudgetSpentError(Exception):
    """The search has cost as much as it may; what has been found until then counts."""


@dataclass(frozen=True, slots=True)
class _Node:
    """A certificate in both forms. `name` and `issuer` are normalised for comparison (RFC 5280 §7.1)."""

    certificate: Certificate
    asn1: Any
    name: str
    issuer: str


class _CountedSignatures(DefaultSignatureValidator):
    """Checks each signature once, and no more than the budget allows."""

    def __init__(self) -> None:
        self.checks = 0
        self._known: dict[tuple[bytes, ...], Exception | None] = {}

    def validate_signature(
        self,
        signature: bytes,
        signed_data: bytes,
        public_key_info: Any,
        signature_algorithm: Any,
        context: SignatureValidationContext = DEFAULT_VALIDATION_CONTEXT,
    ) -> None:
        asked = (signature, signed_data, public_key_info.dump(), signature_algorithm.dump())
        if asked not in self._known:
            if self.checks >= MAX_SIGNATURE_CHECKS:
                raise _BudgetSpentError
            self.checks += 1
            self._known[asked] = None
            try:
                super().validate_signature(signature, signed_data, public_key_info, signature_algorithm, context)
            except Exception as error:  # noqa: BLE001 - whatever a hostile key provokes, the signature is not good
                self._known[asked] = InvalidSignature(str(type(error).__name__))
        known = self._known[asked]
        if known is not None:
            raise known


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
    try:
        for path in _valid_paths(certificate, intermediates, roots, at, refused):
            verdict = _with_revocation(path, revocations, at, crl_grace)
            if best is None or _rank(verdict) < _rank(best):
                best = verdict
            if best.revocation is Revocation.GOOD:
                break
    except _BudgetSpentError:
        pass
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


@dataclass(slots=True)
class _Refusal:
    """Why the paths looked at so far were no good."""

    reason: ReasonCode


def _rank(verdict: Verdict) -> int:
    return (Revocation.GOOD, Revocation.UNKNOWN, Revocation.REVOKED).index(verdict.revocation)


def _with_revocation(path: Sequence[Certificate], revocations: Revocations, at: datetime, grace: timedelta) -> Verdict:
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
    for one, issuer in pairwise(path):
        state, next_update = revocations.status(issuer, one.serial)
        if state is Revocation.REVOKED:
            return replace(verdict, revocation=Revocation.REVOKED, revocation_until=None)
        if state is Revocation.GOOD and next_update is not None and next_update + grace >= at:
            until = next_update + grace if until is None else min(until, next_update + grace)
            continue
        verdict = replace(verdict, revocation=Revocation.UNKNOWN)
    return replace(verdict, revocation_until=until if verdict.revocation is Revocation.GOOD else None)


def _valid_paths(
    certificate: Certificate,
    intermediates: Iterable[Certificate],
    roots: Iterable[Certificate],
    at: datetime,
    refused: _Refusal,
) -> Iterator[tuple[Certificate, ...]]:
    leaf = _node(certificate)
    if leaf is None:
        return
    if not fits_email(certificate):
        refused.reason = ReasonCode.CERTIFICATE_WRONG_USAGE
        return
    moment = min(max(at, certificate.not_before), certificate.not_after)
    signatures = _CountedSignatures()
    for path in _Search(_by_name(intermediates), _by_name(roots), signatures).paths(leaf):
        reason = _refuse(path, moment, signatures)
        if reason is None:
            yield tuple(node.certificate for node in path)
        elif refused.reason is ReasonCode.CERTIFICATE_UNTRUSTED:
            refused.reason = reason


def _node(certificate: Certificate) -> _Node | None:
    if len(certificate.der) > MAX_OCTETS:
        return None
    try:
        parsed = asn1.Certificate.load(certificate.der, strict=True)
        return _Node(certificate, parsed, parsed.subject.hashable, parsed.issuer.hashable)
    except Exception:  # noqa: BLE001 - asn1crypto raises whatever a hostile certificate provokes
        _log.debug("a certificate cannot be used in a path: %s", certificate.fingerprint)
        return None


def _by_name(certificates: Iterable[Certificate]) -> _Candidates:
    """Candidates by a key that equal names share: cheap, so that thousands may be handed in."""
    found: _Candidates = {}
    for one in certificates:
        found.setdefault(_rough(one.subject), []).append(one)
    return found


@lru_cache(maxsize=1024)
def _rough(name: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name).casefold()))


class _Search:
    """Breadth first from the leaf up, so that a short honest path is found before long dishonest ones."""

    def __init__(self, pool: _Candidates, anchors: _Candidates, signatures: _CountedSignatures) -> None:
        self._pool = pool
        self._anchors = anchors
        self._signatures = signatures
        self._nodes: dict[str, _Node | None] = {}
        self._steps = 0

    def paths(self, leaf: _Node) -> Iterator[tuple[_Node, ...]]:
        """Leaf first, root last; every signature on the way verifies. Raises _BudgetSpentError."""
        if leaf.certificate in self._anchors.get(_rough(leaf.certificate.subject), ()):
            yield (leaf,)
            return
        waiting: deque[tuple[_Node, ...]] = deque([(leaf,)])
        while waiting:
            path = waiting.popleft()
            for issuer, is_root in self._issuers(path[-1]):
                self._steps += 1
                if self._steps > MAX_STEPS:
                    raise _BudgetSpentError
                if any(_same_authority(issuer, one) for one in path) or not self._signed(path[-1], issuer):
                    continue
                if is_root:
                    yield (*path, issuer)
                elif len(path) + 2 <= MAX_PATH:
                    waiting.append((*path, issuer))

    def _issuers(self, child: _Node) -> Iterator[tuple[_Node, bool]]:
        rough = _rough(child.certificate.issuer)
        aki = child.certificate.aki
        left = MAX_ISSUERS
        for candidates, is_root in ((self._anchors, True), (self._pool, False)):
            # The key identifier is a hint only: it puts the likely ones first.
            for one in sorted(candidates.get(rough, ()), key=lambda one: aki is not None and one.ski != aki):
                if left == 0:
                    return
                left -= 1
                node = self._node(one)
                if node is not None and node.name == child.issuer:
                    yield node, is_root

    def _node(self, certificate: Certificate) -> _Node | None:
        if certificate.fingerprint not in self._nodes:
            self._nodes[certificate.fingerprint] = _node(certificate)
        return self._nodes[certificate.fingerprint]

    def _signed(self, child: _Node, issuer: _Node) -> bool:
        try:
            self._signatures.validate_signature(
                signature=child.asn1["signature_value"].native,
                signed_data=child.asn1["tbs_certificate"].dump(),
                public_key_info=issuer.asn1.public_key,
                signature_algorithm=child.asn1["signature_algorithm"],
            )
        except _BudgetSpentError:
            raise
        except Exception:  # noqa: BLE001 - asn1crypto reads late: whatever a hostile certificate provokes
            return False
        return True


def _same_authority(one: _Node, other: _Node) -> bool:
    return one.name == other.name and one.certificate.spki_der == other.certificate.spki_der


def _refuse(path: Sequence[_Node], moment: datetime, signatures: _CountedSignatures) -> ReasonCode | None:
    """Why the path is not valid, or None (RFC 5280 §6.1)."""
    if len(path) == 1:
        return None
    if not all(fits_email(node.certificate) for node in path[1:]):
        return ReasonCode.CERTIFICATE_WRONG_USAGE
    # The library takes an anchor as it is; one that is no authority, or is one for other purposes, issues nothing.
    root = path[-1].certificate
    if not root.is_ca or (root.key_usage is not None and "key_cert_sign" not in root.key_usage):
        return ReasonCode.CERTIFICATE_UNTRUSTED
    try:
        _check_names(path)
        asyncio.run(_validate(path, moment, signatures))
    except _BudgetSpentError:
        raise
    except ExpiredError:
        return ReasonCode.CERTIFICATE_EXPIRED
    except NotYetValidError:
        return ReasonCode.CERTIFICATE_NOT_YET_VALID
    except Exception as error:  # noqa: BLE001 - asn1crypto reads late: whatever a hostile certificate provokes
        _log.debug("path refused for %s: %s", path[0].certificate.fingerprint, type(error).__name__)
        return ReasonCode.CERTIFICATE_UNTRUSTED
    return None


def _check_names(path: Sequence[_Node]) -> None:
    """Raises for names that would cost too much to compare, or that name constraints do not reach."""
    constraints = comparisons = 0
    for node in reversed(path):
        comparisons += constraints * (1 + len(node.asn1.subject_alt_name_value or ()))
        limits = node.asn1.name_constraints_value
        if limits is not None:
            constraints += sum(len(limits[field] or ()) for field in ("permitted_subtrees", "excluded_subtrees"))
    if comparisons > MAX_NAME_COMPARISONS:
        raise ValueError("too many names under name constraints")
    if constraints and not all(email.isascii() for email in path[0].certificate.san_emails):
        # The library compares rfc822Name only, so an SmtpUTF8Mailbox would get round them (RFC 9598 §6).
        raise ValueError("an internationalised address under name constraints")


async def _validate(path: Sequence[_Node], moment: datetime, signatures: _CountedSignatures) -> None:
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
        signature_validator=signatures,
    )
    between = [node.asn1 for node in reversed(path[1:-1])]
    await async_validate_path(context, ValidationPath(anchor, between, path[0].asn1), PKIXValidationParams())


def _root_parameters(root: _Node) -> PKIXValidationParams | None:
    """The root's own name constraints bind too (RFC 5937)."""
    limits = root.asn1.name_constraints_value
    if limits is None:
        return None
    permitted, excluded = limits["permitted_subtrees"], limits["excluded_subtrees"]
    return PKIXValidationParams(
        initial_permitted_subtrees=process_general_subtrees(permitted) if permitted else None,
        initial_excluded_subtrees=process_general_subtrees(excluded) if excluded else None,
    )
