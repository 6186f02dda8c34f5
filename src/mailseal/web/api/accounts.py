"""Operations on accounts: who may use the console and the API, and what for (`store.accounts.accounts`).

What touches an administrator is told to all of them by mail. Passwords and second factors are set by people alone.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse
from ninja import Query, Router
from ninja.responses import Status
from pydantic import Field

from mailseal.store.accounts import accounts, links, lockout, sessions
from mailseal.store.accounts.accounts import MAX_DOMAINS, AccountInfo
from mailseal.store.accounts.errors import NoAccountError
from mailseal.store.accounts.models import EMAIL_CHARS, NAME_CHARS
from mailseal.store.accounts.roles import Role
from mailseal.web.access import GRANTS, Area, Verb
from mailseal.web.api import etag
from mailseal.web.api.authentication import needs
from mailseal.web.api.paging import ITEMS, After, Limit, Page, page
from mailseal.web.api.problem import not_found
from mailseal.web.api.shapes import Given, Shown

router = Router()

Name = Annotated[str, Field(max_length=NAME_CHARS)]
Roles = Annotated[list[Role], Field(max_length=len(Role))]
Domains = Annotated[list[str], Field(max_length=MAX_DOMAINS, description="What a domain administrator is limited to.")]
Search = Annotated[str, Query(max_length=200, description="A part of the address or name.")]


class AccountShown(Shown):
    """An account."""

    id: str
    email: str
    name: str
    active: bool = Field(description="False: may not sign in, and has no sessions, tokens and links.")
    roles: list[Role]
    domains: list[str]
    created: datetime
    last_sign_in: datetime | None
    has_password: bool
    second_factors: list[str] = Field(description="`totp`, `webauthn` (passkeys).")


class AccountChange(Given):
    """What can be said of an account."""

    name: Name = ""
    roles: Roles
    domains: Domains = Field(default_factory=list)


class AccountGiven(AccountChange):
    """A new account."""

    email: str = Field(max_length=EMAIL_CHARS, description="By which its owner signs in.")


class LinkMade(Shown):
    """A one-time link by which the owner of an account sets its password. Nobody can see it again."""

    link: str
    expires: datetime


class RoleShown(Shown):
    """A built-in role."""

    role: Role
    may: list[str] = Field(description="Like `log:see`; of a domain administrator for their domains alone.")


_SEE, _CHANGE = needs(Area.ACCOUNTS), needs(Area.ACCOUNTS, Verb.CHANGE)


@router.get("", response=Page[AccountShown], auth=_SEE, operation_id="list_accounts")
def list_accounts(
    request: HttpRequest,
    search: Search = "",
    after: After = "",
    limit: Limit = ITEMS,
) -> Page[AccountShown]:
    """Accounts by address."""
    rows = accounts.list_accounts(after=after, limit=limit + 1, search=search)
    return page(rows, limit, show=_shown, key=lambda one: one.email)


@router.get("/roles", response=Page[RoleShown], auth=_SEE, operation_id="list_roles")
def list_roles(request: HttpRequest) -> Page[RoleShown]:
    """The built-in roles, and what each may do."""
    found = [
        RoleShown(role=role, may=sorted(f"{area}:{verb}" for area, verbs in grants.items() for verb in verbs))
        for role, grants in GRANTS.items()
    ]
    return Page(items=found, next=None)


@router.post("", response={201: AccountShown}, auth=_CHANGE, operation_id="create_account")
def create_account(request: HttpRequest, account: AccountGiven) -> Status[AccountShown]:
    """Make an account without a password; a link sets that."""
    made = accounts.create(account.email, account.name, account.roles, account.domains)
    return Status(201, _shown(made))


@router.get("/{account}", response=AccountShown, auth=_SEE, operation_id="get_account")
def get_account(request: HttpRequest, account: UUID) -> AccountShown:
    """One account."""
    return _find(account)


@router.put("/{account}", response=AccountShown, auth=_CHANGE, operation_id="put_account")
def put_account(request: HttpRequest, account: UUID, change: AccountChange) -> AccountShown:
    """Give an account another name, roles and domains. One administrator is always left."""
    _find(account)
    made = etag.change(
        request,
        lambda: _find(account),
        lambda: accounts.change(account, name=change.name, roles=change.roles, domains=change.domains),
    )
    return _shown(made)


@router.post("/{account}/activate", response=AccountShown, auth=_CHANGE, operation_id="activate_account")
def activate_account(request: HttpRequest, account: UUID) -> AccountShown:
    """Let somebody in again."""
    _find(account)
    return _shown(accounts.set_active(account, active=True))


@router.post("/{account}/deactivate", response=AccountShown, auth=_CHANGE, operation_id="deactivate_account")
def deactivate_account(request: HttpRequest, account: UUID) -> AccountShown:
    """Let somebody in no longer; sessions, tokens and links end at once."""
    _find(account)
    return _shown(accounts.set_active(account, active=False))


@router.post("/{account}/reset", response=AccountShown, auth=_CHANGE, operation_id="reset_account")
def reset_account(request: HttpRequest, account: UUID) -> AccountShown:
    """Take an account's password, second factors, sessions and tokens."""
    found = _find(account)
    made = accounts.reset(account)
    lockout.forget([found.email, found.id])
    return _shown(made)


@router.post("/{account}/end-sessions", response={204: None}, auth=_CHANGE, operation_id="end_account_sessions")
def end_account_sessions(request: HttpRequest, account: UUID) -> Status[None]:
    """End all sessions of an account."""
    _find(account)
    sessions.end_all(account)
    return Status(204, None)


@router.post("/{account}/link", response={201: LinkMade}, auth=_CHANGE, operation_id="make_account_link")
def make_account_link(request: HttpRequest, account: UUID) -> Status[LinkMade]:
    """Make a one-time link; earlier ones end, and failed sign-ins are forgotten."""
    found = _find(account)
    secret, expires = links.make(account)
    lockout.forget([found.email, found.id])
    url = f"{request.build_absolute_uri(reverse('account_link'))}#{secret}"
    return Status(201, LinkMade(link=url, expires=expires))


def _find(account: UUID) -> AccountShown:
    try:
        return _shown(accounts.find(account))
    except NoAccountError:
        raise not_found("account") from None


def _shown(one: AccountInfo) -> AccountShown:
    return AccountShown(
        id=str(one.id),
        email=one.email,
        name=one.name,
        active=one.active,
        roles=sorted(one.roles),
        domains=sorted(one.domains),
        created=one.created,
        last_sign_in=one.last_login,
        has_password=one.has_password,
        second_factors=sorted(one.second_factors),
    )
