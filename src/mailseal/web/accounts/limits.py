"""How long a session lasts (OWASP ASVS 3.3): so long in all, and so long without a request; its last use is noted."""

import time
from collections.abc import Callable

from allauth.account.internal import flows
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from mailseal.store.accounts import sessions
from mailseal.store.accounts.models import Account
from mailseal.web.accounts.adapter import BEGAN
from mailseal.web.accounts.place import place_of

SEEN = "mailseal.seen"


class SessionLimits:
    """Middleware, behind the one that knows who has signed in and before all that asks."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer."""
        if isinstance(request.user, Account):
            self._look(request, request.user)
        return self._get_response(request)

    def _look(self, request: HttpRequest, account: Account) -> None:
        now = int(time.time())
        session = request.session
        began = int(session.setdefault(BEGAN, now))
        seen = int(session.get(SEEN, now))
        too_old, too_idle = now - began > settings.SESSION_COOKIE_AGE, now - seen > settings.MAILSEAL_IDLE_SECONDS
        if too_old or too_idle:
            flows.logout.logout(request, show_message=False)
        elif SEEN not in session or now - seen >= sessions.SEEN_EVERY.total_seconds():
            session[SEEN] = now
            browser = request.headers.get("User-Agent", "")
            sessions.seen(account.pk, str(session.session_key or ""), place_of(request), browser)
