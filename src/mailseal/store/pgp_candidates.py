"""OpenPGP keys that mail and look-ups bring: candidates, bounded, and what is new of keys that are known.

A candidate is used for nothing until an administrator, a domain key's certification or a setting (for what the
address's own domain publishes) makes it usable. It is in conflict when its address has a trusted key already.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet

from mailseal.mail.address import Address
from mailseal.openpgp.certificate import PgpTrust, read_certificate
from mailseal.openpgp.errors import PgpError
from mailseal.policy.model import Harvest
from mailseal.store.pace import Turn
from mailseal.store.pgp_keep import Arrival, Prepared, keep, prepare
from mailseal.store.pgp_models import PgpCertificateRow, PgpUseRow
from mailseal.store.pgp_rows import PgpUse, Provenance, address_keys
from mailseal.store.purge import delete_all, delete_those
from mailseal.store.row import utc_now
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import run

MAX_CANDIDATES = 200_000
MAX_CANDIDATES_PER_ADDRESS = 20
# What an administrator has imported, a domain key certified or a domain publishes is nobody's to push out.
_OF_STRANGERS = Q(trust=PgpTrust.CANDIDATE.value, certified=False) & ~Q(provenance__startswith=Provenance.IMPORT.value)
_PUBLISHED = PgpUseRow.objects.filter(certificate=OuterRef("pk"), kind=PgpUse.PUBLISHED.value)


def prepare_harvest(harvested: Iterable[Harvest]) -> list[Prepared]:
    """Read what mail has brought, outside of a transaction; what cannot be read is left out. StoreUnavailable."""
    arrivals = []
    for octets, source in {one.der: one.source for one in harvested}.items():
        try:
            arrivals.append(Arrival(octets, read_certificate(octets), Provenance.MAIL.with_source(source)))
        except PgpError:
            continue
    return prepare(arrivals) if arrivals else []


def insert_candidates(prepared: Sequence[Prepared], *, at: datetime | None = None) -> int:
    """Store what is welcome, in the caller's transaction; returns how many are new."""
    moment = at or utc_now()
    kept = keep(_welcome(prepared), None, moment) if prepared else []
    if any(one.counts and one.changed for one in kept):
        bump(Scope.KEYS)
    return sum(one.new for one in kept)


def keep_found(arrivals: Sequence[Arrival], *, published_for: Address | None = None, at: datetime | None = None) -> int:
    """Store what a look-up has found as candidates, in a transaction of its own; returns how many are new.

    `published_for`: the address whose own domain has answered; from now on these certificates are published for it,
    and no others. Raises StoreUnavailable.
    """
    prepared = prepare(arrivals) if arrivals else []

    def work() -> int:
        new = insert_candidates(prepared, at=at)
        if published_for is not None:
            _publish([one.arrival.fingerprint for one in prepared], published_for.key)
        return new

    return run(work)


def _publish(fingerprints: Sequence[str], owner: str) -> None:
    """No stamp: caches forget it by age, as they do candidates."""
    rows = PgpCertificateRow.objects.filter(fingerprint__in=fingerprints)
    uses = PgpUseRow.objects.filter(owner=owner, kind=PgpUse.PUBLISHED.value)
    uses.exclude(certificate__in=rows).delete()
    made = [PgpUseRow(certificate=row, owner=owner, kind=PgpUse.PUBLISHED.value) for row in rows]
    PgpUseRow.objects.bulk_create(made, ignore_conflicts=True)


def _of_strangers() -> QuerySet[PgpCertificateRow]:
    return PgpCertificateRow.objects.filter(_OF_STRANGERS, ~Exists(_PUBLISHED))


def _welcome(prepared: Sequence[Prepared]) -> list[Prepared]:
    """Those that are known, and new ones within the bounds."""
    names = [one.arrival.fingerprint for one in prepared]
    known = set(PgpCertificateRow.objects.filter(fingerprint__in=names).values_list("fingerprint", flat=True))
    fresh = [one for one in prepared if one.arrival.fingerprint not in known]
    welcome = [one for one in prepared if one.arrival.fingerprint in known]
    room = MAX_CANDIDATES - PgpCertificateRow.objects.filter(trust=PgpTrust.CANDIDATE.value).count() if fresh else 0
    counted: Counter[str] = Counter()
    for one in fresh[: max(room, 0)]:
        owners = address_keys(one.certificate)
        if owners and _has_room(owners, counted):
            welcome.append(one)
    return welcome


def _has_room(owners: Sequence[str], counted: Counter[str]) -> bool:
    """More than some for the same address is no accident. Those of this group are in `counted`, not stored yet."""
    named = PgpUseRow.objects.filter(owner__in=owners).values("certificate")
    rows = _of_strangers().filter(pk__in=named)
    if rows.count() + sum(counted[one] for one in owners) >= MAX_CANDIDATES_PER_ADDRESS and not _forget_one_of(rows):
        return False
    counted.update(owners)
    return True


def _forget_one_of(rows: QuerySet[PgpCertificateRow]) -> bool:
    """Make room: or strangers could keep the real one out with twenty of their own."""
    oldest = list(rows.order_by("pk").values_list("pk", flat=True)[:1])
    return bool(delete_those(rows, oldest))


def purge_candidates(turn: Turn | None = None, *, older_than_days: int = 30) -> int:
    """Delete candidates of strangers that nobody has trusted for long, in short transactions; returns how many."""
    limit = utc_now() - timedelta(days=older_than_days)
    return delete_all(_of_strangers().filter(created__lt=limit), turn)
