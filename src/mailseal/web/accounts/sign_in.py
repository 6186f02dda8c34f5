"""The page where people sign in: allauth's, with the providers of OpenID Connect."""

from typing import Any

from allauth.account.views import LoginView
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render

from mailseal.store.accounts import providers


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
