"""OpenPGP certificates into rows: new ones, and what is new of known ones; whoever brings them.

Trust is of a certificate with its user IDs. So one that is trusted takes new subkeys, self-signatures and revocations
from anywhere, since its own primary key has signed them, but no new user ID unless an administrator vouches for it: or
whoever holds one trusted key could have it stand for anybody's address. One that becomes trusted by what an
administrator brings loses those that it was seen with elsewhere.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from mailseal.keys import PrivateKey
from mailseal.openpgp import edit
from mailseal.openpgp.certificate import PgpCertificate, PgpTrust, read_certificate
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.key import PublicKey
from mailseal.store import private_keys
from mailseal.store.addresses import remember
from mailseal.store.pgp_conflicts import mark_conflicts
from mailseal.store.pgp_domain_keys import DomainKey, certified_user_ids, certifiers, domain_keys, domains_of, relevant
from mailseal.store.pgp_models import PgpCertificateRow, PgpComponentRow, PgpUseRow
from mailseal.store.pgp_rows import PgpUse, Provenance, address_keys, columns, findable, parsed
from mailseal.store.private_keys import Sealing
from mailseal.store.row import utc_now
from mailseal.store.transaction import read

MAX_NAMED = 3

SecretKey = tuple[PublicKey, PrivateKey]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A certificate that somebody brings. `octets`: as it came, with what others have certified in it.

    `vouched`: by an administrator, or by a rule that one has set. `keys`: its secret keys, validated; whose secret key
    we hold is ours, and trusted.
    """

    octets: bytes = field(repr=False)
    certificate: PgpCertificate
    provenance: str
    vouched: bool = False
    keys: tuple[SecretKey, ...] = field(default=(), repr=False)

    @property
    def fingerprint(self) -> str:
        """Of the certificate."""
        return self.certificate.fingerprint

    @property
    def is_trusted(self) -> bool:
        """Unless it is known and distrusted."""
        return self.vouched or bool(self.keys)


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of an arrival. `counts`: it is no mere candidate, so mail may use it. `notes` are for its bringer."""

    fingerprint: str
    new: bool = False
    changed: bool = False
    counts: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """An arrival, and what takes time done already: `merged` is the outcome with a row that holds `known`."""

    arrival: Arrival
    certificate: PgpCertificate
    domain_keys: tuple[DomainKey, ...]
    known: "_State | None" = None
    merged: "_Merged | None" = None

    @property
    def certifiers(self) -> tuple[PgpCertificate, ...]:
        """Whose certifications are kept in it."""
        return certifiers(self.domain_keys)


@dataclass(frozen=True, slots=True)
class _State:
    """What a merge depends on of a row."""

    octets: bytes
    trust: str


@dataclass(frozen=True, slots=True)
class _Merged:
    certificate: PgpCertificate
    notes: tuple[str, ...] = ()


def prepare(arrivals: Sequence[Arrival]) -> list[Prepared]:
    """Look for domain keys and known rows, and merge; outside of a transaction. Raises StoreUnavailable."""
    rows = PgpCertificateRow.objects.filter(fingerprint__in=[one.fingerprint for one in arrivals])
    states = {row.fingerprint: _state(row) for row in read(lambda: list(rows.only("fingerprint", "octets", "trust")))}
    keys = domain_keys(domain for one in arrivals for domain in _domains(one, states.get(one.fingerprint)))
    return [_prepared(one, keys, states.get(one.fingerprint)) for one in arrivals]


def _domains(arrival: Arrival, known: _State | None) -> frozenset[str]:
    """Of what arrives and of what is known: a copy without a user ID takes no certification of it away."""
    return domains_of(arrival.certificate) | (domains_of(parsed(known.octets)) if known is not None else frozenset())


def _prepared(arrival: Arrival, keys: Iterable[DomainKey], known: _State | None) -> Prepared:
    counting = relevant(_domains(arrival, known), keys)
    certificate = read_certificate(arrival.octets, certifiers(counting)) if counting else arrival.certificate
    ready = Prepared(arrival, certificate, counting)
    return ready if known is None else replace(ready, known=known, merged=_merge(ready, known))


def _up_to_date(one: Prepared, known: _State) -> Prepared:
    """As it was prepared, or anew if the row has changed since."""
    if one.known == known:
        return one
    return _prepared(one.arrival, domain_keys(_domains(one.arrival, known)), known)


def _state(row: PgpCertificateRow) -> _State:
    return _State(bytes(row.octets), row.trust)


def _merge(one: Prepared, known: _State) -> _Merged:
    """The known certificate with what is new of an arrival, or the other way round: the first is always whole."""
    if one.certificate.octets == known.octets:
        return _Merged(one.certificate)
    old = parsed(known.octets, one.certifiers)
    base, other, new_user_ids = _vouched_first(one, known)
    try:
        octets = edit.merge(base, other, new_user_ids=new_user_ids, certifiers=one.certifiers)
        certificate = parsed(octets, one.certifiers)
    except PgpError as error:
        less = "what is new of it" if base is known.octets else "what was known of it"
        return _Merged(parsed(base, one.certifiers), (f"it is known, and {less} was left out: {error}",))
    taken = {user_id.text for user_id in certificate.user_ids}
    both = (*one.certificate.user_ids, *old.user_ids)
    missing = [user_id.text for user_id in both if user_id.bindings and user_id.text not in taken]
    return _Merged(certificate, _left_out(missing))


def _vouched_first(one: Prepared, known: _State) -> tuple[bytes, bytes, Collection[str] | None]:
    """The two copies, and the user IDs that the second may add to the first; None: any, of a candidate.

    Who trusts a file has looked at that, not at what a stranger may have sent before: of a candidate's user IDs only
    those stay for which a domain key vouches.
    """
    if not one.arrival.is_trusted:
        return known.octets, one.certificate.octets, None if known.trust == PgpTrust.CANDIDATE else ()
    if known.trust != PgpTrust.CANDIDATE:
        return known.octets, one.certificate.octets, None
    return one.certificate.octets, known.octets, certified_user_ids(known.octets, one.domain_keys, utc_now()) or ()


def _left_out(texts: Sequence[str]) -> tuple[str, ...]:
    if not texts:
        return ()
    more = f" and {len(texts) - MAX_NAMED} more" if len(texts) > MAX_NAMED else ""
    named = ", ".join(texts[:MAX_NAMED])
    return (f"it is trusted, so user IDs were left out that nobody vouches for: {named}{more}",)


def keep(prepared: Sequence[Prepared], sealing: Sealing | None, at: datetime) -> list[Kept]:
    """Store them, in the caller's transaction; one Kept for each. `sealing` is needed for secret keys."""
    rows = _locked(one.arrival.fingerprint for one in prepared)
    fresh: dict[str, PgpCertificateRow] = {}
    for one in prepared:
        name = one.arrival.fingerprint
        if name not in rows and name not in fresh:
            fresh[name] = _row(one, at)
    PgpCertificateRow.objects.bulk_create(fresh.values(), ignore_conflicts=True)
    # Another process may have stored one of them in this moment: its row has another key.
    after = _locked(fresh)
    new = {name for name, row in fresh.items() if after[name].pk == row.pk}
    batch = _Batch(rows | after, new, sealing, at)
    kept = [batch.keep(one) for one in prepared]
    batch.finish()
    return kept


def _locked(fingerprints: Iterable[str]) -> dict[str, PgpCertificateRow]:
    names = list(fingerprints)
    if not names:
        return {}
    rows = PgpCertificateRow.objects.select_for_update().filter(fingerprint__in=names)
    return {row.fingerprint: row for row in rows}


def _row(one: Prepared, at: datetime) -> PgpCertificateRow:
    trust = PgpTrust.TRUSTED if one.arrival.is_trusted else PgpTrust.CANDIDATE
    return PgpCertificateRow(
        fingerprint=one.arrival.fingerprint,
        trust=trust.value,
        provenance=one.arrival.provenance,
        **_values(one.certificate, one.domain_keys, at),
    )


def _values(certificate: PgpCertificate, keys: Sequence[DomainKey], at: datetime) -> dict[str, Any]:
    certified = certified_user_ids(certificate.octets, keys, at) is not None
    return columns(certificate, at) | {"certified": certified}


def put(row: PgpCertificateRow, octets: bytes, at: datetime) -> None:
    """Have a locked row hold a changed certificate of ours instead of what it holds, in the caller's transaction."""
    keys = domain_keys(domains_of(read_certificate(octets)))
    certificate = read_certificate(octets, certifiers(keys))
    values = _values(certificate, keys, at) | {"updated": at}
    for name, value in values.items():
        setattr(row, name, value)
    row.save(update_fields=list(values))
    batch = _Batch({}, set(), None, at)
    batch.index(row, certificate, ())
    batch.finish()


class _Batch:
    """One transaction's work over rows that are locked."""

    def __init__(
        self, rows: Mapping[str, PgpCertificateRow], new: set[str], sealing: Sealing | None, at: datetime
    ) -> None:
        self._rows = rows
        self._new = new
        self._sealing = sealing
        self._at = at
        self._components: list[PgpComponentRow] = []
        self._uses: list[PgpUseRow] = []
        self._held: list[tuple[PgpCertificateRow, list[str]]] = []
        self._of_known: dict[str, None] = {}
        self._of_candidates: dict[str, list[str]] = {}

    def keep(self, one: Prepared) -> Kept:
        """One arrival."""
        name = one.arrival.fingerprint
        row, is_new = self._rows[name], name in self._new
        self._new.discard(name)  # the second in one batch meets the first
        notes: tuple[str, ...] = ()
        certificate, changed = one.certificate, is_new
        if not is_new:
            one = _up_to_date(one, _state(row))
            assert one.merged is not None
            certificate, notes = one.merged.certificate, one.merged.notes
            changed = self._update(row, one, certificate)
        if changed or one.arrival.keys:
            self.index(row, certificate, one.arrival.keys)
        if row.trust == PgpTrust.DISTRUSTED and one.arrival.is_trusted:
            notes = (*notes, "it stays distrusted until `mailseal pgp trust`")
        counts = row.trust != PgpTrust.CANDIDATE or row.certified
        return Kept(name, is_new, changed and not is_new, counts, notes)

    def _update(self, row: PgpCertificateRow, one: Prepared, certificate: PgpCertificate) -> bool:
        """Whether the row changed."""
        values: dict[str, Any] = {}
        arrival = one.arrival
        if certificate.octets != bytes(row.octets) or certificate.disputed is not row.disputed:
            values |= _values(certificate, one.domain_keys, self._at) | {"updated": self._at}
        if row.trust == PgpTrust.CANDIDATE and arrival.is_trusted:
            values |= {"trust": PgpTrust.TRUSTED.value, "conflict": False}
            named = PgpUseRow.objects.filter(certificate=row, kind=PgpUse.USER_ID.value)
            named.exclude(owner__in=address_keys(certificate)).delete()
        elif row.trust == PgpTrust.CANDIDATE and _is_imported(arrival.provenance) and not _is_imported(row.provenance):
            # Strangers cannot push it out any more, nor does it end with their candidates.
            values["provenance"] = Provenance.IMPORT.with_source(f"(seen before: {row.provenance})")
        if not values:
            return False
        for name, value in values.items():
            setattr(row, name, value)
        row.save(update_fields=list(values))
        return True

    def index(self, row: PgpCertificateRow, certificate: PgpCertificate, secret: Sequence[SecretKey]) -> None:
        """What it is found by, and its secret keys."""
        held = [public.fingerprint for public, _ in secret]
        for public, key in secret:
            assert self._sealing is not None
            private_keys.keep(key, public.spki_sha256, public.name, self._sealing)
        self._held.append((row, held))
        self._components += [component_row(row, one.public) for one in findable(certificate, held)]
        keys = address_keys(certificate)
        self._uses += [PgpUseRow(certificate=row, owner=key, kind=PgpUse.USER_ID.value) for key in keys]
        if row.trust == PgpTrust.CANDIDATE:
            self._of_candidates[row.fingerprint] = keys
        else:
            self._of_known |= dict.fromkeys(keys)

    def finish(self) -> None:
        """Write what was gathered."""
        PgpComponentRow.objects.bulk_create(self._components, ignore_conflicts=True)
        for row, held in self._held:
            if held:
                PgpComponentRow.objects.filter(certificate=row, fingerprint__in=held).update(bound=True)
        PgpUseRow.objects.bulk_create(self._uses, ignore_conflicts=True)
        remember(self._of_known)
        mark_conflicts(self._of_candidates, self._at)


def _is_imported(provenance: str) -> bool:
    return provenance.startswith(Provenance.IMPORT.value)


def component_row(row: PgpCertificateRow, public: PublicKey) -> PgpComponentRow:
    """Not bound."""
    return PgpComponentRow(
        certificate=row, fingerprint=public.fingerprint, key_id=public.key_id, spki_sha256=public.spki_sha256
    )
