"""What belongs to several owners at once, such as a certificate that stands for people of more than one domain.

Whoever looks after one of the domains sees it; changed it is by those who look after all of them.
"""

import ssl
from collections.abc import Collection

from django.http import HttpRequest

from mailseal.store.owners import is_in_domains
from mailseal.web.access import Area, ForbiddenError, Verb
from mailseal.web.api.authentication import principal
from mailseal.web.api.problem import not_found


def reach_some(request: HttpRequest, area: Area, owners: Collection[str], what: str) -> None:
    """Raise ProblemError (404, `what` is not there) unless the caller sees what belongs to one of these owners."""
    seen = principal(request).domains_for(area)
    if seen is not None and not any(is_in_domains(one, seen) for one in owners):
        raise not_found(what)


def require_all(request: HttpRequest, area: Area, verb: Verb, owners: Collection[str]) -> None:
    """Raise ForbiddenError unless the caller may do that for each of these, and there are some."""
    allowed = principal(request).domains_for(area, verb)
    if allowed is not None and not (owners and all(is_in_domains(one, allowed) for one in owners)):
        raise ForbiddenError("your roles allow that for what belongs to your own domains alone")


def require_everywhere(request: HttpRequest, area: Area, verb: Verb = Verb.SEE) -> None:
    """Raise ForbiddenError unless the caller may do that for all domains."""
    if not principal(request).everywhere(area, verb):
        raise ForbiddenError("your roles do not allow that for all domains")


def limits(request: HttpRequest, area: Area, verb: Verb) -> list[str] | None:
    """`domains` for an action of the worker: those for which the caller may do that, None for all."""
    allowed = principal(request).domains_for(area, verb)
    return None if allowed is None else sorted(allowed)


def pem(der: bytes) -> str:
    """A certificate as text (RFC 7468)."""
    return ssl.DER_cert_to_PEM_cert(der)
