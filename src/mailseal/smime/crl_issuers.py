"""Who may sign CRLs for whom (RFC 5280 §6.3.3 (f)): the signers of CRLs have paths and revocation of their own.

The signer of a CRL may be the authority itself, another key of it, or another authority that the certificate names;
each is worth something only under a root, and only while no CRL revokes it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice

from mailseal.smime.certificate import Certificate, Revocation
from mailseal.smime.name import same_name
from mailseal.smime.path import FOREVER, valid_paths, with_revocation
from mailseal.smime.revocation import Crl, CrlSet, may_sign_crls

MAX_PATHS = 8
"""Looked at for one signer."""
MAX_ROUNDS = 16
"""CRL signers that answer for each other, one after the other."""

_Path = tuple[Certificate, ...]
_Bounds = Mapping[str, datetime]
"""Fingerprint of a root → until when a signer counts under it."""


def trusted_crls(
    crls: Iterable[Crl],
    authorities: Iterable[Certificate],
    roots: Iterable[Certificate],
    at: datetime,
    *,
    crl_grace: timedelta,
) -> CrlSet:
    """The CRLs that count at a time, partial ones too; raises CrlError for one that none of the authorities signed.

    `authorities` are known, and trusted only where they have a path to a root. CRLs dated in the future do not count.
    """
    anchors = tuple(roots)
    known = (*anchors, *authorities)
    built = CrlSet.build((one for one in crls if not one.is_premature(at)), known)
    paths = {signer: _paths(signer, known, anchors, at) for signer in {one.signer for one in built.lists}}
    trusted = CrlSet(tuple(one for one in built.lists if paths[one.signer]))
    # All are believed at first, so that a CRL can answer for its own signer; who is not good then goes.
    clears: Mapping[Certificate, _Bounds] = {
        signer: {path[-1].fingerprint: FOREVER for path in found} for signer, found in paths.items()
    }
    for _ in range(MAX_ROUNDS):
        current = CrlSet(trusted.lists, clears)
        before = clears
        clears = {signer: _bounds(found, current, at, crl_grace) for signer, found in paths.items()}
        if clears == before:
            return current
    return trusted


def _paths(
    signer: Certificate, known: Sequence[Certificate], roots: Sequence[Certificate], at: datetime
) -> tuple[_Path, ...]:
    """Of any certificate for the signer's name and key: it may have several."""
    return tuple(
        path
        for one in known
        if one.spki_sha256 == signer.spki_sha256
        and same_name(one.subject_der, signer.subject_der)
        and may_sign_crls(one)
        for path in islice(valid_paths(one, known, roots, at), MAX_PATHS)
    )


def _bounds(paths: Iterable[_Path], crls: CrlSet, at: datetime, grace: timedelta) -> _Bounds:
    bounds: dict[str, datetime] = {}
    for path in paths:
        verdict = with_revocation(path, crls, at, grace)
        if verdict.revocation is not Revocation.GOOD or verdict.valid_from > at:
            continue
        until = min(verdict.valid_until, verdict.revocation_until or FOREVER)
        # The grace is for CRLs that are late, and is added by whoever reads the bound.
        root = path[-1].fingerprint
        bounds[root] = max(until - grace, bounds.get(root, until - grace))
    return bounds
