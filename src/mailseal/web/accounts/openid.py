"""Signing in by an OpenID Connect provider: allauth's views, behind the policy of headers.

The policy lets forms go to this host alone, also by a redirect (CSP `form-action`): so the way to the provider is a
page that goes there by itself. Whatever a provider answers that is none is a page that says so.
"""

import logging
import threading
from collections.abc import Callable
from http import HTTPStatus

import requests
from allauth.socialaccount.providers.openid_connect import views
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from mailseal.web.accounts.sign_in import refused

_NO_ANSWER = (requests.RequestException, ValueError, KeyError, TypeError, AttributeError)
"""What allauth lets through of answers that are no JSON, or lack what they should have."""

AT_THE_SAME_TIME = 3
"""Conversations with providers: one that says each octet late keeps so many threads of the web, no more."""
TURN_SECONDS = 2.0

_turns = threading.BoundedSemaphore(AT_THE_SAME_TIME)
logger = logging.getLogger(__name__)


@require_POST
def login(request: HttpRequest, provider_id: str) -> HttpResponseBase:
    """Go to the provider; by POST, so that no page of somebody else starts it."""
    response = refused(request) or _asked(request, provider_id, views.login)
    if response.status_code != HTTPStatus.FOUND:
        return response
    location = response.headers["Location"]
    if not location.startswith("https://"):
        return _no_answer(request)
    return render(request, "socialaccount/login_redirect.html", {"redirect_to": location})


@require_GET
def callback(request: HttpRequest, provider_id: str) -> HttpResponseBase:
    """Come back from the provider."""
    return _asked(request, provider_id, views.callback)


def cancelled(_request: HttpRequest) -> HttpResponseBase:
    """Somebody has said no at the provider."""
    return redirect("account_login")


def _asked(
    request: HttpRequest, provider_id: str, view: Callable[[HttpRequest, str], HttpResponseBase]
) -> HttpResponseBase:
    if not _turns.acquire(timeout=TURN_SECONDS):
        logger.warning("an OpenID Connect provider is not asked: others are being asked and do not answer")
        return _no_answer(request)
    try:
        return view(request, provider_id)
    except _NO_ANSWER as error:
        logger.warning("an OpenID Connect provider could not be asked: %s", type(error).__name__)
        return _no_answer(request)
    finally:
        _turns.release()


def _no_answer(request: HttpRequest) -> HttpResponseBase:
    return render(request, "socialaccount/authentication_error.html", status=HTTPStatus.BAD_GATEWAY)
