"""Accounts: made by administrators alone, and one who is administrator is always left.

Every change is recorded; one that touches an administrator, or who releases held mail, is also told to all
administrators by mail.
"""

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Lower

from mailseal.mail.address import Address, AddressError
from mailseal.store import audit, quarantine_actions
from mailseal.store.accounts import alerts, factors, sessions
from mailseal.store.accounts.alerts import Change
from mailseal.store.accounts.errors import AccountError, NoAccountError, StaleAccountError
from mailseal.store.accounts.models import EMAIL_CHARS, NAME_CHARS, Account, LinkRow, TokenRow
from mailseal.store.accounts.roles import Role
from mailseal.store.acting import current
from mailseal.store.audit_mask import Json
from mailseal.store.owners import domain_name
from mailseal.store.row import storable
from mailseal.store.transaction import reads, writes

AREA = "accounts"
PAGE_ROWS = 200
MAX_DOMAINS = 500
VERSION_CHARS = 16
LANGUAGES = ("", "en", "de")
""""" is what the browser asks for."""


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """An account as administrators see it; times are aware UTC. `version`: changes with what `change` changes."""

    id: UUID
    email: str
    name: str
    language: str
    active: bool
    roles: frozenset[Role]
    domains: frozenset[str]
    created: datetime
    last_login: datetime | None
    has_password: bool
    second_factors: frozenset[str]
    version: str


def key_of(account_id: UUID) -> str:
    """As whom an account acts (`actor.Actor`)."""
    return f"account:{account_id}"


def account_email(text: str) -> str:
    """An email address in its stored form, by which somebody signs in; raises AccountError."""
    try:
        found = Address.parse(text.strip()).key
    except AddressError as error:
        raise AccountError(str(error)) from None
    if len(found) > EMAIL_CHARS:
        raise AccountError("the address is too long")
    return found


@writes
def create(email: str, name: str = "", roles: Collection[Role] = (), domains: Collection[str] = ()) -> AccountInfo:
    """A new account without a password, for which `links.make` makes a link; raises AccountError."""
    account = Account(email=account_email(email), password="")
    account.set_unusable_password()
    if Account.objects.filter(email=account.email).exists():
        raise AccountError(f"there is an account {account.email} already")
    _apply(account, name, roles, domains)
    account.save(force_insert=True)
    alerts.tell(Change.MADE, account, account.roles)
    audit.record(AREA, "create", account.email, after=_facts(account))
    return _info(account, frozenset())


@writes
def change(
    account_id: UUID, *, name: str, roles: Collection[Role], domains: Collection[str], expected: str | None = None
) -> AccountInfo:
    """Give an account another name, roles and domains; raises AccountError.

    `expected`: only if the version still is this, else StaleAccountError.
    """
    account = _locked(account_id)
    if expected is not None and expected != version(account):
        raise StaleAccountError("somebody else has changed this account meanwhile")
    before, was = _facts(account), set(account.roles)
    _apply(account, name, roles, domains)
    account.save(update_fields=["name", "roles", "domains"])
    changed = was.symmetric_difference(account.roles)
    if Role.ADMINISTRATOR in changed:
        _require_administrator()
    alerts.tell(Change.ROLES, account, changed)
    audit.record(AREA, "change", account.email, before=before, after=_facts(account))
    return _info(account, factors.kinds_of([account.pk]).get(account.pk, frozenset()))


@writes
def set_active(account_id: UUID, *, active: bool) -> AccountInfo:
    """Let somebody in no longer, or again; raises AccountError. Their sessions, tokens and links end."""
    account = _locked(account_id)
    if account.is_active != active:
        account.is_active = active
        account.save(update_fields=["is_active"])
        if not active:
            _end_all(account)
        if Role.ADMINISTRATOR in account.roles:
            _require_administrator()
        alerts.tell(Change.ACTIVATED if active else Change.DEACTIVATED, account, account.roles)
        audit.record(AREA, "activate" if active else "deactivate", account.email)
    return _info(account, factors.kinds_of([account.pk]).get(account.pk, frozenset()))


@writes
def reset(account_id: UUID) -> AccountInfo:
    """Take an account's password, second factors, sessions and tokens, when its owner lost them or somebody else has
    them. It gets in again by a link (`links.make`). Raises AccountError.
    """
    account = _locked(account_id)
    account.set_unusable_password()
    account.save(update_fields=["password"])
    factors.remove_all(account.pk)
    _end_all(account)
    alerts.tell(Change.RESET, account, account.roles)
    audit.record(AREA, "reset", account.email)
    return _info(account, frozenset())


@writes
def set_profile(account_id: UUID, *, name: str, language: str) -> None:
    """What everybody may change of their own account; raises AccountError."""
    account = _locked(account_id)
    if language not in LANGUAGES:
        raise AccountError("there is no such language")
    before: Json = {"name": account.name, "language": account.language}
    account.name, account.language = _name(name), language
    account.save(update_fields=["name", "language"])
    audit.record(AREA, "profile", account.email, before=before, after={"name": account.name, "language": language})


@reads
def find(account_id: UUID) -> AccountInfo:
    """One account; raises NoAccountError."""
    account = Account.objects.filter(pk=account_id).first()
    if account is None:
        raise NoAccountError("there is no such account")
    return _info(account, factors.kinds_of([account.pk]).get(account.pk, frozenset()))


@reads
def find_by_email(email: str) -> AccountInfo:
    """The account of an address; raises AccountError."""
    account = Account.objects.filter(email=account_email(email)).first()
    if account is None:
        raise NoAccountError(f"there is no account {email}; `mailseal admin list` shows all")
    return _info(account, factors.kinds_of([account.pk]).get(account.pk, frozenset()))


@reads
def list_accounts(*, after: str = "", limit: int = PAGE_ROWS, search: str = "") -> tuple[AccountInfo, ...]:
    """Accounts by email, those behind `after`; `search` is a part of the email or name."""
    rows = Account.objects.filter(email__gt=after).order_by("email")
    if search:
        # Not icontains: the tables' collation compares octet by octet.
        rows = rows.annotate(lower=Lower("name"))
        rows = rows.filter(Q(email__contains=search.casefold()) | Q(lower__contains=search.lower()))
    page = list(rows[: min(limit, PAGE_ROWS)])
    kinds = factors.kinds_of([account.pk for account in page])
    return tuple(_info(account, kinds.get(account.pk, frozenset())) for account in page)


@reads
def administrators() -> tuple[AccountInfo, ...]:
    """Those who may sign in, by email."""
    rows = [one for one in Account.objects.filter(is_active=True).order_by("email") if Role.ADMINISTRATOR in one.roles]
    kinds = factors.kinds_of([account.pk for account in rows])
    return tuple(_info(account, kinds.get(account.pk, frozenset())) for account in rows)


def version(account: Account) -> str:
    """Of what `change` changes."""
    return hashlib.sha256(json.dumps(_facts(account), sort_keys=True).encode()).hexdigest()[:VERSION_CHARS]


def _locked(account_id: UUID) -> Account:
    account = Account.objects.select_for_update().filter(pk=account_id).first()
    if account is None:
        raise NoAccountError("there is no such account")
    return account


def _require_administrator() -> None:
    """Raises AccountError when nobody would be left who can make accounts. Two who take it from each other wait."""
    rows = Account.objects.select_for_update().filter(is_active=True).order_by("pk").values_list("roles", flat=True)
    if not any(Role.ADMINISTRATOR in roles for roles in rows):
        raise AccountError("this is the last administrator: make somebody else one before")


def _end_all(account: Account) -> None:
    """What was done with it so far may have been somebody else."""
    sessions.end_all(account.pk)
    quarantine_actions.withdraw(key_of(account.pk), current().actor, "the account was deactivated or reset")
    TokenRow.objects.filter(account=account).delete()
    LinkRow.objects.filter(account=account).delete()


def _apply(account: Account, name: str, roles: Iterable[Role], domains: Iterable[str]) -> None:
    account.name = _name(name)
    account.roles = sorted({Role(role).value for role in roles})
    try:
        account.domains = sorted({domain_name(domain) for domain in domains})
    except AddressError as error:
        raise AccountError(str(error)) from None
    if len(account.domains) > MAX_DOMAINS:
        raise AccountError(f"an account has {MAX_DOMAINS} domains at most")
    if Role.DOMAIN_ADMINISTRATOR in account.roles and not account.domains:
        raise AccountError("a domain administrator needs the domains that are theirs")


def _name(text: str) -> str:
    name = storable(" ".join(text.split()))
    if len(name) > NAME_CHARS:
        raise AccountError(f"a name has {NAME_CHARS} characters at most")
    return name


def _facts(account: Account) -> Json:
    return {"name": account.name, "roles": account.roles, "domains": account.domains, "active": account.is_active}


def _info(account: Account, second_factors: frozenset[str]) -> AccountInfo:
    return AccountInfo(
        id=account.pk,
        email=account.email,
        name=account.name,
        language=account.language,
        active=account.is_active,
        roles=frozenset(Role(role) for role in account.roles),
        domains=frozenset(account.domains),
        created=account.created,
        last_login=account.last_login,
        has_password=account.has_usable_password(),
        second_factors=second_factors,
        version=version(account),
    )
