"""Addresses that something was set up for; made when first needed."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from mailseal.errors import PermanentError
from mailseal.mail.address import Address
from mailseal.store.audit import record
from mailseal.store.dlp_models import DlpAssignmentRow
from mailseal.store.models import CertificateUse, KnownAddress, SettingOverride
from mailseal.store.pgp_models import PgpUseRow
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import reads, writes


class LockedAddressError(PermanentError):
    """Something is set for the address that is not for everybody to take away."""


@dataclass(frozen=True, slots=True)
class AddressInfo:
    """An address as administrators see it."""

    key: str
    text: str
    created: datetime
    overrides: int
    certificates: int
    pgp_keys: int


@writes
def add(address: Address) -> bool:
    """Remember an address; False: it was known."""
    _, created = KnownAddress.objects.get_or_create(key=address.key, defaults={"text": str(address)})
    if created:
        record("addresses", "add", address.key)
    return created


def remember(keys: Iterable[str]) -> None:
    """Remember addresses by key, in the caller's transaction."""
    KnownAddress.objects.bulk_create([KnownAddress(key=key, text=key) for key in keys], ignore_conflicts=True)


def remember_those_of(certificates: Iterable[UUID]) -> None:
    """Remember the addresses that stored certificates count for, in the caller's transaction."""
    uses = CertificateUse.objects.filter(certificate__in=list(certificates), owner__contains="@")
    remember(uses.values_list("owner", flat=True).distinct())


@reads
def list_addresses(
    *,
    domain: str | None = None,
    domains: Collection[str] | None = None,
    text: str = "",
    after: str = "",
    limit: int = 200,
) -> tuple[AddressInfo, ...]:
    """Addresses by key, those after `after`: of one domain, of some `domains` (None: of all), with a text in them."""
    rows = KnownAddress.objects.filter(key__gt=after)
    for one in ([domain] if domain is not None else None, domains):
        if one is not None:
            rows = rows.filter(_of_domains(one))
    if text:
        rows = rows.filter(key__contains=text.casefold())
    found = list(rows.order_by("key")[:limit])
    return _infos(found)


@reads
def find(address: Address) -> AddressInfo | None:
    """One of them; None: nothing was set up for it."""
    found = _infos(list(KnownAddress.objects.filter(key=address.key)))
    return found[0] if found else None


def _of_domains(domains: Collection[str]) -> Q:
    found = Q(pk__in=[])
    for domain in domains:
        found |= Q(key__endswith=f"@{domain}")
    return found


def _infos(found: Sequence[KnownAddress]) -> tuple[AddressInfo, ...]:
    keys = [row.key for row in found]
    overrides = _counts(SettingOverride.objects.filter(owner__in=keys).values_list("owner"))
    certificates = _counts(CertificateUse.objects.filter(owner__in=keys).values_list("owner"))
    pgp_keys = _counts(PgpUseRow.objects.filter(owner__in=keys).values_list("owner", "certificate").distinct())
    counted = (overrides, certificates, pgp_keys)
    return tuple(
        AddressInfo(row.key, row.text, row.created, *(counts.get(row.key, 0) for counts in counted)) for row in found
    )


def _counts(owners: Iterable[tuple[object, ...]]) -> dict[object, int]:
    counts: dict[object, int] = {}
    for owner, *_ in owners:
        counts[owner] = counts.get(owner, 0) + 1
    return counts


@writes
def delete(address: Address, *, whole: bool = True) -> bool:
    """Forget an address with its overrides, what was chosen for it by hand, and the DLP patterns assigned to it;
    its certificates stay.

    Without `whole` none of which a setting is locked, or to which DLP patterns are assigned (LockedAddressError).
    """
    if not whole:
        _require_free(address)
    deleted, _ = KnownAddress.objects.filter(key=address.key).delete()
    settings, _ = SettingOverride.objects.filter(owner=address.key).delete()
    chosen = 0
    for uses in (CertificateUse, PgpUseRow):
        chosen += uses.objects.filter(owner=address.key, kind__in=("selected", "shared")).delete()[0]
    if settings:
        bump(Scope.SETTINGS)
    if chosen:
        bump(Scope.KEYS)
    assigned, _ = DlpAssignmentRow.objects.filter(owner=address.key).delete()
    if assigned:
        bump(Scope.PATTERNS)
    if gone := bool(deleted or settings or chosen or assigned):
        counts = {"settings": settings, "keys_chosen": chosen, "dlp_assigned": assigned}
        record("addresses", "delete", address.key, before=counts)
    return gone


def _require_free(address: Address) -> None:
    locked = SettingOverride.objects.select_for_update().filter(owner=address.key, locked=True)
    if locked.exists() or DlpAssignmentRow.objects.filter(owner=address.key).exists():
        raise LockedAddressError("a setting of it is locked, or DLP patterns are assigned to it: these stay")
