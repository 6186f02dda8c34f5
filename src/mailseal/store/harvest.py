"""What signed mail brings: certificates as candidates, and what their owners' programs can read (RFC 8551 §2.5.2).

A candidate binds no key and is trusted by its path alone. It is in conflict when its address is known already with
another key: until an administrator accepts it, a setting decides whether mail is encrypted to it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from django.db.models import F, Q, QuerySet

from mailseal.policy.model import Harvest
from mailseal.smime.capabilities import Capabilities
from mailseal.smime.certificate import Certificate, CertificateError, parse_certificate
from mailseal.store.certificate_import import insert_all
from mailseal.store.certificate_rows import DUE_NOW, Purpose, address_uses, name_key
from mailseal.store.conflicts import AddressUse, in_conflict, uses_of
from mailseal.store.models import CertificateRow, CertificateUse, CtlRow
from mailseal.store.pace import Turn
from mailseal.store.purge import delete_all, delete_those
from mailseal.store.revalidate import AT_ONCE
from mailseal.store.row import utc_now
from mailseal.store.stamps import Scope, bump

MAX_CANDIDATES = 200_000
"""Without a path: those who have one are as many as there are partners."""
MAX_CANDIDATES_PER_ADDRESS = 20
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
"""No signature is older; a database may have no room for the time that one claims."""
_NAMES_PER_QUERY = 400
# As lists, since SQLite finds no index for a bare boolean: with all three it is read, not every certificate.
_UNTRUSTED = Q(conflict__in=[False, True], candidate__in=[True], trusted__in=[False])


def insert_candidates(harvested: Iterable[Harvest], *, at: datetime | None = None) -> int:
    """Store what is new of certificates seen in signed mail, in the caller's transaction, read at a time.

    Returns how many certificates are new; they are not judged yet. What cannot be parsed is left out. Nothing is
    written for what is known already, but what an owner has told since.
    """
    found: dict[str, bytes] = {}
    told: dict[str, Harvest] = {}
    now = at or utc_now()
    for one in harvested:
        name = sha256(one.der).hexdigest()
        found[name] = one.der
        if one.capabilities:
            _keep_latest(told, name, _in_time(one, now))
    stored = _stored(found)
    fresh = _insert([(name, der) for name, der in found.items() if name not in stored])
    _tell(told, stored | _stored(fresh))
    return len(fresh)


def _in_time(one: Harvest, now: datetime) -> Harvest:
    """With a time that can be stored and is not to come, and capabilities that this release knows."""
    signed_at = None if one.signed_at is None else min(max(one.signed_at, EARLIEST), now)
    return Harvest(one.der, Capabilities.from_text(one.capabilities).text, signed_at)


def _keep_latest(told: dict[str, Harvest], name: str, one: Harvest) -> None:
    """Of several mails of one group the last signed counts; one without a time only where there is no other."""
    known = told.get(name)
    if known is None or (one.signed_at is not None and (known.signed_at is None or one.signed_at > known.signed_at)):
        told[name] = one


def _stored(fingerprints: Collection[str]) -> dict[str, CertificateRow]:
    rows: dict[str, CertificateRow] = {}
    names = list(fingerprints)
    for start in range(0, len(names), _NAMES_PER_QUERY):
        some = CertificateRow.objects.filter(fingerprint__in=names[start : start + _NAMES_PER_QUERY])
        some = some.only("fingerprint", "purpose", "candidate", "bound", "capabilities", "capabilities_at")
        rows |= {row.fingerprint: row for row in some}
    return rows


def _insert(unknown: Sequence[tuple[str, bytes]]) -> frozenset[str]:
    """Add what is welcome, all at once: other writers wait meanwhile."""
    chosen: list[tuple[Certificate, Purpose]] = []
    conflicts: set[str] = set()
    counted: Counter[str] = Counter()
    room = MAX_CANDIDATES - CertificateRow.objects.filter(_UNTRUSTED).count() if unknown else 0
    for name, der in unknown:
        try:
            certificate = parse_certificate(der)
        except CertificateError:
            continue
        if len(chosen) >= room:
            break
        if certificate.is_ca:
            if _ca_welcome(certificate, counted):
                chosen.append((certificate, Purpose.INTERMEDIATE))
            continue
        owners = [key for key, _ in address_uses(certificate)]
        uses = uses_of(owners)
        if _welcome(owners, uses, counted):
            chosen.append((certificate, Purpose.END_ENTITY))
            if in_conflict(certificate, uses):
                conflicts.add(name)
    new = insert_all(chosen, candidate=True).new
    if conflicts & new:
        CertificateRow.objects.filter(fingerprint__in=conflicts & new).update(conflict=True)
    _judge_again_below([one for one, _ in chosen if one.is_ca and one.fingerprint in new])
    return new


def _judge_again_below(authorities: Iterable[Certificate]) -> None:
    """Have the latest candidates that came without these CA certificates, and so have no path, judged again."""
    names = {name_key(one.subject) for one in authorities}
    if names:
        below = CertificateRow.objects.filter(issuer_sha256__in=names, candidate=True, trusted=False)
        latest = list(below.order_by("-pk").values_list("pk", flat=True)[:AT_ONCE])
        CertificateRow.objects.filter(pk__in=latest).update(due=DUE_NOW, marks=F("marks") + 1)


def _welcome(owners: Sequence[str], uses: Iterable[AddressUse], counted: Counter[str]) -> bool:
    """Not one of many untrusted ones for the same address: more than that is no accident.

    Those of this group that are not stored yet are in `counted`.
    """
    stored = sum(use.candidate and not use.trusted for use in uses)
    named = CertificateUse.objects.filter(owner__in=owners).values("certificate")
    return bool(owners) and _counted(owners, stored, counted, CertificateRow.objects.filter(pk__in=named))


def _ca_welcome(certificate: Certificate, counted: Counter[str]) -> bool:
    """Nor of the same CA name."""
    name = name_key(certificate.subject)
    same_name = CertificateRow.objects.filter(subject_sha256=name, candidate=True)
    return _counted([name], same_name.count(), counted, same_name)


def _counted(owners: Sequence[str], stored: int, counted: Counter[str], rows: QuerySet[CertificateRow]) -> bool:
    if stored + sum(counted[one] for one in owners) >= MAX_CANDIDATES_PER_ADDRESS and not _forget_one_of(rows):
        return False
    counted.update(owners)
    return True


def _forget_one_of(rows: QuerySet[CertificateRow]) -> bool:
    """Make room: or strangers could keep the real one out with twenty of their own."""
    of_no_use = rows.filter(candidate=True, trusted=False, judged_at__isnull=False)
    of_no_use = of_no_use.exclude(fingerprint__in=CtlRow.objects.values("fingerprint"))
    oldest = list(of_no_use.order_by("pk").values_list("pk", flat=True)[:1])
    return bool(delete_those(of_no_use, oldest))


def _tell(told: Mapping[str, Harvest], rows: Mapping[str, CertificateRow]) -> None:
    """Keep what owners have told later than what is kept; an old mail that is sent again changes nothing."""
    usable_changed = False
    for name, one in told.items():
        row = rows.get(name)
        if row is None or row.purpose != Purpose.END_ENTITY or not _is_news(one, row):
            continue
        # Asked again in the update: another node's worker may have stored a later one meanwhile.
        unless_later = Q(capabilities="") if one.signed_at is None else _kept_before(one.signed_at)
        values = {"capabilities": one.capabilities, "capabilities_at": one.signed_at}
        if CertificateRow.objects.filter(unless_later, pk=row.pk).update(**values):
            # Candidates are forgotten by age, and who holds the key can read everything.
            usable_changed |= one.capabilities != row.capabilities and not row.candidate and not row.bound
    if usable_changed:
        bump(Scope.KEYS)


def _is_news(one: Harvest, row: CertificateRow) -> bool:
    if one.signed_at is None:
        return not row.capabilities
    return row.capabilities_at is None or row.capabilities_at < one.signed_at


def _kept_before(signed_at: datetime) -> Q:
    return Q(capabilities_at__isnull=True) | Q(capabilities_at__lt=signed_at)


def purge_candidates(turn: Turn | None = None, *, older_than_days: int = 30) -> int:
    """Delete candidates that never became trusted and are in no CTL, in short transactions; returns how many."""
    limit = utc_now() - timedelta(days=older_than_days)
    rows = CertificateRow.objects.filter(_UNTRUSTED, created__lt=limit)
    return delete_all(rows.exclude(fingerprint__in=CtlRow.objects.values("fingerprint")), turn)
