"""Operations on routes: next hops of single recipient domains (`store.routes`), and the passwords for next hops."""

from datetime import datetime

from django.http import HttpRequest
from ninja import Router
from ninja.responses import Status
from pydantic import Field, SecretStr

from mailseal.config.next_hop import credential_name
from mailseal.config.values import BadValueError
from mailseal.store import console_jobs, credentials, routes
from mailseal.store.owners import domain_name
from mailseal.store.routes import RouteInfo
from mailseal.web.access import Area, Verb
from mailseal.web.api import etag
from mailseal.web.api.authentication import needs, reach
from mailseal.web.api.paging import ITEMS, After, Limit, Page, page
from mailseal.web.api.problem import not_found, unfit
from mailseal.web.api.shapes import Given, Shown
from mailseal.web.api.work import worked

router = Router()

MAX_HOPS = 20


class RouteShown(Shown):
    """A domain or wildcard and its next hops, the preferred first."""

    domain: str
    next_hops: list[str] = Field(description="Like `smtp://host:port?tls=verified&user=NAME`.")
    no_password_for: list[str] = Field(description="Mail waits until these have a password.")
    takes_internal: list[str] = Field(description="Internal domains whose mail goes there too, for want of a route.")
    created: datetime


class RouteGiven(Given):
    """Next hops."""

    next_hops: list[str] = Field(min_length=1, max_length=MAX_HOPS)


class HopPasswordShown(Shown):
    """A password for a next hop is stored under this name; nobody can read it."""

    name: str = Field(description="`user@host:port`.")
    created: datetime


class HopPasswordGiven(Given):
    """A password; it is sealed on its way to the worker, which alone can store it."""

    password: SecretStr = Field(min_length=1, max_length=credentials.MAX_PASSWORD_BYTES)


@router.get("", response=Page[RouteShown], auth=needs(Area.ROUTES), operation_id="list_routes")
def list_routes(request: HttpRequest, after: After = "", limit: Limit = ITEMS) -> Page[RouteShown]:
    """Routes by domain. A route goes before what the configuration says in [relay]."""
    known = _known()
    return page(
        routes.page(after=after, limit=limit + 1),
        limit,
        show=lambda one: _shown(one, known),
        key=lambda one: one.domain,
    )


@router.get("/passwords", response=Page[HopPasswordShown], auth=needs(Area.ROUTES), operation_id="list_hop_passwords")
def list_hop_passwords(request: HttpRequest, after: After = "", limit: Limit = ITEMS) -> Page[HopPasswordShown]:
    """For which users of next hops a password is stored, by name."""
    rows = [one for one in credentials.list_credentials() if one.name > after]
    return page(
        rows, limit, show=lambda one: HopPasswordShown(name=one.name, created=one.created), key=lambda one: one.name
    )


@router.put(
    "/passwords/{name}", response=worked(None), auth=needs(Area.ROUTES, Verb.CHANGE), operation_id="put_hop_password"
)
def put_hop_password(request: HttpRequest, name: str, given: HopPasswordGiven) -> Status[None]:
    """Store the password of a user (`user@host:port`) at a next hop; it counts for the next connection."""
    arguments = {"name": _name(name), "password": given.password.get_secret_value()}
    console_jobs.call("route-password", arguments)
    return Status(204, None)


@router.delete(
    "/passwords/{name}", response={204: None}, auth=needs(Area.ROUTES, Verb.CHANGE), operation_id="delete_hop_password"
)
def delete_hop_password(request: HttpRequest, name: str) -> Status[None]:
    """Forget the password of a user at a next hop."""
    if not credentials.forget(_name(name)):
        raise not_found("password")
    return Status(204, None)


@router.get("/{domain}", response=RouteShown, auth=needs(Area.ROUTES), operation_id="get_route")
def get_route(request: HttpRequest, domain: str) -> RouteShown:
    """The route of one domain or wildcard."""
    return _find(_reached(request, domain, Verb.SEE))


@router.put("/{domain}", response=RouteShown, auth=needs(Area.ROUTES, Verb.CHANGE), operation_id="put_route")
def put_route(request: HttpRequest, domain: str, given: RouteGiven) -> RouteShown:
    """Send mail for a domain or wildcard to these next hops."""
    name = _reached(request, domain, Verb.CHANGE)
    etag.change(request, lambda: _find(name), lambda: routes.set_route(name, given.next_hops))
    return _find(name)


@router.delete("/{domain}", response={204: None}, auth=needs(Area.ROUTES, Verb.CHANGE), operation_id="delete_route")
def delete_route(request: HttpRequest, domain: str) -> Status[None]:
    """Send mail for a domain or wildcard as the configuration says, or as a wildcard's route does."""
    name = _reached(request, domain, Verb.CHANGE)
    if not etag.change(request, lambda: _find(name), lambda: routes.unset_route(name)):
        raise not_found("route")
    return Status(204, None)


def _reached(request: HttpRequest, domain: str, verb: Verb) -> str:
    name = domain_name(domain)
    reach(request, Area.ROUTES, verb, domain=name, what="route")
    return name


def _find(name: str) -> RouteShown:
    found = routes.find(name)
    if found is None:
        raise not_found("route")
    return _shown(found, _known())


def _known() -> frozenset[str]:
    return frozenset(one.name for one in credentials.list_credentials())


def _shown(one: RouteInfo, known: frozenset[str]) -> RouteShown:
    return RouteShown(
        domain=one.domain,
        next_hops=[str(hop) for hop in one.hops],
        no_password_for=[hop.credential for hop in one.hops if hop.user and hop.credential not in known],
        takes_internal=list(routes.internal_below(one.domain)) if one.domain.startswith("*.") else [],
        created=one.created,
    )


def _name(text: str) -> str:
    try:
        return credential_name(text)
    except BadValueError as error:
        raise unfit(f"the name {error}", place="path.name") from None
