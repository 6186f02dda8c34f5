"""S/MIME certificates and keys for the mail path: one query per address that the cache does not know."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from mailseal.keys import PrivateKey
from mailseal.mail.address import Address
from mailseal.smime.certificate import Certificate, StoredCertificate
from mailseal.smime.path import MAX_PATH
from mailseal.smime.select import newest_first
from mailseal.store.certificate_rows import (
    VERDICT_COLUMNS,
    Purpose,
    Use,
    name_key,
    parsed,
    stored,
    verdict_from_row,
)
from mailseal.store.judging import judge
from mailseal.store.lru import Lru
from mailseal.store.owners import owners_of_domain, with_places
from mailseal.store.private_keys import Sealing, open_key
from mailseal.store.transaction import select

# A private key counts only where it is bound to the certificate, see models.CertificateRow.
_OF_OWNERS = (
    "SELECT u.kind, c.fingerprint, c.der, c.bound, c.capabilities, c.conflict, t.entry, :columns"
    " FROM store_certificate_use u JOIN store_certificate c ON c.id = u.certificate_id"
    " LEFT JOIN store_ctl t ON t.fingerprint = c.fingerprint"
    " WHERE u.owner IN (:owners) AND c.judged_at IS NOT NULL LIMIT 101"
).replace(":columns", VERDICT_COLUMNS)
# An address stays usable that strangers have made thousands of candidates for: they come last.
_BEST_OF_OWNERS = _OF_OWNERS.replace(
    " LIMIT 101", " ORDER BY c.candidate, c.trusted DESC, c.not_before DESC, c.id LIMIT 100"
)
_BY_FINGERPRINT = (
    "SELECT '', c.fingerprint, c.der, c.bound, c.capabilities, c.conflict, t.entry, :columns FROM store_certificate c"
    " LEFT JOIN store_ctl t ON t.fingerprint = c.fingerprint"
    " WHERE c.fingerprint = %s AND c.purpose = %s AND c.judged_at IS NOT NULL"
).replace(":columns", VERDICT_COLUMNS)
# The + keeps SQLite, which has no statistics, from reading all intermediates by the index of purposes.
_ISSUERS = (
    "SELECT fingerprint, der FROM store_certificate WHERE subject_sha256 = %s AND +purpose = %s AND candidate = 0"
    " ORDER BY not_before DESC LIMIT 20"
)
_CTL = "SELECT entry FROM store_ctl WHERE fingerprint = %s"

MAX_CERTIFICATES = 100
"""Looked at for one address."""

K = TypeVar("K")
V = TypeVar("V")

_Chosen = tuple[tuple[StoredCertificate, ...], tuple[StoredCertificate, ...]]
"""(to encrypt to, with a key) of one address."""


class StoreCertificates:
    """The port `Certificates`. The caches are bounded so that a mail worker stays small beside any number of addresses:
    3 KB for an entry, 9 KB for an opened RSA-2048 key that has signed.
    """

    def __init__(self, sealing: Sealing, *, entries: int = 5_000, opened_keys: int = 2_000) -> None:
        self._sealing = sealing
        self._of: Lru[str, _Chosen] = Lru(entries)
        self._by_fingerprint: Lru[str, StoredCertificate] = Lru(entries)
        self._chains: Lru[tuple[str, bytes | None], tuple[bytes, ...]] = Lru(1000)
        self._keys: Lru[str, PrivateKey] = Lru(opened_keys, max_age_seconds=3600.0)
        self._judged: Lru[tuple[str, frozenset[str]], StoredCertificate] = Lru(2000)

    def clear(self) -> None:
        """Forget what was read, opened keys too: the stamp `keys` changed."""
        for cache in self._caches():
            cache.clear()

    def _caches(self) -> Iterable[Lru[Any, Any]]:
        return self._of, self._by_fingerprint, self._chains, self._keys, self._judged

    def of_recipient(self, address: Address) -> Sequence[StoredCertificate]:
        """As of the port; raises StoreUnavailable."""
        return self._chosen(address)[0]

    def with_key_of(self, address: Address) -> Sequence[StoredCertificate]:
        """As of the port; raises StoreUnavailable."""
        return self._chosen(address)[1]

    def by_fingerprint(self, fingerprint: str) -> StoredCertificate | None:
        """One end-entity certificate; None also for a candidate that the worker has not judged yet."""
        known = self._by_fingerprint.get(fingerprint)
        if known is None:
            generation = self._by_fingerprint.generation
            rows = select(_BY_FINGERPRINT, (fingerprint, Purpose.END_ENTITY.value))
            if not rows:
                return None
            known = _from_row(rows[0])[1]
            self._by_fingerprint.put(fingerprint, known, generation)
        return known

    def chain(self, certificate: Certificate) -> Sequence[bytes]:
        """As of the port: the issuers' certificates by name and key identifier, not the root."""
        # Certificates of one CA share the entry.
        asked = (certificate.issuer, certificate.aki)
        return _through(self._chains, asked, lambda: chain_above(certificate))

    def private_key(self, spki_sha256: str) -> PrivateKey:
        """As of the port; raises SealError and StoreUnavailable, both transient."""
        return _through(self._keys, spki_sha256, lambda: open_key(spki_sha256, self._sealing))

    def judge(self, certificate: Certificate, others: Sequence[Certificate], at: datetime) -> StoredCertificate:
        """As of the port. What was judged is kept for a minute, for the same certificate with the same company."""
        asked = (certificate.fingerprint, frozenset(one.fingerprint for one in others))

        def compute() -> StoredCertificate:
            entry = select(_CTL, (certificate.fingerprint,))
            verdict = judge(certificate, others, at)
            return stored(certificate, verdict, entry[0][0] if entry else None, has_key=False)

        return _through(self._judged, asked, compute)

    def _chosen(self, address: Address) -> _Chosen:
        known = self._of.get(address.key)
        if known is None:
            generation, single = self._of.generation, self._by_fingerprint.generation
            owners = (address.key, *owners_of_domain(address.domain))
            found = select(with_places(_OF_OWNERS, len(owners)), owners)
            if len(found) > MAX_CERTIFICATES:
                found = select(with_places(_BEST_OF_OWNERS, len(owners)), owners)
            rows = [_from_row(row) for row in found]
            known = _choose(rows)
            self._of.put(address.key, known, generation)
            # The same certificates are asked for by fingerprint a moment later.
            for _, one in rows:
                self._by_fingerprint.put(one.certificate.fingerprint, one, single)
        return known


def _through(cache: Lru[K, V], key: K, read: Callable[[], V]) -> V:
    value = cache.get(key)
    if value is None:
        generation = cache.generation
        value = read()
        cache.put(key, value, generation)
    return value


def _from_row(row: tuple[Any, ...]) -> tuple[str, StoredCertificate]:
    kind, fingerprint, der, bound, told, conflict, entry, *verdict = row
    certificate = parsed(fingerprint, der)
    return kind, stored(
        certificate, verdict_from_row(*verdict), entry, has_key=bool(bound), told=told, conflict=bool(conflict)
    )


def _choose(rows: Sequence[tuple[str, StoredCertificate]]) -> _Chosen:
    """Split one address's rows: SHARED certificates only open, a certificate found twice counts once."""
    if len(rows) == 1 and rows[0][0] in {Use.SAN, Use.SUBJECT}:
        one = rows[0][1]
        return (one,), (one,) if one.has_key else ()
    own: dict[str, StoredCertificate] = {}
    shared: dict[str, StoredCertificate] = {}
    for kind, one in rows:
        fingerprint = one.certificate.fingerprint
        if kind == Use.SELECTED:
            own[fingerprint] = replace(one, selected=True)
        elif kind == Use.SHARED:
            shared[fingerprint] = one
        else:
            own.setdefault(fingerprint, one)
    with_key = [one for one in (shared | own).values() if one.has_key]
    return tuple(newest_first(own.values())), tuple(newest_first(with_key))


def chain_above(certificate: Certificate) -> tuple[bytes, ...]:
    """As `StoreCertificates.chain`, looked up anew."""
    chain: dict[str, bytes] = {}
    while len(chain) < MAX_PATH:
        rows = select(_ISSUERS, (name_key(certificate.issuer), Purpose.INTERMEDIATE.value))
        found = [parsed(fingerprint, der) for fingerprint, der in rows]
        fitting = [one for one in found if certificate.aki is None or one.ski is None or one.ski == certificate.aki]
        # A self-signed certificate is a root that nobody has trusted; a name seen before would be a loop.
        above = next((one for one in fitting if one.issuer != one.subject and one.fingerprint not in chain), None)
        if above is None:
            break
        chain[above.fingerprint] = above.der
        certificate = above
    return tuple(chain.values())
