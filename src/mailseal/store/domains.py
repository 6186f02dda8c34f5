"""Domains and wildcards, and which of them are internal."""

from dataclasses import dataclass
from datetime import datetime

from mailseal.store.models import Domain
from mailseal.store.owners import domain_name
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import reads, writes


@dataclass(frozen=True, slots=True)
class DomainInfo:
    """A domain or wildcard. The most specific row decides whether an address is internal."""

    name: str
    internal: bool
    created: datetime


@writes
def add(name: str, *, internal: bool = True) -> DomainInfo:
    """Add a domain or wildcard, or change whether it is internal; raises AddressError."""
    row, _ = Domain.objects.update_or_create(name=domain_name(name), defaults={"internal": internal})
    bump(Scope.SETTINGS)
    return DomainInfo(row.name, row.internal, row.created)


@writes
def delete(name: str) -> bool:
    """Delete a domain or wildcard; settings made for it stay. False: there was none."""
    deleted, _ = Domain.objects.filter(name=domain_name(name)).delete()
    bump(Scope.SETTINGS)
    return bool(deleted)


@reads
def list_domains() -> tuple[DomainInfo, ...]:
    """All of them, by name."""
    return tuple(DomainInfo(row.name, row.internal, row.created) for row in Domain.objects.order_by("name"))
