"""Who calls: a bearer token (RFC 6750), and whether its holder may. No cookie counts here, so nothing can be forged."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest
from ninja.security import HttpBearer

from mailseal.store.accounts import tokens
from mailseal.store.accounts.models import Account
from mailseal.store.accounts.tokens import Token
from mailseal.store.acting import Acting, Way, acting
from mailseal.web.access import Area, ForbiddenError, Principal, Verb
from mailseal.web.api import body
from mailseal.web.api.problem import ProblemError, not_found, unfit
from mailseal.web.visitor import principal_of


@dataclass(frozen=True, slots=True)
class Caller:
    """A token, whose it is, what they may with it, and from which IP address they ask."""

    token: Token
    account: Account
    principal: Principal
    place: str


class BearerToken(HttpBearer):
    """The guard of an operation; see `needs`."""

    def __init__(self, area: Area | None, verb: Verb, body_bytes: int) -> None:
        super().__init__()
        self.guarded_by = (area, verb)
        self._body_bytes = body_bytes

    def __call__(self, request: HttpRequest) -> Caller:
        """Let the caller in; raises ProblemError (401, 413, 415) and ForbiddenError."""
        found = super().__call__(request)
        if not isinstance(found, Caller):
            raise _unauthorised("ask with `Authorization: Bearer` and a token")
        area, verb = self.guarded_by
        if area is not None:
            found.principal.require(area, verb)
        body.read(request, self._body_bytes)
        return found

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        """Whose token it is; raises ProblemError."""
        holder = tokens.find(token)
        if holder is None:
            raise _unauthorised(
                "the token is none of ours, has expired, or its account may not sign in", "invalid_token"
            )
        place = str(request.META.get("REMOTE_ADDR", ""))
        tokens.note_use(holder.token, place)
        return Caller(holder.token, holder.account, _limited(principal_of(holder.account), holder.token.scopes), place)


def needs(area: Area | None, verb: Verb = Verb.SEE, *, body_bytes: int = body.MAX_BODY_BYTES) -> BearerToken:
    """`auth=` of an operation for who may do that (somewhere: one about a domain asks `principal.require` again).

    None: everybody who has a token. Nothing is read of the request before, and of its body at most `body_bytes`.
    """
    return BearerToken(area, verb, body_bytes)


def closed(_request: HttpRequest) -> None:
    """The guard of an operation that was given none."""
    raise ForbiddenError("this operation has no guard")


def caller(request: HttpRequest) -> Caller:
    """Who calls; for operations behind the guard."""
    found = getattr(request, "auth", None)
    assert isinstance(found, Caller)
    return found


def principal(request: HttpRequest) -> Principal:
    """What the caller may do."""
    return caller(request).principal


def reach(request: HttpRequest, area: Area, verb: Verb, *, domain: str, what: str) -> None:
    """For what belongs to a domain ("": to the whole gateway), behind `needs`: whether the caller may do that to it.

    Raises ProblemError (404, `what` is not there) if they may not even see it, else ForbiddenError (403).
    """
    who = principal(request)
    if not (who.may_for(domain, area) or who.may_for(domain, area, verb)):
        raise not_found(what)
    who.require(area, verb, domain=domain)


def as_caller(operation: Callable[..., Any]) -> Callable[..., Any]:
    """What the operation changes is the caller's doing; of a query that it does not know nothing is done at all."""
    known = _query_names(operation)

    @wraps(operation)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        who = caller(request)
        if unknown := sorted(set(request.GET) - known):
            raise unfit("there is no such parameter", place=f"query.{unknown[0][:100]}")
        with acting(Acting(who.principal.actor, Way.API, who.place)):
            return operation(request, *args, **kwargs)

    return wrapped


def _query_names(operation: Callable[..., Any]) -> frozenset[str]:
    models = operation._ninja_operation.models  # type: ignore[attr-defined]  # noqa: SLF001 -- where Ninja keeps it
    queries = [one for one in models if one.__ninja_param_source__ == "query"]
    return frozenset(name for one in queries for name in one.__ninja_flatten_map__)


def _limited(who: Principal, scopes: frozenset[str] | None) -> Principal:
    if scopes is None:
        return who
    known = {f"{area.value}:{verb.value}": (area, verb) for area in Area for verb in Verb}
    return Principal(who.actor, who.roles, who.domains, frozenset(known[one] for one in scopes if one in known))


def _unauthorised(detail: str, error: str = "") -> ProblemError:
    challenge = 'Bearer realm="mailseal"' + (f', error="{error}"' if error else "")
    return ProblemError(HTTPStatus.UNAUTHORIZED, detail, kind="unauthorised", headers={"WWW-Authenticate": challenge})
