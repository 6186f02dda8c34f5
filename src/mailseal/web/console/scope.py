"""Whose a thing is: the domain by which an account may see or change it. What one may not see is not there (404)."""

from django.http import Http404, HttpRequest

from mailseal.web.access import Area, Verb
from mailseal.web.guard import principal


def domain_of(owner: str) -> str:
    """The domain of an address, or the domain or wildcard itself; "" is everybody's."""
    return owner.rpartition("@")[2]


def seen(request: HttpRequest, area: Area, domain: str) -> None:
    """Raise Http404 unless who asks may see this domain's."""
    if not principal(request).may_for(domain, area):
        raise Http404


def allowed(request: HttpRequest, area: Area, verb: Verb, domain: str) -> None:
    """Raise Http404 for what they may not see, ForbiddenError for what they may see but not do."""
    seen(request, area, domain)
    principal(request).require(area, verb, domain=domain)
