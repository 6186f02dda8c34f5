"""Where a second factor is required, who has none sees nothing but the pages where one is set up."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse

from mailseal.store.accounts import factors
from mailseal.store.accounts.models import Account
from mailseal.web.accounts.adapter import ELSEWHERE

HAS_ONE = "mailseal.has_second_factor"
OPEN = ("/account/login/", "/account/logout/", "/account/reauthenticate/", "/account/second-factor/", "/static/")


class RequiredFactor:
    """Middleware, behind the one that knows who has signed in.

    That somebody has one is remembered in the session: the last one cannot be removed (`SecondFactors`), and an
    administrator who resets an account ends its sessions.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, or send to the page."""
        required = settings.MAILSEAL_SECOND_FACTOR and not request.path.startswith(OPEN)
        if required and self._lacks(request):
            return HttpResponseRedirect(reverse("mfa_index"))
        return self._get_response(request)

    def _lacks(self, request: HttpRequest) -> bool:
        if not isinstance(request.user, Account):
            return False
        session = request.session
        if session.get(HAS_ONE) or session.get(ELSEWHERE):
            return False
        if factors.has_any(request.user.pk):
            session[HAS_ONE] = True
            return False
        return True
