"""Who a request comes from: the account of the session as a Principal, and who acts, for what is recorded."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from mailseal.store.accounts.accounts import key_of
from mailseal.store.accounts.models import Account
from mailseal.store.accounts.roles import Role
from mailseal.store.acting import Acting, Way, acting
from mailseal.store.quarantine_events import MAILSEAL, Actor
from mailseal.web.access import Principal


def principal_of(account: Account) -> Principal:
    """What an account may do."""
    actor = Actor(key_of(account.pk), account.name or account.email)
    roles = frozenset(Role(name) for name in account.roles)
    return Principal(actor, roles, frozenset(account.domains))


class Visitor:
    """Middleware: `request.principal` is who has signed in, or None; what they change is recorded as theirs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer."""
        principal = principal_of(request.user) if isinstance(request.user, Account) else None
        request.principal = principal  # type: ignore[attr-defined]  # where the guard and the pages look for it
        place = str(request.META.get("REMOTE_ADDR", ""))
        with acting(Acting(MAILSEAL if principal is None else principal.actor, Way.CONSOLE, place)):
            return self._get_response(request)
