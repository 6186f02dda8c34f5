"""Domain keys: what the trusted key that was chosen for a domain has certified of its addresses is trusted, too.

A certification counts only for user IDs with an address of that domain, and only while the domain key is trusted,
chosen for the domain, and alive.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from mailseal.openpgp.certificate import PgpCertificate, PgpTrust
from mailseal.openpgp.certifiers import certified_by
from mailseal.openpgp.component import UserId
from mailseal.store.owners import owners_of_domain, with_places
from mailseal.store.pgp_rows import PgpUse, parsed
from mailseal.store.transaction import select

MAX_DOMAINS = 32
"""Of one certificate, whose word about it is looked for: each may have a hundred wildcards above it."""
_OWNERS_PER_QUERY = 400
_OF_DOMAINS = (
    "SELECT u.owner, c.octets FROM store_pgp_use u JOIN store_pgp_certificate c ON c.id = u.certificate_id"
    " WHERE u.owner IN (:owners) AND u.kind = %s AND c.trust = %s"
)


@dataclass(frozen=True, slots=True)
class DomainKey:
    """A trusted certificate that was chosen for `owner`, a domain or a wildcard."""

    owner: str
    certificate: PgpCertificate


def domain_keys(domains: Iterable[str]) -> tuple[DomainKey, ...]:
    """Those of these domains and of the wildcards above them, however many these are; raises StoreUnavailable."""
    owners = sorted({owner for domain in domains for owner in owners_of_domain(domain)})
    found: list[DomainKey] = []
    for start in range(0, len(owners), _OWNERS_PER_QUERY):
        some = owners[start : start + _OWNERS_PER_QUERY]
        rows = select(with_places(_OF_DOMAINS, len(some)), (*some, PgpUse.SELECTED.value, PgpTrust.TRUSTED.value))
        found += (DomainKey(owner, parsed(octets)) for owner, octets in rows)
    return tuple(found)


def domains_of(certificate: PgpCertificate) -> frozenset[str]:
    """The domains of its user IDs, of the first ones if they are many."""
    named = (one.address.domain for one in certificate.user_ids if one.address is not None)
    return frozenset(islice(dict.fromkeys(named), MAX_DOMAINS))


def certifiers(keys: Collection[DomainKey]) -> tuple[PgpCertificate, ...]:
    """Each certificate once, in an order that does not depend on that of the rows."""
    found = {one.certificate.fingerprint: one.certificate for one in keys}
    return tuple(found[name] for name in sorted(found))


def relevant(domains: Iterable[str], keys: Iterable[DomainKey]) -> tuple[DomainKey, ...]:
    """Those whose word counts for an address of one of the domains."""
    owners = {owner for domain in domains for owner in owners_of_domain(domain)}
    return tuple(one for one in keys if one.owner in owners)


def certified_user_ids(octets: bytes, keys: Sequence[DomainKey], at: datetime) -> frozenset[str] | None:
    """The texts of the user IDs that one of the domain keys vouches for at that time; None: of none."""
    counting = relevant(domains_of(parsed(octets)), keys) if keys else ()
    if not counting:
        return None
    certificate = parsed(octets, certifiers(counting))
    found = frozenset(one.text for one in certificate.user_ids if _is_certified(certificate, one, counting, at))
    return found or None


def _is_certified(certificate: PgpCertificate, user_id: UserId, keys: Sequence[DomainKey], at: datetime) -> bool:
    if user_id.address is None or not user_id.certifications:
        return False
    owners = owners_of_domain(user_id.address.domain)
    return any(key.owner in owners and certified_by(certificate, user_id, key.certificate, at) for key in keys)
