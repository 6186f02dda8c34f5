"""Operations on the caller: what they may do, and their tokens. A token makes none, so that one that leaked ends."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.http import HttpRequest
from ninja import Router
from ninja.responses import Status
from pydantic import Field

from mailseal.store.accounts import tokens
from mailseal.store.accounts.roles import Role
from mailseal.store.accounts.tokens import Token
from mailseal.web.access import Area, Verb
from mailseal.web.api.authentication import caller, needs
from mailseal.web.api.paging import Page
from mailseal.web.api.problem import not_found
from mailseal.web.api.shapes import Shown

router = Router()


class TokenShown(Shown):
    """A token, without its secret."""

    id: str
    name: str
    scopes: list[str] | None = Field(description="Like `log:see`; null: all that the account may.")
    created: datetime
    expires: datetime
    last_used: datetime | None
    last_place: str = Field(description="The IP address of its last use.")


class MeShown(Shown):
    """Whose token this is, and what may be done with it."""

    account: str
    email: str
    name: str
    roles: list[Role]
    domains: list[str] = Field(description="What a domain administrator is limited to.")
    may: list[str] = Field(description="What can be done with this token somewhere, like `log:see`.")
    token: TokenShown


@router.get("", response=MeShown, auth=needs(None), operation_id="get_me")
def get_me(request: HttpRequest) -> MeShown:
    """Who calls."""
    who = caller(request)
    return MeShown(
        account=str(who.account.pk),
        email=who.account.email,
        name=who.account.name,
        roles=sorted(who.principal.roles),
        domains=sorted(who.principal.domains),
        may=[f"{area}:{verb}" for area in Area for verb in Verb if who.principal.may(area, verb)],
        token=_shown(who.token),
    )


@router.get("/tokens", response=Page[TokenShown], auth=needs(None), operation_id="list_my_tokens")
def list_my_tokens(request: HttpRequest) -> Page[TokenShown]:
    """The tokens of the account, the newest first; for a token with scopes it alone."""
    return Page(items=[_shown(one) for one in _within_reach(request)], next=None)


@router.delete("/tokens/{token}", response={204: None}, auth=needs(None), operation_id="revoke_my_token")
def revoke_my_token(request: HttpRequest, token: UUID) -> Status[None]:
    """Revoke a token of the account; it may be this one. A token with scopes revokes itself alone."""
    if token not in {one.id for one in _within_reach(request)}:
        raise not_found("token")
    tokens.revoke(caller(request).account.pk, token)
    return Status(204, None)


def _within_reach(request: HttpRequest) -> Sequence[Token]:
    """One that was made for little shall not end those that do more."""
    who = caller(request)
    return tokens.list_tokens(who.account.pk) if who.token.scopes is None else (who.token,)


def _shown(one: Token) -> TokenShown:
    return TokenShown(
        id=str(one.id),
        name=one.name,
        scopes=None if one.scopes is None else sorted(one.scopes),
        created=one.created,
        expires=one.expires,
        last_used=one.last_used,
        last_place=one.last_place,
    )
