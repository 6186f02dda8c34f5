"""Forms of second factors: codes with counted failures and growing delays, as for passwords; passkeys."""

import struct
from typing import Any

from allauth.core import context
from allauth.core.internal.cryptokit import normalize_user_code
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.webauthn import forms as passkeys
from cryptography.exceptions import InvalidSignature
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy

from mailseal.store.accounts import lockout
from mailseal.web.accounts import delays
from mailseal.web.accounts.place import place_of

_NONSENSE = (ValueError, TypeError, LookupError, AttributeError, struct.error, InvalidSignature)
"""What fido2 raises, and allauth lets through, for what is no answer of an authenticator."""


class _Delayed:
    """Before a form of the library that has `user`."""

    user: Any

    def clean_code(self) -> str:
        """The code, or ValidationError."""
        who, place = str(self.user.pk), place_of(context.request)
        delays.require_turn(who, place)
        try:
            code: str = super().clean_code()  # type: ignore[misc]  # the library's form stands behind
            # The library remembers a used code in the memory of this process, and not for sure.
            if not lockout.first_use(who, normalize_user_code(code)):
                raise get_adapter().validation_error("incorrect_code")
        except ValidationError:
            delays.failed(who, place, "code")
            raise
        lockout.succeeded(who, place)
        return code


class SignInCodeForm(_Delayed, AuthenticateForm):  # type: ignore[misc]  # the library has no types
    """When signing in."""


class ConfirmCodeForm(_Delayed, ReauthenticateForm):  # type: ignore[misc]  # the library has no types
    """Before something that needs to be confirmed."""


class _Checked:
    """Before a form of the library that reads the answer of an authenticator; nonsense is a wrong one."""

    def clean_credential(self) -> Any:
        """Whose passkey it is, or ValidationError."""
        try:
            return super().clean_credential()  # type: ignore[misc]  # the library's form stands behind
        except _NONSENSE:
            raise get_adapter().validation_error("incorrect_code") from None


class SignInPasskeyForm(_Checked, passkeys.AuthenticateWebAuthnForm):  # type: ignore[misc]  # the library has no types
    """As second factor."""


class PasskeyAloneForm(_Checked, passkeys.LoginWebAuthnForm):  # type: ignore[misc]  # the library has no types
    """Without a password."""


class ConfirmPasskeyForm(_Checked, passkeys.ReauthenticateWebAuthnForm):  # type: ignore[misc]  # the library has none
    """Before something that needs to be confirmed."""


class AddPasskeyForm(passkeys.AddWebAuthnForm):  # type: ignore[misc]  # the library has no types
    """A new one; it does alone unless its owner says otherwise."""

    passwordless = forms.BooleanField(
        label=gettext_lazy("Sign in with this passkey alone"),
        help_text=gettext_lazy("Without the password: the device asks for a PIN, a finger or a face."),
        required=False,
        initial=True,
    )

    def clean(self) -> dict[str, Any]:
        """What was sent, or ValidationError."""
        try:
            found: dict[str, Any] = super().clean()
        except _NONSENSE:
            raise get_adapter().validation_error("incorrect_code") from None
        return found
