"""What is recorded of signing in and out, and of by what. Failed tries are counted (`lockout`) and logged instead."""

from collections.abc import Sequence
from enum import StrEnum

from mailseal.store import with_libraries  # noqa: F401 -- the tables below

# isort: split
from allauth.usersessions.models import UserSession

from mailseal.store import audit
from mailseal.store.accounts.models import Account
from mailseal.store.transaction import writes


class Means(StrEnum):
    """What somebody has changed of the means by which they sign in."""

    APP_ADDED = "app-added"
    APP_REMOVED = "app-removed"
    CODES_MADE = "codes-made"
    PASSKEY_ADDED = "passkey-added"
    PASSKEY_REMOVED = "passkey-removed"
    PROVIDER_LINKED = "provider-linked"


@writes
def signed_in(account: Account, ways: Sequence[str]) -> None:
    """Somebody has signed in, by these ways ("password", "totp", …)."""
    audit.record("accounts", "sign-in", account.email, after={"ways": list(ways)})


@writes
def signed_out(account: Account, session_key: str) -> None:
    """Somebody has signed out."""
    UserSession.objects.filter(session_key=session_key).delete()
    audit.record("accounts", "sign-out", account.email)


@writes
def means_changed(account: Account, what: Means) -> None:
    """Somebody has another means of signing in, or one less."""
    match what:
        case Means.APP_ADDED:
            audit.record("accounts", "add-authenticator-app", account.email)
        case Means.APP_REMOVED:
            audit.record("accounts", "remove-authenticator-app", account.email)
        case Means.CODES_MADE:
            audit.record("accounts", "make-recovery-codes", account.email)
        case Means.PASSKEY_ADDED:
            audit.record("accounts", "add-passkey", account.email)
        case Means.PASSKEY_REMOVED:
            audit.record("accounts", "remove-passkey", account.email)
        case Means.PROVIDER_LINKED:
            audit.record("accounts", "link-provider", account.email)
