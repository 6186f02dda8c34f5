"""Routes: next hops of a recipient domain or wildcard, which go before those of the configuration."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailseal.config.next_hop import NextHop, next_hops
from mailseal.config.values import BadValueError
from mailseal.errors import PermanentError, TransientError
from mailseal.store.accounts import alerts
from mailseal.store.accounts.alerts import Change
from mailseal.store.audit import facts, record
from mailseal.store.lru import Lru
from mailseal.store.models import Domain, RouteRow
from mailseal.store.owners import domain_name, owners_of_domain, with_places
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import reads, select, writes

_OF_DOMAINS = "SELECT domain, hops FROM store_route WHERE domain IN (:owners)"
_ALL = "SELECT domain, hops FROM store_route ORDER BY domain"


class RouteError(PermanentError):
    """What was given is not a route; the text says why."""


class BrokenRouteError(TransientError):
    """A stored route cannot be read: its mail waits until somebody sets it again."""


@dataclass(frozen=True, slots=True)
class RouteInfo:
    """A domain or wildcard and its next hops, the preferred first."""

    domain: str
    hops: tuple[NextHop, ...]
    created: datetime


class StoreRoutes:
    """Implements `transport.routes.Routes`: one query per domain that the cache does not know."""

    def __init__(self, *, entries: int = 20_000) -> None:
        self._known: Lru[str, tuple[NextHop, ...]] = Lru(entries)

    def of(self, domain: str) -> Sequence[NextHop]:
        """The next hops of a domain: its own row, else the longest wildcard's; empty for none.

        Raises BrokenRouteError and StoreUnavailable.
        """
        known = self._known.get(domain)
        if known is None:
            generation = self._known.generation
            known = _read(domain)
            self._known.put(domain, known, generation)
        return known

    def hops(self) -> Collection[NextHop]:
        """Every next hop of any route; raises BrokenRouteError and StoreUnavailable."""
        return {hop for domain, text in select(_ALL, ()) for hop in _hops(domain, text)}

    def clear(self) -> None:
        """Forget what was read: the stamp `settings` changed."""
        self._known.clear()


def _read(domain: str) -> tuple[NextHop, ...]:
    owners = owners_of_domain(domain)
    found = dict(select(with_places(_OF_DOMAINS, len(owners)), owners))
    return next((_hops(owner, found[owner]) for owner in owners if owner in found), ())


def _hops(domain: str, text: object) -> tuple[NextHop, ...]:
    try:
        return next_hops(json.loads(text) if isinstance(text, str) else text)
    except ValueError:
        raise BrokenRouteError(f"the route of {domain} cannot be read: set it again (`mailseal route set`)") from None


@writes
def set_route(domain: str, urls: Sequence[str]) -> RouteInfo:
    """Send mail for a domain or wildcard to these next hops; raises RouteError, AddressError."""
    try:
        hops = next_hops(list(urls))
    except BadValueError as error:
        raise RouteError(f"the next hop {error}") from None
    before = facts(RouteRow.objects.filter(domain=domain_name(domain)).first(), "hops")
    row, _ = RouteRow.objects.update_or_create(
        domain=domain_name(domain), defaults={"hops": [str(one) for one in hops]}
    )
    bump(Scope.SETTINGS)
    after = facts(row, "hops")
    record("routes", "set", row.domain, before=before, after=after)
    if before != after:
        alerts.tell_of(Change.NEXT_HOPS, [row.domain])
    return RouteInfo(row.domain, hops, row.created)


@writes
def unset_route(domain: str) -> bool:
    """Send mail for a domain or wildcard as the configuration says; False: it had no route."""
    row = RouteRow.objects.filter(domain=domain_name(domain)).first()
    deleted, _ = RouteRow.objects.filter(domain=domain_name(domain)).delete()
    bump(Scope.SETTINGS)
    if row is not None:
        record("routes", "unset", row.domain, before=facts(row, "hops"))
        alerts.tell_of(Change.NEXT_HOPS, [row.domain])
    return bool(deleted)


@reads
def list_routes() -> tuple[RouteInfo, ...]:
    """All routes, by domain; raises BrokenRouteError."""
    rows = RouteRow.objects.order_by("domain")
    return tuple(RouteInfo(row.domain, _hops(row.domain, row.hops), row.created) for row in rows)


@reads
def page(*, after: str = "", limit: int = 200) -> tuple[RouteInfo, ...]:
    """Some routes by domain: those after `after`; raises BrokenRouteError."""
    rows = RouteRow.objects.filter(domain__gt=after).order_by("domain")[:limit]
    return tuple(RouteInfo(row.domain, _hops(row.domain, row.hops), row.created) for row in rows)


@reads
def find(domain: str) -> RouteInfo | None:
    """The route of exactly this domain or wildcard, in its stored form; raises BrokenRouteError."""
    row = RouteRow.objects.filter(domain=domain).first()
    return None if row is None else RouteInfo(row.domain, _hops(row.domain, row.hops), row.created)


@reads
def internal_below(wildcard: str) -> tuple[str, ...]:
    """The internal domains whose mail the route of a wildcard takes by the way: opened mail for our own readers."""
    routed = set(RouteRow.objects.values_list("domain", flat=True))
    names = Domain.objects.filter(internal=True).exclude(name=wildcard).order_by("name").values_list("name", flat=True)
    return tuple(name for name in names if next(filter(routed.__contains__, _owners(name)), None) == wildcard)


def _owners(name: str) -> tuple[str, ...]:
    """Of a domain or wildcard: itself, then the wildcards above it, the most specific first."""
    return owners_of_domain(f"any{name[1:]}")[1:] if name.startswith("*.") else owners_of_domain(name)
