"""The search for certification paths: breadth first, only along signatures that verify, at a cost that is counted.

Whether a path found is valid is `path`'s affair. Whoever sends a mail chooses what is searched: many authorities of
one name, circles, cliques that certify each other, keys that are slow to use.
"""

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from asn1crypto import keys
from asn1crypto import x509 as asn1
from pyhanko_certvalidator.sig_validate import DEFAULT_SIGNATURE_VALIDATOR

from mailseal.smime.certificate import Certificate, public_key
from mailseal.smime.name import letters_of, normalised
from mailseal.smime.strict import SEQUENCE, DerError, elements, only

MAX_ISSUERS = 10
"""Candidates looked at for one certificate's issuer."""
MAX_PATH = 8
"""Certificates in a path, root included."""
MAX_SIGNATURE_CHECKS = 50
MAX_STEPS = 200
MAX_OCTETS = 65_536
"""Of one certificate on a path."""

_log = logging.getLogger(__name__)
_Candidates = dict[str, list[Certificate]]


class BudgetSpentError(Exception):
    """The search has cost as much as it may; what has been found until then counts."""


@dataclass(frozen=True, slots=True)
class Node:
    """A certificate in both forms. `name` and `issuer` are normalised for comparison (RFC 5280 §7.1).

    `signed` and `signature` are the octets of the certificate itself: once the library has looked at some certificates
    (with a unique identifier), it writes them differently than it read them.
    """

    certificate: Certificate
    asn1: Any
    name: str
    issuer: str
    signed: bytes
    signature: bytes


def node(certificate: Certificate) -> Node | None:
    """The certificate as it stands on a path; None if it cannot stand on any."""
    der = certificate.der
    if len(der) > MAX_OCTETS:
        return None
    try:
        tbs, _, signature = elements(der, *only(der, 0, len(der), SEQUENCE))
        return Node(
            certificate,
            asn1.Certificate.load(der, strict=True),
            normalised(certificate.subject_der),
            normalised(certificate.issuer_der),
            der[tbs[1] : tbs[3]],
            der[signature[2] + 1 : signature[3]],
        )
    except (DerError, ValueError, TypeError):
        _log.debug("a certificate cannot be used in a path: %s", certificate.fingerprint)
        return None


class Signatures:
    """Checks each signature once, and no more than the budget allows."""

    def __init__(self) -> None:
        self.checks = 0
        self._known: dict[tuple[str, str], bool] = {}

    def hold(self, child: Node, issuer: Node) -> bool:
        """Whether the issuer's key signed the child; raises BudgetSpentError."""
        asked = child.certificate.fingerprint, issuer.certificate.spki_sha256
        if asked not in self._known:
            if self.checks >= MAX_SIGNATURE_CHECKS:
                raise BudgetSpentError
            self.checks += 1
            self._known[asked] = _signed(child, issuer)
        return self._known[asked]


def _signed(child: Node, issuer: Node) -> bool:
    try:
        public_key(issuer.certificate)  # refuses what is slow to use before it is used
        DEFAULT_SIGNATURE_VALIDATOR.validate_signature(
            signature=child.signature,
            signed_data=child.signed,
            public_key_info=keys.PublicKeyInfo.load(issuer.certificate.spki_der, strict=True),
            signature_algorithm=child.asn1["signature_algorithm"],
        )
    except Exception:  # noqa: BLE001 - whatever a hostile certificate provokes, the signature is not good
        return False
    return True


class Search:
    """From the leaf up, so that a short honest path is found before long dishonest ones."""

    def __init__(self, pool: Iterable[Certificate], anchors: Iterable[Certificate], signatures: Signatures) -> None:
        self._pool = _by_name(pool)
        self._anchors = _by_name(anchors)
        self._signatures = signatures
        self._nodes: dict[str, Node | None] = {}
        self._steps = 0

    def paths(self, leaf: Node) -> Iterator[tuple[Node, ...]]:
        """Leaf first, root last; every signature on the way verifies. Raises BudgetSpentError."""
        if leaf.certificate in self._anchors.get(letters_of(leaf.certificate.subject), ()):
            yield (leaf,)
            return
        waiting: deque[tuple[Node, ...]] = deque([(leaf,)])
        while waiting:
            path = waiting.popleft()
            for issuer, is_root in self._issuers(path[-1]):
                self._steps += 1
                if self._steps > MAX_STEPS:
                    raise BudgetSpentError
                if any(_same_authority(issuer, one) for one in path) or not self._signatures.hold(path[-1], issuer):
                    continue
                if is_root:
                    yield (*path, issuer)
                elif len(path) + 2 <= MAX_PATH:
                    waiting.append((*path, issuer))

    def _issuers(self, child: Node) -> Iterator[tuple[Node, bool]]:
        rough, aki = letters_of(child.certificate.issuer), child.certificate.aki
        left = MAX_ISSUERS
        for candidates, is_root in ((self._anchors, True), (self._pool, False)):
            for one in islice(_likely_first(candidates.get(rough, ()), aki), left):
                left -= 1
                found = self._node(one)
                if found is not None and found.name == child.issuer:
                    yield found, is_root

    def _node(self, certificate: Certificate) -> Node | None:
        if certificate.fingerprint not in self._nodes:
            self._nodes[certificate.fingerprint] = node(certificate)
        return self._nodes[certificate.fingerprint]


def _by_name(certificates: Iterable[Certificate]) -> _Candidates:
    """Candidates by a key that equal names share: cheap, so that thousands may be handed in."""
    found: _Candidates = {}
    for one in certificates:
        found.setdefault(letters_of(one.subject), []).append(one)
    return found


def _likely_first(candidates: Iterable[Certificate], aki: bytes | None) -> Iterator[Certificate]:
    """The key identifier is a hint only."""
    if aki is None:
        return iter(candidates)
    some = list(candidates)
    return chain((one for one in some if one.ski == aki), (one for one in some if one.ski != aki))


def _same_authority(one: Node, other: Node) -> bool:
    return one.name == other.name and one.certificate.spki_der == other.certificate.spki_der
