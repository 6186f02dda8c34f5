"""Operations on domains: which are ours (`store.domains`)."""

from datetime import datetime

from django.http import HttpRequest
from ninja import Router
from ninja.responses import Status
from pydantic import Field

from mailseal.store import domains
from mailseal.store.domains import DomainInfo
from mailseal.store.owners import domain_name
from mailseal.web.access import Area, Verb
from mailseal.web.api import etag
from mailseal.web.api.authentication import needs, principal
from mailseal.web.api.paging import ITEMS, After, Limit, Page, page
from mailseal.web.api.problem import not_found
from mailseal.web.api.shapes import Given, Shown

router = Router()


class DomainShown(Shown):
    """A domain or wildcard. The most specific one decides whether an address is internal."""

    name: str = Field(description="Lower-case A-labels, or `*.` and those, which does not match the domain itself.")
    internal: bool
    created: datetime


class DomainChange(Given):
    """What can be said of a domain."""

    internal: bool = Field(default=True, description="False: not ours, an exception below a wildcard that is.")


@router.get("", response=Page[DomainShown], auth=needs(Area.DOMAINS), operation_id="list_domains")
def list_domains(request: HttpRequest, after: After = "", limit: Limit = ITEMS) -> Page[DomainShown]:
    """Domains and wildcards by name."""
    rows = domains.page(within=principal(request).domains_for(Area.DOMAINS), after=after, limit=limit + 1)
    return page(rows, limit, show=_shown, key=lambda one: one.name)


@router.get("/{name}", response=DomainShown, auth=needs(Area.DOMAINS), operation_id="get_domain")
def get_domain(request: HttpRequest, name: str) -> DomainShown:
    """One domain or wildcard."""
    return _find(request, name)


@router.put("/{name}", response=DomainShown, auth=needs(Area.DOMAINS, Verb.CHANGE), operation_id="put_domain")
def put_domain(request: HttpRequest, name: str, change: DomainChange) -> DomainShown:
    """Add a domain or wildcard, or change it."""
    stored = domain_name(name)
    principal(request).require(Area.DOMAINS, Verb.CHANGE, domain=stored)
    made = etag.change(request, lambda: _find(request, stored), lambda: domains.add(stored, internal=change.internal))
    return _shown(made)


@router.delete("/{name}", response={204: None}, auth=needs(Area.DOMAINS, Verb.CHANGE), operation_id="delete_domain")
def delete_domain(request: HttpRequest, name: str) -> Status[None]:
    """Delete a domain or wildcard: mail to it is then mail to outside. Settings made for it stay."""
    stored = domain_name(name)
    principal(request).require(Area.DOMAINS, Verb.CHANGE, domain=stored)
    if not etag.change(request, lambda: _find(request, stored), lambda: domains.delete(stored)):
        raise not_found("domain")
    return Status(204, None)


def _find(request: HttpRequest, name: str) -> DomainShown:
    stored = domain_name(name)
    found = domains.find(stored) if principal(request).may_for(stored, Area.DOMAINS) else None
    if found is None:
        raise not_found("domain")
    return _shown(found)


def _shown(one: DomainInfo) -> DomainShown:
    return DomainShown(name=one.name, internal=one.internal, created=one.created)
