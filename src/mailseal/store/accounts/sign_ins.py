"""What is recorded of signing in and out. Failed tries are counted (`lockout`) and logged: strangers make those."""

from collections.abc import Sequence

from mailseal.store import with_libraries  # noqa: F401 -- the tables below

# isort: split
from allauth.usersessions.models import UserSession

from mailseal.store import audit
from mailseal.store.accounts.models import Account
from mailseal.store.transaction import writes


@writes
def signed_in(account: Account, ways: Sequence[str]) -> None:
    """Somebody has signed in, by these ways ("password", "totp", …)."""
    audit.record("accounts", "sign-in", account.email, after={"ways": list(ways)})


@writes
def signed_out(account: Account, session_key: str) -> None:
    """Somebody has signed out."""
    UserSession.objects.filter(session_key=session_key).delete()
    audit.record("accounts", "sign-out", account.email)
