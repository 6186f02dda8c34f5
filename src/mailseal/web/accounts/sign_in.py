"""The pages where people sign in: allauth's, with the providers of OpenID Connect, and a bound for strangers.

What is kept of who has not signed in yet (a challenge, the state of a way to a provider) is a row of a session: so
many a minute from one network, and for a quarter of an hour.
"""

from typing import Any

from allauth.account.views import LoginView
from allauth.core import ratelimit
from allauth.core.internal import ratelimit as limits
from allauth.mfa.webauthn.views import LoginWebAuthnView
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render

from mailseal.store.accounts import providers
from mailseal.web.accounts.allauth_settings import SIGN_IN_SECONDS


class SignIn(LoginView):  # type: ignore[misc]  # the library has no types
    """Password, passkey or provider."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Who comes by a link elsewhere brings no cookie (SameSite=Strict), signed in or not: from here they do."""
        wanted = self.get_next_url()
        came_from_elsewhere = request.headers.get("Sec-Fetch-Site") == "cross-site"
        if came_from_elsewhere and wanted and settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return render(request, "socialaccount/login_redirect.html", {"redirect_to": wanted})
        response: HttpResponseBase = super().get(request, *args, **kwargs)
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """For the template."""
        found: dict[str, Any] = super().get_context_data(**kwargs)
        return found | {"providers": providers.list_providers()}


class PasskeyAlone(LoginWebAuthnView):  # type: ignore[misc]  # the library has no types
    """Asked for a challenge by the script of the page, then for what the passkey made of it."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """A challenge."""
        return refused(request) or super().get(request, *args, **kwargs)


def refused(request: HttpRequest) -> HttpResponseBase | None:
    """429 for who begins to sign in too often; else None, and what is kept of it is so for a short time."""
    if not limits.consume(request, app="allauth.mfa", action="webauthn_login", limit_get=True):
        response: HttpResponseBase = ratelimit.respond_429(request)
        return response
    if not request.user.is_authenticated:
        request.session.set_expiry(SIGN_IN_SECONDS)
    return None
