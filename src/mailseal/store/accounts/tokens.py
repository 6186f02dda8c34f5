"""API tokens: made for an account, shown once, kept as a digest (RFC 6750).

A token may never do more than its account; its scopes make that less. What a scope means is `mailseal.web.access`.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from mailseal.store import audit
from mailseal.store.accounts.errors import AccountError
from mailseal.store.accounts.models import NAME_CHARS, PLACE_CHARS, Account, TokenRow
from mailseal.store.accounts.secret_text import MAX_SECRET_CHARS, digest, new_secret
from mailseal.store.audit_mask import Json
from mailseal.store.row import utc_now
from mailseal.store.transaction import reads, run, writes

PREFIX = "mailseal_"
MAX_LIFE = timedelta(days=366)
MAX_TOKENS = 50
"""Of one account."""
MAX_SCOPES = 200
USE_NOTED_EVERY = timedelta(minutes=1)
_SCOPE = re.compile(r"[a-z-]{1,40}:[a-z-]{1,20}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Token:
    """What is shown of a token. `scopes`: "area:verb", None for all that the account may; times are aware UTC."""

    id: UUID
    account_id: UUID
    name: str
    scopes: frozenset[str] | None
    created: datetime
    expires: datetime
    last_used: datetime | None
    last_place: str


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """A token that is valid now, and whose it is: an account that may sign in."""

    token: Token
    account: Account


@writes
def make(account_id: UUID, name: str, scopes: Collection[str] | None, expires: datetime) -> tuple[Token, str]:
    """A new token and its secret, which nobody can see again; raises AccountError."""
    account = Account.objects.select_for_update().filter(pk=account_id, is_active=True).first()
    if account is None:
        raise AccountError("there is no such account, or it is not active")
    title = name.strip()
    if not title or len(title) > NAME_CHARS:
        raise AccountError(f"a token needs a name, of {NAME_CHARS} characters at most")
    if not utc_now() < expires <= utc_now() + MAX_LIFE:
        raise AccountError(f"a token has to expire, within {MAX_LIFE.days} days")
    if TokenRow.objects.filter(account=account, expires__gt=utc_now()).count() >= MAX_TOKENS:
        raise AccountError(f"an account has {MAX_TOKENS} tokens at most; delete one that is not needed")
    secret = new_secret(PREFIX)
    row = TokenRow(account=account, name=title, digest=digest(secret), scopes=_read_scopes(scopes), expires=expires)
    row.save(force_insert=True)
    audit.record("accounts", "make-token", account.email, after=_facts(row))
    return _token(row), secret


@reads
def find(secret: str) -> TokenHolder | None:
    """Whose token that is; None: nobody's, or it has expired, or its account may not sign in."""
    if not secret.startswith(PREFIX) or len(secret) > MAX_SECRET_CHARS:
        return None
    found = TokenRow.objects.select_related("account").filter(digest=digest(secret), expires__gt=utc_now()).first()
    if found is None or not found.account.is_active:
        return None
    return TokenHolder(_token(found), found.account)


def note_use(token: Token, place: str) -> None:
    """That it was used, from an IP address; written once a minute, so that reading takes no lock."""
    now = utc_now()
    if token.last_used is None or token.last_used < now - USE_NOTED_EVERY or token.last_place != place:
        used = {"last_used": now, "last_place": place[:PLACE_CHARS]}
        run(lambda: TokenRow.objects.filter(pk=token.id).update(**used))


@reads
def list_tokens(account_id: UUID) -> tuple[Token, ...]:
    """An account's tokens, also expired ones, the newest first."""
    return tuple(map(_token, TokenRow.objects.filter(account_id=account_id).order_by("-pk")))


@writes
def revoke(account_id: UUID, token_id: UUID) -> Token:
    """Delete an account's token; raises AccountError."""
    row = TokenRow.objects.select_related("account").filter(account_id=account_id, pk=token_id).first()
    if row is None:
        raise AccountError("there is no such token")
    token = _token(row)
    row.delete()
    audit.record("accounts", "revoke-token", row.account.email, before=_facts(row))
    return token


def _read_scopes(scopes: Collection[str] | None) -> list[str] | None:
    if scopes is None:
        return None
    if not scopes or len(scopes) > MAX_SCOPES or not all(map(_SCOPE.match, scopes)):
        raise AccountError('scopes are pairs such as "log:see", at least one')
    return sorted(set(scopes))


def _facts(row: TokenRow) -> Json:
    return {"name": row.name, "scopes": row.scopes, "expires": row.expires.isoformat()}


def _token(row: TokenRow) -> Token:
    scopes = None if row.scopes is None else frozenset(row.scopes)
    return Token(row.pk, row.account_id, row.name, scopes, row.created, row.expires, row.last_used, row.last_place)
