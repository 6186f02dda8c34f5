"""OpenPGP certificates for the mail path: one query per address, key or issuer that the cache does not know."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mailseal.mail.address import Address
from mailseal.openpgp.certificate import PgpTrust, StoredPgpCertificate
from mailseal.openpgp.select import newest_first
from mailseal.store.lru import Lru
from mailseal.store.owners import owners_of_domain, with_places
from mailseal.store.pgp_domain_keys import DomainKey, certified_user_ids, domain_keys, domains_of
from mailseal.store.pgp_generate import signing_key_of
from mailseal.store.pgp_rows import PgpUse, parsed, seen, weight_of
from mailseal.store.private_keys import PrivateKeyMissingError, Sealing
from mailseal.store.row import utc_now
from mailseal.store.transaction import select

MAX_CERTIFICATES = 100
"""Looked at for one address."""
MAX_ISSUERS = 20
"""Looked at for one issuer of a signature: a key ID is short, and anybody can bind another's subkey."""

_COLUMNS = (
    "c.fingerprint, c.octets, c.trust, c.certified, c.disputed, c.provenance, c.subkey,"
    " (SELECT GROUP_CONCAT(k.fingerprint) FROM store_pgp_component k WHERE k.certificate_id = c.id AND k.bound = 1)"
)
_OF_OWNERS = (
    "SELECT u.owner, u.kind, :columns FROM store_pgp_use u JOIN store_pgp_certificate c ON c.id = u.certificate_id"
    " WHERE u.owner IN (:owners) LIMIT 101"
).replace(":columns", _COLUMNS)
# An address stays usable that strangers have made many candidates for: they come last.
_IS_STRANGE = "c.trust = 'candidate' AND c.certified = 0"
_BEST_OF_OWNERS = _OF_OWNERS.replace(
    " LIMIT 101",
    f" ORDER BY {_IS_STRANGE} AND u.kind <> '{PgpUse.PUBLISHED.value}', c.key_created DESC, c.id LIMIT 100",
)
_BY_FINGERPRINT = "SELECT :columns FROM store_pgp_certificate c WHERE c.fingerprint = %s".replace(":columns", _COLUMNS)
_BY_ISSUER = (
    (
        "SELECT :columns FROM store_pgp_component i JOIN store_pgp_certificate c ON c.id = i.certificate_id"
        # Whose primary key it is comes before those who have bound it: that anybody can do.
        " WHERE i.:name = %s ORDER BY :strange, i.fingerprint <> c.fingerprint, c.id LIMIT 20"
    )
    .replace(":columns", _COLUMNS)
    .replace(":strange", _IS_STRANGE)
)
_KEY_ID_DIGITS = 16
_HIDDEN = "0" * _KEY_ID_DIGITS


@dataclass(frozen=True, slots=True)
class _Row:
    fingerprint: str
    octets: bytes
    trust: str
    certified: int
    disputed: int
    provenance: str
    subkey: str
    held: str | None

    @property
    def may_be_certified(self) -> bool:
        return bool(self.certified) and self.trust == PgpTrust.CANDIDATE

    def seen(self, certified: frozenset[str] | None = None) -> StoredPgpCertificate:
        certificate = parsed(self.octets, disputed=bool(self.disputed))
        return seen(certificate, self.trust, self.provenance, self.subkey, self.held, certified=certified)


_Chosen = tuple[tuple[StoredPgpCertificate, ...], tuple[StoredPgpCertificate, ...]]
"""(to encrypt to, with a key) of one address."""


class StorePgpCertificates:
    """The port `PgpCertificates`. The caches are bounded: a mail worker stays small beside any number of addresses."""

    def __init__(self, sealing: Sealing, *, entries: int = 5_000, now: Callable[[], datetime] = utc_now) -> None:
        """`now`: as of when a domain key's certification counts."""
        self._sealing = sealing
        self._now = now
        self._of: Lru[str, _Chosen] = Lru(entries)
        self._by_fingerprint: Lru[str, StoredPgpCertificate] = Lru(entries)
        self._by_issuer: Lru[str, tuple[StoredPgpCertificate, ...]] = Lru(entries)

    def clear(self) -> None:
        """Forget what was read: the stamp `keys` changed."""
        for cache in self._caches():
            cache.clear()

    def _caches(self) -> Iterable[Lru[str, Any]]:
        return self._of, self._by_fingerprint, self._by_issuer

    def of_recipient(self, address: Address) -> Sequence[StoredPgpCertificate]:
        """As of the port; raises StoreUnavailable."""
        return self._chosen(address)[0]

    def with_key_of(self, address: Address) -> Sequence[StoredPgpCertificate]:
        """As of the port; raises StoreUnavailable."""
        return self._chosen(address)[1]

    def by_fingerprint(self, fingerprint: str) -> StoredPgpCertificate | None:
        """As of the port; raises StoreUnavailable."""
        known = self._by_fingerprint.get(fingerprint)
        if known is None:
            generation = self._by_fingerprint.generation
            rows = select(_BY_FINGERPRINT, (fingerprint,))
            if not rows:
                return None
            known = self._judged(_Row(*rows[0]))
            self._by_fingerprint.put(fingerprint, known, generation, _weight([known]))
        return known

    def by_issuer(self, issuer: str) -> Sequence[StoredPgpCertificate]:
        """As of the port, at most MAX_ISSUERS, candidates last; raises StoreUnavailable."""
        if issuer == _HIDDEN:
            return ()
        known = self._by_issuer.get(issuer)
        if known is None:
            generation = self._by_issuer.generation
            name = "key_id" if len(issuer) == _KEY_ID_DIGITS else "fingerprint"
            rows = select(_BY_ISSUER.replace(":name", name), (issuer,))
            known = tuple(self._judged(_Row(*row)) for row in rows)
            self._by_issuer.put(issuer, known, generation, _weight(known))
        return known

    def create(self, address: Address, at: datetime) -> StoredPgpCertificate:
        """As of the port; raises SealError and StoreUnavailable, both transient."""
        fingerprint = signing_key_of(address, self._sealing, at)
        self._of.drop(address.key)  # the other workers, and other addresses, learn it by the stamp
        found = self.by_fingerprint(fingerprint)
        if found is None:
            raise PrivateKeyMissingError("a key that was made a moment ago was deleted")
        return found

    def _judged(self, row: _Row) -> StoredPgpCertificate:
        if not row.may_be_certified:
            return row.seen()
        keys = domain_keys(domains_of(parsed(row.octets)))
        return row.seen(certified_user_ids(bytes(row.octets), keys, self._now()))

    def _chosen(self, address: Address) -> _Chosen:
        known = self._of.get(address.key)
        if known is None:
            generation, single = self._of.generation, self._by_fingerprint.generation
            owners = (address.key, *owners_of_domain(address.domain))
            found = select(with_places(_OF_OWNERS, len(owners)), owners)
            if len(found) > MAX_CERTIFICATES:
                found = select(with_places(_BEST_OF_OWNERS, len(owners)), owners)
            rows = [(owner, PgpUse(kind), _Row(*row)) for owner, kind, *row in found]
            known = _choose(address, rows, self._now())
            self._of.put(address.key, known, generation, _weight(known[0] + known[1]))
            # The same certificates are asked for by fingerprint a moment later.
            for _, _, row in rows:
                if not row.may_be_certified:
                    one = row.seen()
                    self._by_fingerprint.put(row.fingerprint, one, single, _weight([one]))
        return known


def _weight(found: Sequence[StoredPgpCertificate]) -> int:
    return weight_of(*(one.certificate for one in found))


def _choose(address: Address, rows: Sequence[tuple[str, PgpUse, _Row]], at: datetime) -> _Chosen:
    """Split one address's rows: SHARED certificates only open, a certificate found twice counts once."""
    keys = [
        DomainKey(owner, parsed(row.octets))
        for owner, kind, row in rows
        if kind is PgpUse.SELECTED and owner != address.key and row.trust == PgpTrust.TRUSTED
    ]
    own: dict[str, StoredPgpCertificate] = {}
    shared: dict[str, StoredPgpCertificate] = {}
    for _, kind, row in rows:
        if kind is PgpUse.SHARED:
            shared[row.fingerprint] = row.seen()
        elif row.fingerprint not in own:
            own[row.fingerprint] = row.seen(certified_user_ids(row.octets, keys, at) if row.may_be_certified else None)
    for _, kind, row in rows:
        if kind is PgpUse.SELECTED:
            own[row.fingerprint] = replace(own[row.fingerprint], selected=True)
        elif kind is PgpUse.PUBLISHED:
            own[row.fingerprint] = replace(own[row.fingerprint], own_domain=True)
    with_key = [one for one in (shared | own).values() if one.has_key]
    return tuple(newest_first(own.values())), tuple(newest_first(with_key))
