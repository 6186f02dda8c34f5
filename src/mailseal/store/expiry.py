"""Which certificates and OpenPGP keys end when, the next one first, and whom that will hit.

An end hits an owner (an address, a domain, a wildcard) for whom there is nothing that lasts longer.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from mailseal.openpgp.certificate import PgpTrust
from mailseal.policy.model import MethodName
from mailseal.store.certificate_rows import Purpose, Use
from mailseal.store.keyset import behind
from mailseal.store.models import CertificateRow, CertificateUse
from mailseal.store.pgp_models import PgpCertificateRow, PgpComponentRow, PgpUseRow
from mailseal.store.pgp_rows import PgpUse
from mailseal.store.transaction import reads

MAX_BELOW = 1000
"""So many certificates of a CA are counted."""
MAX_AUTHORITIES = 2000
"""So many CA certificates are looked at, the newest ones."""
_AT_ONCE = 400
_SMIME_OWNERS = (Use.SAN.value, Use.SUBJECT.value, Use.SELECTED.value)
_PGP_OWNERS = (PgpUse.USER_ID.value, PgpUse.SELECTED.value, PgpUse.PUBLISHED.value)
_HAS_SECRET = Exists(PgpComponentRow.objects.filter(certificate=OuterRef("pk"), bound=True))


class Whose(StrEnum):
    """Keys of ours: the private key is here. Of partners: mail is encrypted to them. CA certificates: others hang on
    them.
    """

    OURS = "ours"
    PARTNERS = "partners"
    AUTHORITIES = "authorities"


@dataclass(frozen=True, slots=True)
class Hit:
    """An owner of something that ends. `lasts`: when the last of what replaces it ends; None: nothing does."""

    owner: str
    lasts: datetime | None


@dataclass(frozen=True, slots=True)
class Ending:
    """A certificate or OpenPGP key that ends. `hits`: its owners; `below`: of a CA, how many hang on it."""

    id: UUID
    method: MethodName
    fingerprint: str
    name: str
    ends: datetime
    hits: tuple[Hit, ...] = ()
    below: int = 0

    @property
    def is_replaced(self) -> bool:
        """For all its owners there is something that lasts longer."""
        return bool(self.hits) and all(one.lasts is not None for one in self.hits)


@reads
def endings(
    whose: Whose,
    since: datetime,
    until: datetime,
    *,
    domains: Collection[str] | None = None,
    after: tuple[datetime, UUID] | None = None,
    limit: int = 100,
) -> tuple[Ending, ...]:
    """What ends from a time to another, the next first; `after`: `ends` and `id` of the last row of the page before.

    `domains`: only what has an owner in one of these. At most `limit`; one query more for each 400 owners.
    """
    found = [
        *_smime(whose, since, until, domains, after)[:limit].values_list("pk", "fingerprint", "subject", "not_after")
    ]
    keys = [] if whose is Whose.AUTHORITIES else _pgp(whose, since, until, domains, after)[:limit]
    both = [Ending(pk, MethodName.SMIME, name, text, end.astimezone(UTC)) for pk, name, text, end in found]
    both += [
        Ending(one.pk, MethodName.PGP, one.fingerprint, one.user_ids.partition("\n")[0], one.expires.astimezone(UTC))
        for one in keys
        if one.expires is not None
    ]
    both = sorted(both, key=lambda one: (one.ends, one.id))[:limit]
    return _with_below(both) if whose is Whose.AUTHORITIES else _with_hits(both, whose, domains)


def _smime(
    whose: Whose,
    since: datetime,
    until: datetime,
    domains: Collection[str] | None,
    after: tuple[datetime, UUID] | None,
) -> QuerySet[CertificateRow]:
    # In the order of the index of ends: SQLite, which has no statistics, would read all of a purpose.
    rows = CertificateRow.objects.filter(not_after__gte=since, not_after__lte=until).order_by(F("not_after"), "pk")
    if after is not None:
        rows = rows.filter(behind({"not_after": after[0], "pk": after[1]}))
    if domains is not None:
        uses = CertificateUse.objects.filter(_of(domains), certificate=OuterRef("pk"), kind__in=_SMIME_OWNERS)
        rows = rows.filter(Exists(uses))
    match whose:
        case Whose.OURS:
            return rows.filter(bound__in=[True]).exclude(purpose__startswith=Purpose.ROOT)
        case Whose.PARTNERS:
            return rows.filter(bound__in=[False], trusted__in=[True], purpose__startswith=Purpose.END_ENTITY)
        case Whose.AUTHORITIES:
            return rows.filter(pk__in=_authorities())


def _authorities() -> list[UUID]:
    """They are few among many certificates: found by their own index."""
    rows = CertificateRow.objects.filter(purpose__in=(Purpose.INTERMEDIATE, Purpose.ROOT), candidate__in=[False])
    return list(rows.order_by("-pk").values_list("pk", flat=True)[:MAX_AUTHORITIES])


def _pgp(
    whose: Whose,
    since: datetime,
    until: datetime,
    domains: Collection[str] | None,
    after: tuple[datetime, UUID] | None,
) -> QuerySet[PgpCertificateRow]:
    rows = PgpCertificateRow.objects.filter(expires__gte=since, expires__lte=until).order_by(F("expires"), "pk")
    rows = rows.filter(trust__startswith=PgpTrust.TRUSTED, revoked__in=[False]).defer("octets")
    if after is not None:
        rows = rows.filter(behind({"expires": after[0], "pk": after[1]}))
    if domains is not None:
        uses = PgpUseRow.objects.filter(_of(domains), certificate=OuterRef("pk"), kind__in=_PGP_OWNERS)
        rows = rows.filter(Exists(uses))
    return rows.filter(_HAS_SECRET) if whose is Whose.OURS else rows.filter(~_HAS_SECRET)


def _of(domains: Collection[str]) -> Q:
    found = Q(owner__in=list(domains))
    for domain in domains:
        found |= Q(owner__endswith=f"@{domain}")
    return found


def _with_hits(found: Iterable[Ending], whose: Whose, domains: Collection[str] | None) -> tuple[Ending, ...]:
    """Owners of other domains than `domains` are nobody's business."""
    ends = {one.id: one for one in found}
    limited = Q() if domains is None else _of(domains)
    pairs: list[tuple[UUID, str]] = []
    for table, kinds in ((CertificateUse, _SMIME_OWNERS), (PgpUseRow, _PGP_OWNERS)):
        uses = table.objects.filter(limited, certificate__in=list(ends), kind__in=kinds)
        pairs += uses.order_by("owner").values_list("certificate", "owner").distinct()
    owners = sorted({owner for _, owner in pairs})
    last = _last_ends(owners, ours=whose is Whose.OURS)
    hits: dict[UUID, list[Hit]] = {}
    for pk, owner in pairs:
        end = last.get((ends[pk].method, owner))
        hits.setdefault(pk, []).append(Hit(owner, end if end is not None and end > ends[pk].ends else None))
    return tuple(
        Ending(one.id, one.method, one.fingerprint, one.name, one.ends, tuple(hits.get(one.id, ())))
        for one in ends.values()
    )


_NEVER = datetime.max.replace(tzinfo=UTC)


def _last_ends(owners: list[str], *, ours: bool) -> dict[tuple[MethodName, str], datetime]:
    """When the last certificate, or OpenPGP key, of each owner ends."""
    last: dict[tuple[MethodName, str], datetime] = {}
    for start in range(0, len(owners), _AT_ONCE):
        some = owners[start : start + _AT_ONCE]
        smime = CertificateUse.objects.filter(
            owner__in=some, kind__in=_SMIME_OWNERS, certificate__bound=ours, certificate__trusted=True
        )
        pgp = PgpUseRow.objects.filter(
            owner__in=some,
            kind__in=_PGP_OWNERS,
            certificate__trust=PgpTrust.TRUSTED.value,
            certificate__revoked=False,
        ).annotate(ours=Exists(PgpComponentRow.objects.filter(certificate=OuterRef("certificate"), bound=True)))
        ends: list[tuple[MethodName, str, datetime | None]] = [
            *((MethodName.SMIME, owner, end) for owner, end in smime.values_list("owner", "certificate__not_after")),
            *(
                (MethodName.PGP, owner, end)
                for owner, end in pgp.filter(ours=ours).values_list("owner", "certificate__expires")
            ),
        ]
        for method, owner, end in ends:
            lasts = _NEVER if end is None else end
            last[method, owner] = max(last.get((method, owner), lasts), lasts)
    return last


def _with_below(found: Iterable[Ending]) -> tuple[Ending, ...]:
    return tuple(
        Ending(one.id, one.method, one.fingerprint, one.name, one.ends, below=_below(one.fingerprint)) for one in found
    )


def _below(fingerprint: str) -> int:
    subject = CertificateRow.objects.filter(fingerprint=fingerprint).values_list("subject_sha256", flat=True).first()
    rows = CertificateRow.objects.filter(issuer_sha256=subject).exclude(fingerprint=fingerprint)
    return len(rows.values_list("pk")[:MAX_BELOW])
