"""Domains and wildcards, and which of them are internal."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from mailseal.store.audit import facts, record
from mailseal.store.models import Domain
from mailseal.store.owners import domain_name, owners_of_domain, with_places
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import reads, select, writes

_OF_DOMAIN = "SELECT name, internal FROM store_domain WHERE name IN (:owners)"


@dataclass(frozen=True, slots=True)
class DomainInfo:
    """A domain or wildcard. The most specific row decides whether an address is internal."""

    name: str
    internal: bool
    created: datetime


@writes
def add(name: str, *, internal: bool = True) -> DomainInfo:
    """Add a domain or wildcard, or change whether it is internal; raises AddressError."""
    before = facts(Domain.objects.filter(name=domain_name(name)).first(), "internal")
    row, _ = Domain.objects.update_or_create(name=domain_name(name), defaults={"internal": internal})
    bump(Scope.SETTINGS)
    record("domains", "add" if before is None else "change", row.name, before=before, after=facts(row, "internal"))
    return DomainInfo(row.name, row.internal, row.created)


@writes
def delete(name: str) -> bool:
    """Delete a domain or wildcard; settings made for it stay. False: there was none."""
    row = Domain.objects.filter(name=domain_name(name)).first()
    deleted, _ = Domain.objects.filter(name=domain_name(name)).delete()
    bump(Scope.SETTINGS)
    if row is not None:
        record("domains", "delete", row.name, before=facts(row, "internal"))
    return bool(deleted)


def is_internal(domain: str) -> bool:
    """Whether addresses of a domain (an A-label) are internal, as `StoreDirectory` says; raises StoreUnavailable."""
    owners = owners_of_domain(domain)
    found = dict(select(with_places(_OF_DOMAIN, len(owners)), owners))
    return bool(next((found[name] for name in owners if name in found), False))


@reads
def any_internal() -> bool:
    """Whether at least one of them is."""
    return Domain.objects.filter(internal=True).exists()


@reads
def list_domains() -> tuple[DomainInfo, ...]:
    """All of them, by name."""
    return tuple(DomainInfo(row.name, row.internal, row.created) for row in Domain.objects.order_by("name"))


@reads
def find(name: str) -> DomainInfo | None:
    """One of them, by its stored form (`owners.domain_name`)."""
    row = Domain.objects.filter(name=name).first()
    return None if row is None else DomainInfo(row.name, row.internal, row.created)


@reads
def page(*, within: Collection[str] | None = None, after: str = "", limit: int = 200) -> tuple[DomainInfo, ...]:
    """Some of them by name: those after `after`, of these names alone if they are given."""
    rows = Domain.objects.filter(name__gt=after)
    if within is not None:
        rows = rows.filter(name__in=within)
    return tuple(DomainInfo(row.name, row.internal, row.created) for row in rows.order_by("name")[:limit])
