"""Operations on logins of users who hand in mail, and on what each may write as its sender (`store.logins`)."""

from datetime import datetime

from django.http import HttpRequest
from ninja import Router
from ninja.responses import Status
from pydantic import Field, SecretStr, StrictBool

from mailseal.keys import login_password
from mailseal.keys.password_hash import hash_password
from mailseal.store import logins
from mailseal.store.login_models import LOGIN_CHARS
from mailseal.store.logins import LoginInfo
from mailseal.store.owners import is_in_domains
from mailseal.web.access import Area, ForbiddenError, Verb
from mailseal.web.api import etag
from mailseal.web.api.authentication import needs, principal
from mailseal.web.api.paging import ITEMS, After, Limit, Page, page
from mailseal.web.api.problem import not_found
from mailseal.web.api.shapes import Given, Shown

router = Router()

MAX_USES = 200


class LoginShown(Shown):
    """A login. It belongs to the administrators of a domain if all that it may use is in their domains."""

    name: str
    enabled: bool
    may_use: list[str] = Field(description="Addresses, domains and wildcards that it may write as envelope sender.")
    created: datetime


class LoginPasswordShown(Shown):
    """A login, and the password that was made for it, which nobody can see again; null if one was given."""

    login: LoginShown
    password: str | None


class LoginPasswordGiven(Given):
    """A password, or null: one is made."""

    password: SecretStr | None = None


class LoginGiven(LoginPasswordGiven):
    """A login to make."""

    name: str = Field(min_length=1, max_length=LOGIN_CHARS)
    may_use: list[str] = Field(max_length=MAX_USES)


class LoginChange(Given):
    """What to change of a login; what is left out stays."""

    enabled: StrictBool | None = None
    may_use: list[str] | None = Field(None, max_length=MAX_USES, description="All that it may use from now on.")


@router.get("", response=Page[LoginShown], auth=needs(Area.LOGINS), operation_id="list_logins")
def list_logins(request: HttpRequest, after: After = "", limit: Limit = ITEMS) -> Page[LoginShown]:
    """Logins by name."""
    rows = logins.page(within=principal(request).domains_for(Area.LOGINS), after=after, limit=limit + 1)
    return page(rows, limit, show=_shown, key=lambda one: one.name)


@router.post("", response={201: LoginPasswordShown}, auth=needs(Area.LOGINS, Verb.CHANGE), operation_id="make_login")
def make_login(request: HttpRequest, given: LoginGiven) -> Status[LoginPasswordShown]:
    """Make a login. One that is named like an address is for who looks after its domain."""
    may_use = _uses(request, given.may_use)
    _require_name(request, given.name)
    password, made = _password(given)
    one = logins.add(given.name, hash_password(password), may_use)
    return Status(201, LoginPasswordShown(login=_shown(one), password=made))


@router.get("/{name}", response=LoginShown, auth=needs(Area.LOGINS), operation_id="get_login")
def get_login(request: HttpRequest, name: str) -> LoginShown:
    """One login."""
    return _shown(_find(request, name, Verb.SEE))


@router.patch("/{name}", response=LoginShown, auth=needs(Area.LOGINS, Verb.CHANGE), operation_id="change_login")
def change_login(request: HttpRequest, name: str, change: LoginChange) -> LoginShown:
    """Let a login in or not, and say what it may use."""

    def write() -> None:
        one = _find(request, name, Verb.CHANGE)
        if change.may_use is not None:
            wanted = _uses(request, change.may_use)
            if more := wanted - set(one.may_use):
                logins.allow(one.name, more)
            if less := set(one.may_use) - wanted:
                logins.deny(one.name, less)
        if change.enabled is not None and change.enabled is not one.enabled:
            logins.set_enabled(one.name, enabled=change.enabled)

    etag.change(request, lambda: _shown(_find(request, name, Verb.CHANGE)), write)
    return _shown(_find(request, name, Verb.SEE))


@router.put(
    "/{name}/password",
    response=LoginPasswordShown,
    auth=needs(Area.LOGINS, Verb.CHANGE),
    operation_id="put_login_password",
)
def put_login_password(request: HttpRequest, name: str, given: LoginPasswordGiven) -> LoginPasswordShown:
    """Set another password; it counts from the next login on."""
    one = _find(request, name, Verb.CHANGE)
    password, made = _password(given)
    logins.set_password(one.name, hash_password(password))
    return LoginPasswordShown(login=_shown(one), password=made)


@router.delete("/{name}", response={204: None}, auth=needs(Area.LOGINS, Verb.CHANGE), operation_id="delete_login")
def delete_login(request: HttpRequest, name: str) -> Status[None]:
    """Delete a login and what it may use."""
    etag.change(
        request,
        lambda: _shown(_find(request, name, Verb.CHANGE)),
        lambda: logins.remove(_find(request, name, Verb.CHANGE).name),
    )
    return Status(204, None)


def _find(request: HttpRequest, name: str, verb: Verb) -> LoginInfo:
    who = principal(request)
    found = logins.find_info(name, within=who.domains_for(Area.LOGINS))
    if found is None:
        raise not_found("login")
    allowed = who.domains_for(Area.LOGINS, verb)
    if allowed is not None and not all(is_in_domains(one, allowed) for one in found.may_use):
        raise ForbiddenError("your roles do not allow that")
    return found


def _uses(request: HttpRequest, texts: list[str]) -> set[str]:
    """What a login shall be allowed, in its stored form; raises ForbiddenError for what is not the caller's to give."""
    wanted = {logins.may_use_owner(one) for one in texts}
    allowed = principal(request).domains_for(Area.LOGINS, Verb.CHANGE)
    if allowed is not None and not (wanted and all(is_in_domains(one, allowed) for one in wanted)):
        raise ForbiddenError("your roles allow that for your own domains only, and for at least one of them")
    return wanted


def _require_name(request: HttpRequest, name: str) -> None:
    """Names are of the whole gateway: nobody takes those away that people of other domains would have."""
    allowed = principal(request).domains_for(Area.LOGINS, Verb.CHANGE)
    if allowed is not None and "@" in name and not is_in_domains(logins.login_name(name), allowed):
        raise ForbiddenError("a login that is named like an address is for who looks after its domain")


def _password(given: LoginPasswordGiven) -> tuple[bytes, str | None]:
    """The password, and what is to be told of it: one that was made here. Raises UnfitPasswordError."""
    if given.password is None:
        made = login_password.make()
        return made.encode(), made
    octets = given.password.get_secret_value().encode()
    login_password.require_good(octets)
    return octets, None


def _shown(one: LoginInfo) -> LoginShown:
    return LoginShown(name=one.name, enabled=one.enabled, may_use=list(one.may_use), created=one.created)
