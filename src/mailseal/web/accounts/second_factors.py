"""allauth's adapter of second factors: how their secrets are kept, and that the last one stays where one is needed."""

import json
from typing import Any

import qrcode
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mailseal.store.accounts import factors
from mailseal.web import secrets

PURPOSE = "second factor"
QUIET = 4
"""Modules of quiet zone (ISO/IEC 18004 §6.3.8)."""


class SecondFactors(DefaultMFAAdapter):  # type: ignore[misc]  # the library has no types
    """Made by allauth for each use."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "cannot_delete_authenticator": gettext_lazy("A second factor is required: set another one up before."),
    }

    def encrypt(self, text: str) -> str:
        """Sealed with a key that the web role alone has."""
        return secrets.seal(text, purpose=PURPOSE)

    def decrypt(self, encrypted_text: str) -> str:
        """Raises SealError for what another key has sealed."""
        return secrets.open_sealed(encrypted_text, purpose=PURPOSE)

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Not the last one of somebody who needs one."""
        return not settings.MAILSEAL_SECOND_FACTOR or factors.count(authenticator.user_id) > 1

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Authenticator.Type) -> str:  # noqa: A002 -- allauth's name
        """What a passkey is called unless its owner says."""
        number = Authenticator.objects.filter(user_id=user.pk, type=type).count() + 1
        return _("Passkey %(number)d") % {"number": number}

    def _get_site_name(self) -> str:
        return "Mailseal"

    def build_totp_svg(self, url: str) -> str:
        """A QR code without style, script or metadata."""
        code = qrcode.QRCode(border=QUIET)
        code.add_data(url)
        matrix: list[list[bool]] = code.get_matrix()
        path = "".join(f"M{x},{y}h1v1h-1z" for y, row in enumerate(matrix) for x, dark in enumerate(row) if dark)
        size = len(matrix)
        return format_html(
            '<svg width="220" height="220" viewBox="0 0 {} {}" role="img" aria-label="{}" shape-rendering="crispEdges">'
            '<rect width="{}" height="{}" fill="#fff"/><path d="{}" fill="#000"/></svg>',
            size,
            size,
            _("QR code for an authenticator app"),
            size,
            size,
            path,
        )


def as_json(options: Any) -> str:
    """The options of a passkey ceremony, for the page's script."""
    return json.dumps(options)
