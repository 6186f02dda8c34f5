"""Removing a passkey: allauth's page, which asks whether the last second factor may go for apps only."""

from allauth.mfa.adapter import get_adapter
from allauth.mfa.webauthn.views import RemoveWebAuthnView
from django import forms
from django.http import HttpResponseBase


class RemovePasskey(RemoveWebAuthnView):  # type: ignore[misc]  # the library has no types
    """Not the last second factor of somebody who needs one."""

    def form_valid(self, form: forms.Form) -> HttpResponseBase:
        """Remove it, or say why not."""
        adapter = get_adapter()
        if not adapter.can_delete_authenticator(self.get_object()):
            form.add_error(None, adapter.error_messages["cannot_delete_authenticator"])
            refused: HttpResponseBase = self.form_invalid(form)
            return refused
        removed: HttpResponseBase = super().form_valid(form)
        return removed
