"""Second factors of accounts: the rows of the library that checks them (allauth.mfa)."""

from collections.abc import Collection, Mapping
from uuid import UUID

from mailseal.store import with_libraries  # noqa: F401 -- the tables below

# isort: split
from allauth.mfa.models import Authenticator

from mailseal.store.transaction import reads, writes

COUNTED = ("totp", "webauthn")
"""What is a second factor; recovery codes only stand in for one."""


@reads
def kinds_of(account_ids: Collection[UUID]) -> Mapping[UUID, frozenset[str]]:
    """The kinds of second factor that each account has; one without any is left out."""
    found: dict[UUID, set[str]] = {}
    rows = Authenticator.objects.filter(user_id__in=account_ids, type__in=COUNTED).values_list("user_id", "type")
    for account_id, kind in rows:
        found.setdefault(account_id, set()).add(kind)
    return {account_id: frozenset(kinds) for account_id, kinds in found.items()}


@reads
def has_any(account_id: UUID) -> bool:
    """Whether an account has a second factor."""
    return bool(Authenticator.objects.filter(user_id=account_id, type__in=COUNTED).exists())


@reads
def count(account_id: UUID) -> int:
    """How many second factors an account has."""
    return int(Authenticator.objects.filter(user_id=account_id, type__in=COUNTED).count())


@writes
def remove_all(account_id: UUID) -> None:
    """All of an account's, recovery codes too."""
    Authenticator.objects.filter(user_id=account_id).delete()
