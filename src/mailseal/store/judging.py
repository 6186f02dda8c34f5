"""Judging a certificate with what the store knows: CA certificates, roots, verified CRLs, CTL (RFC 5280 §6)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from mailseal.smime.certificate import Certificate, CtlEntry, Revocation, Verdict
from mailseal.smime.path import MAX_PATH, validate
from mailseal.store.certificate_rows import Purpose, name_key, parsed, serial_text
from mailseal.store.owners import with_places
from mailseal.store.transaction import select

CRL_GRACE = timedelta(days=7)
"""How long a CRL past its nextUpdate still counts."""
MAX_AUTHORITIES = 60
"""CA certificates fetched for one step up; candidates come last, so that nobody can crowd out the real ones."""

_AUTHORITIES = (
    "SELECT c.fingerprint, c.der, c.purpose FROM store_certificate c"
    " LEFT JOIN store_ctl t ON t.fingerprint = c.fingerprint AND t.entry = %s"
    " WHERE c.subject_sha256 IN (:owners) AND c.purpose <> %s AND t.id IS NULL"
    " ORDER BY c.candidate, c.not_before DESC LIMIT 60"
)
_DENIED = "SELECT fingerprint FROM store_ctl WHERE entry = %s AND fingerprint IN (:owners)"
_STATUS = (
    "SELECT l.signer_spki, l.next_update, e.serial FROM store_crl l"
    " LEFT JOIN store_crl_entry e ON e.crl_id = l.id AND e.serial = %s"
    " WHERE l.issuer_sha256 = %s AND l.active = %s ORDER BY l.this_update DESC LIMIT 100"
)


class StoreRevocations:
    """The Protocol `smime.revocation.Revocations` over the rows of imported CRLs."""

    def status(self, path: Sequence[Certificate]) -> tuple[Revocation, datetime | None]:
        """As of the Protocol: a list of the same name by any key revokes, only one by the same key makes good."""
        certificate, issuer = path[0], path[1]
        rows = select(_STATUS, (serial_text(certificate.serial), name_key(issuer.subject), 1))
        found: tuple[Revocation, datetime | None] = Revocation.UNKNOWN, None
        for signer, next_update, listed in rows:
            bound = None if next_update is None else next_update.replace(tzinfo=UTC)
            if listed is not None:
                return Revocation.REVOKED, bound
            if signer == issuer.spki_sha256 and found[0] is Revocation.UNKNOWN:
                found = Revocation.GOOD, bound
        return found


def judge(certificate: Certificate, others: Iterable[Certificate], at: datetime) -> Verdict:
    """The verdict at a time; `others` are CA certificates that came along. About 8 ms; raises StoreUnavailable."""
    along: dict[str, list[Certificate]] = {}
    for one in _not_denied([one for one in others if one.is_ca][:MAX_AUTHORITIES]):
        along.setdefault(name_key(one.subject), []).append(one)
    roots, intermediates = authorities(certificate, along)
    return validate(certificate, intermediates, roots, StoreRevocations(), at, crl_grace=CRL_GRACE)


def _not_denied(certificates: Sequence[Certificate]) -> list[Certificate]:
    if not certificates:
        return []
    names = [one.fingerprint for one in certificates]
    denied = {row[0] for row in select(with_places(_DENIED, len(names)), (CtlEntry.DENY.value, *names))}
    return [one for one in certificates if one.fingerprint not in denied]


def authorities(
    certificate: Certificate, along: Mapping[str, Sequence[Certificate]]
) -> tuple[list[Certificate], list[Certificate]]:
    """(roots, intermediates) that a path of the certificate can lead through, step by step up the issuers' names."""
    roots: dict[str, Certificate] = {}
    intermediates: dict[str, Certificate] = {}
    # Its own name too: a certificate that is a root itself is its own path.
    wanted = {name_key(certificate.issuer), name_key(certificate.subject)}
    seen: set[str] = set()
    for _ in range(MAX_PATH):
        wanted -= seen
        if not wanted or len(seen) > MAX_AUTHORITIES:
            break
        seen |= wanted
        found: list[Certificate] = []
        names = sorted(wanted)
        for fingerprint, der, purpose in select(
            with_places(_AUTHORITIES, len(names)), (CtlEntry.DENY.value, *names, Purpose.END_ENTITY.value)
        ):
            one = parsed(fingerprint, der)
            (roots if purpose == Purpose.ROOT else intermediates)[fingerprint] = one
            found.append(one)
        for name in names:
            for one in along.get(name, ()):
                intermediates.setdefault(one.fingerprint, one)
                found.append(one)
        wanted = {name_key(one.issuer) for one in found}
    return list(roots.values()), list(intermediates.values())
