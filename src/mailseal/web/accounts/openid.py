"""Signing in by an OpenID Connect provider: allauth's views, behind the policy of headers.

The policy lets forms go to this host alone, also by a redirect (CSP `form-action`): so the way to the provider is a
page that goes there by itself.
"""

from allauth.socialaccount.providers.openid_connect import views
from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

callback = require_GET(views.callback)


def login(request: HttpRequest, provider_id: str) -> HttpResponseBase:
    """Go to the provider; by POST, so that no page of somebody else starts it."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    response: HttpResponseBase = views.login(request, provider_id)
    location = response.headers.get("Location", "")
    if response.status_code == 302 and location.startswith("https://"):
        return render(request, "socialaccount/login_redirect.html", {"redirect_to": location})
    return response


def cancelled(_request: HttpRequest) -> HttpResponseBase:
    """Somebody has said no at the provider."""
    return redirect("account_login")
