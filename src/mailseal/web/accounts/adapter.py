"""allauth's account adapter: how accounts sign in, and what is recorded of it."""

import time
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core import context
from django.contrib import messages
from django.contrib.auth import authenticate
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

from mailseal.store.accounts import lockout, passwords, providers, sign_ins
from mailseal.store.accounts.errors import AccountError
from mailseal.store.accounts.models import Account
from mailseal.store.accounts.sign_ins import Means
from mailseal.store.acting import Acting, Way, acting
from mailseal.web.accounts import delays
from mailseal.web.accounts.allauth_settings import REAUTHENTICATION_SECONDS
from mailseal.web.accounts.messages import MESSAGES
from mailseal.web.accounts.place import place_of
from mailseal.web.accounts.words import in_words
from mailseal.web.visitor import principal_of

_MEANS = {
    "mfa/email/totp_activated": Means.APP_ADDED,
    "mfa/email/totp_deactivated": Means.APP_REMOVED,
    "mfa/email/recovery_codes_generated": Means.CODES_MADE,
    "mfa/email/webauthn_added": Means.PASSKEY_ADDED,
    "mfa/email/webauthn_removed": Means.PASSKEY_REMOVED,
    "socialaccount/email/account_connected": Means.PROVIDER_LINKED,
}
"""Of the mails that allauth would write: what they are about. The rest is recorded where it is done."""

BEGAN = "mailseal.began"
ELSEWHERE = "mailseal.second_factor_elsewhere"


def display(account: Account) -> str:
    """How an account is called."""
    return account.name or account.email


def _asked_elsewhere(record: dict[str, Any]) -> bool:
    """Whether a provider has asked for a second factor, by allauth's record of a step of signing in."""
    return record.get("method") == "socialaccount" and providers.asks_second_factor(str(record.get("provider")))


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # the library has no types
    """Made by allauth for each request."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 -- allauth's signature
        """Accounts are made by administrators."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """As everywhere here."""
        return place_of(request)

    def is_safe_url(self, url: str) -> bool:
        """Whether a redirect stays on this host: a path."""
        return url.startswith("/") and url_has_allowed_host_and_scheme(url, allowed_hosts=None, require_https=True)

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """Whose password that is, with the delays of `lockout`; raises ValidationError."""
        who, place = str(credentials.get("email", "")), place_of(request)
        delays.require_turn(who, place)
        user = authenticate(request, **credentials)
        AuthenticationBackend.unstash_authenticated_user()
        if user is None:
            delays.failed(who, place, "password or address")
        return user

    def reauthenticate(self, user: AbstractBaseUser, password: str) -> bool:
        """Whether that is the password of who has signed in; raises ValidationError."""
        assert isinstance(user, Account)
        found = self.authenticate(context.request, email=user.email, password=password)
        return found is not None and found.pk == user.pk

    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        """Sign somebody in who has shown all that is asked for; the session gets a new key."""
        assert isinstance(user, Account)
        records = get_authentication_records(request, user)
        super().login(request, user)
        request.session.set_expiry(0)
        request.session[BEGAN] = int(time.time())
        request.session[ELSEWHERE] = any(_asked_elsewhere(record) for record in records)
        ways = [str(record.get("type") or record.get("method")) for record in records]
        place = place_of(request)
        lockout.succeeded(user.email, place)
        with acting(Acting(principal_of(user).actor, Way.CONSOLE, place)):
            sign_ins.signed_in(user, ways)

    def logout(self, request: HttpRequest) -> None:
        """Sign somebody out."""
        if isinstance(request.user, Account):
            sign_ins.signed_out(request.user, str(request.session.session_key or ""))
        super().logout(request)

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:  # noqa: ARG002 -- allauth's signature
        """Not right after signing in."""
        began = int(context.request.session.get(BEGAN, 0))
        return time.time() - began > REAUTHENTICATION_SECONDS

    def clean_password(self, password: str, user: AbstractBaseUser | None = None) -> str:
        """A password that may be set; raises ValidationError."""
        account = user if isinstance(user, Account) else None
        try:
            passwords.require_strong(password, account.email if account else "", account.name if account else "")
        except AccountError as error:
            raise ValidationError(in_words(error)) from None
        return password

    def set_password(self, user: AbstractBaseUser, password: str) -> None:
        """Set it; all other sessions end."""
        assert isinstance(user, Account)
        passwords.set_password(user.pk, password, keep_session=str(self.request.session.session_key or ""))
        user.refresh_from_db()

    def add_message(
        self,
        request: HttpRequest,
        level: int,
        message_template: str | None = None,
        message_context: dict[str, Any] | None = None,  # noqa: ARG002 -- allauth's signature
        extra_tags: str = "",
        message: str | None = None,
    ) -> None:
        """Show a message of the table, or one that was given."""
        text = message or MESSAGES.get(message_template or "")
        if text:
            messages.add_message(request, level, str(text), extra_tags=extra_tags)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """None: what is to be told goes by a job of the worker (`store.accounts.alerts`)."""

    def send_notification_mail(self, template_prefix: str, user: Account, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002 -- allauth's signature
        """None, as above; what it would be about is recorded."""
        if (what := _MEANS.get(template_prefix)) is not None:
            sign_ins.means_changed(user, what)
