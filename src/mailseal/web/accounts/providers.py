"""allauth's adapter of OpenID Connect: whom a provider's word lets in (OpenID Connect Core 1.0 §5.7)."""

import time
from typing import Any

import requests
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import render

from mailseal.store.accounts import providers
from mailseal.store.accounts.accounts import account_email
from mailseal.store.accounts.errors import AccountError
from mailseal.web import secrets

PURPOSE = "OpenID provider"
TIMEOUT_SECONDS = 5.0
"""For each octet that is waited for."""
ANSWER_SECONDS = 10.0
MAX_ANSWER_BYTES = 1024 * 1024
CHUNK_BYTES = 16 * 1024


class _Session(requests.Session):
    """With a timeout, without proxies and .netrc of the environment, and by HTTPS alone."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        if settings.MAILSEAL_OPENID_ROOTS is not None:
            self.verify = str(settings.MAILSEAL_OPENID_ROOTS)
        self.mount("http://", _NoHttp())

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """As of requests, but read within `ANSWER_SECONDS` and `MAX_ANSWER_BYTES`; raises RequestException."""
        kwargs.setdefault("timeout", TIMEOUT_SECONDS)
        until = time.monotonic() + ANSWER_SECONDS
        response = super().request(*args, **kwargs | {"stream": True})
        pieces = bytearray()
        with response:
            while piece := response.raw.read1(CHUNK_BYTES, decode_content=True):
                pieces += piece
                if len(pieces) > MAX_ANSWER_BYTES or time.monotonic() > until:
                    raise requests.exceptions.ReadTimeout("a provider's answer is too long or too slow")
        response._content = bytes(pieces)  # noqa: SLF001 -- requests has no other way to have read it by oneself
        return response


class _NoHttp(requests.adapters.BaseAdapter):
    def send(self, *_args: Any, **_kwargs: Any) -> requests.Response:
        """Never in clear."""
        raise requests.exceptions.InvalidSchema("a provider is asked by https alone")

    def close(self) -> None:
        """Nothing is open."""


class Providers(DefaultSocialAccountAdapter):  # type: ignore[misc]  # the library has no types
    """Made by allauth for each request."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:  # noqa: ARG002 -- allauth's
        """A provider makes no account."""
        return False

    def list_apps(self, request: HttpRequest, provider: str | None = None, client_id: str | None = None) -> Any:
        """The rows, with their secret opened; they are not saved."""
        found = super().list_apps(request, provider=provider, client_id=client_id)
        for app in found:
            app.secret = secrets.open_sealed(providers.sealed_secret_of(app), purpose=PURPOSE)
        return found

    def get_requests_session(self) -> requests.Session:
        """How a provider is asked."""
        return _Session()

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Find the account of who signs in for the first time, by an address that the provider has verified."""
        if sociallogin.state.get("process") != "login":
            raise ImmediateHttpResponse(render(request, "403.html", status=403))
        if sociallogin.is_existing:
            return
        app: SocialApp = sociallogin.provider.app
        for one in sociallogin.email_addresses:
            account = providers.account_for(app, _stored(one.email)) if one.verified else None
            if account is not None:
                sociallogin.connect(request, account)
                return


def _stored(email: str) -> str:
    try:
        return account_email(email)
    except AccountError:
        return ""
