"""When OpenPGP keys of ours end. One that a newer key replaces for all its owners is past caring."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef

from mailseal.openpgp.certificate import PgpTrust
from mailseal.store.pgp_models import PgpCertificateRow, PgpComponentRow, PgpUseRow
from mailseal.store.pgp_rows import PgpUse

_PAGE = 400
_OWNED = PgpUseRow.objects.filter(kind__in=(PgpUse.USER_ID.value, PgpUse.SELECTED.value))
_BOUND = PgpComponentRow.objects.filter(certificate=OuterRef("pk"), bound=True)


def expiring(after: datetime) -> Iterator[datetime]:
    """The ends of our keys that nothing replaces, the next one first; read as they are asked for."""
    # In the order of the index of ends, whatever else there is: partners' keys are many.
    rows = PgpCertificateRow.objects.filter(Exists(_BOUND), expires__gt=after).order_by("expires", "pk")
    start = 0
    while page := list(rows.values_list("pk", "expires", "trust", "revoked")[start : start + _PAGE]):
        ours = {pk: end for pk, end, trust, revoked in page if end and trust == PgpTrust.TRUSTED and not revoked}
        yield from (one.expires for one in _owned(ours) if one.is_alone)
        start += len(page)


@dataclass(slots=True)
class _Ours:
    """A key of ours; for each of its owners when the last one of his keys ends, None for never."""

    expires: datetime
    owners: dict[str, datetime | None] = field(default_factory=dict)

    @property
    def is_alone(self) -> bool:
        """For one of its owners at least; of nobody it is of no use."""
        return any(last is not None and last <= self.expires for last in self.owners.values())


def _owned(keys: dict[UUID, datetime]) -> Sequence[_Ours]:
    found = {pk: _Ours(expires) for pk, expires in keys.items()}
    owned = list(_OWNED.filter(certificate__in=keys).values_list("certificate", "owner"))
    last = _last_of({owner for _, owner in owned})
    for pk, owner in owned:
        found[pk].owners[owner] = last[owner]
    return list(found.values())


def _last_of(owners: set[str]) -> dict[str, datetime | None]:
    """When the last key of each owner ends, of those that are trusted and whose secret key is here."""
    names, last = sorted(owners), dict[str, datetime | None]()
    for start in range(0, len(names), _PAGE):
        some = _OWNED.filter(owner__in=names[start : start + _PAGE])
        held = PgpComponentRow.objects.filter(certificate__in=some.values("certificate"), bound=True)
        bound = set(held.values_list("certificate", flat=True))
        columns = ("owner", "certificate", "certificate__expires", "certificate__trust", "certificate__revoked")
        for owner, pk, expires, trust, revoked in some.values_list(*columns):
            if pk in bound and trust == PgpTrust.TRUSTED and not revoked:
                known = last.get(owner, expires)
                last[owner] = None if known is None or expires is None else max(known, expires)
    return last
