"""Forms of second factors: codes with counted failures and growing delays, as for passwords; new passkeys."""

from typing import Any

from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.webauthn.forms import AddWebAuthnForm
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy

from mailseal.store.accounts import lockout
from mailseal.web.accounts import delays
from mailseal.web.accounts.place import place_of


class _Delayed:
    """Before a form of the library that has `user`."""

    user: Any

    def clean_code(self) -> str:
        """The code, or ValidationError."""
        who, place = str(self.user.pk), place_of(context.request)
        delays.require_turn(who, place)
        try:
            code: str = super().clean_code()  # type: ignore[misc]  # the library's form stands behind
        except ValidationError:
            delays.failed(who, place, "code")
            raise
        lockout.succeeded(who, place)
        return code


class SignInCodeForm(_Delayed, AuthenticateForm):  # type: ignore[misc]  # the library has no types
    """When signing in."""


class ConfirmCodeForm(_Delayed, ReauthenticateForm):  # type: ignore[misc]  # the library has no types
    """Before something that needs to be confirmed."""


class AddPasskeyForm(AddWebAuthnForm):  # type: ignore[misc]  # the library has no types
    """A passkey does alone unless its owner says otherwise."""

    passwordless = forms.BooleanField(
        label=gettext_lazy("Sign in with this passkey alone"),
        help_text=gettext_lazy("Without the password: the device asks for a PIN, a finger or a face."),
        required=False,
        initial=True,
    )
