"""`mailseal admin`: who may use the console and the API. The first administrator is made here."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import click

from mailseal.cli.output import Row, confirm, json_option, show, show_one, yes_option
from mailseal.cli.session import Session, pass_session
from mailseal.config import Config
from mailseal.store.accounts import accounts, links, lockout
from mailseal.store.accounts.accounts import AccountInfo
from mailseal.store.accounts.errors import AccountError
from mailseal.store.accounts.roles import Role

COLUMNS = ("email", "name", "roles", "domains", "active", "password", "second_factors", "last_sign_in")

HTTPS_PORT = 443

role_option: Callable[[Any], Any] = click.option(
    "--role", "roles", multiple=True, type=click.Choice([role.value for role in Role]), help="What for; again for more."
)
domain_option: Callable[[Any], Any] = click.option(
    "--domain", "domains", multiple=True, help="A domain that is a domain administrator's; again for more."
)
hours_option: Callable[[Any], Any] = click.option(
    "--hours",
    type=click.IntRange(1, int(links.MAX_LIFE / timedelta(hours=1))),
    default=int(links.LIFE / timedelta(hours=1)),
    show_default=True,
    help="How long the link is good for.",
)


@click.group()
def admin() -> None:
    """Accounts of the console and the API."""


@admin.command("create")
@click.argument("email")
@click.option("--name", default="", help="How they are called.")
@role_option
@domain_option
@hours_option
@json_option
@pass_session
def create(
    session: Session, *, email: str, name: str, roles: Sequence[str], domains: Sequence[str], hours: int, as_json: bool
) -> None:
    """Make an account, and the link by which its password is set. Without --role: an administrator."""
    config = session.open_store()

    one = accounts.create(email, name, [Role(role) for role in roles] or [Role.ADMINISTRATOR], domains)
    show_one(_row(one) | _link(config, one.id, hours), as_json=as_json)


@admin.command("list")
@json_option
@pass_session
def list_(session: Session, *, as_json: bool) -> None:
    """All accounts."""
    session.open_store()

    rows: list[Row] = []
    after = ""
    while page := accounts.list_accounts(after=after):
        rows += map(_row, page)
        after = page[-1].email
    show(rows, COLUMNS, as_json=as_json, nothing="no account yet; mailseal admin create EMAIL")


@admin.command("roles")
@click.argument("email")
@role_option
@domain_option
@json_option
@pass_session
def roles_(session: Session, *, email: str, roles: Sequence[str], domains: Sequence[str], as_json: bool) -> None:
    """Give an account these roles and domains, and no others."""
    session.open_store()

    if not roles:
        raise AccountError("an account needs a --role; `mailseal admin deactivate` lets somebody in no longer")
    one = accounts.find_by_email(email)
    changed = accounts.change(one.id, name=one.name, roles=[Role(role) for role in roles], domains=domains)
    show_one(_row(changed), as_json=as_json)


@admin.command("link")
@click.argument("email")
@hours_option
@json_option
@pass_session
def link(session: Session, *, email: str, hours: int, as_json: bool) -> None:
    """Make a one-time link by which the account's password is set; failed sign-ins are forgotten.

    Second factors stay: `mailseal admin reset` takes them too.
    """
    config = session.open_store()

    one = accounts.find_by_email(email)
    lockout.forget([one.email, str(one.id)])
    show_one(_link(config, one.id, hours), as_json=as_json)


@admin.command("deactivate")
@click.argument("email")
@yes_option
@pass_session
def deactivate(session: Session, *, email: str, yes: bool) -> None:
    """Let somebody in no longer; their sessions and tokens end at once. The last administrator stays."""
    session.open_store()

    one = accounts.find_by_email(email)
    confirm(f"Let {one.email} in no longer? Sessions and tokens end", yes=yes)
    accounts.set_active(one.id, active=False)


@admin.command("activate")
@click.argument("email")
@pass_session
def activate(session: Session, *, email: str) -> None:
    """Let somebody in again."""
    session.open_store()

    accounts.set_active(accounts.find_by_email(email).id, active=True)


@admin.command("reset")
@click.argument("email")
@hours_option
@json_option
@yes_option
@pass_session
def reset(session: Session, *, email: str, hours: int, as_json: bool, yes: bool) -> None:
    """Take an account's password, second factors, sessions and tokens, and make a link to begin anew."""
    config = session.open_store()

    one = accounts.find_by_email(email)
    confirm(f"Take the password, second factors, sessions and tokens of {one.email}?", yes=yes)
    accounts.reset(one.id)
    lockout.forget([one.email, str(one.id)])
    show_one(_link(config, one.id, hours), as_json=as_json)


def _link(config: Config, account_id: UUID, hours: int) -> dict[str, object]:
    secret, expires = links.make(account_id, timedelta(hours=hours))
    return {"link": f"https://{_console(config)}{links.PATH}#{secret}", "link_expires": expires}


def _console(config: Config) -> str:
    """Where browsers ask for the console; behind a proxy of their own on its usual port."""
    host = next(iter(config.web.hosts), config.hostname)
    listen = config.web.listen
    at_own_port = listen is not None and listen.path is None and listen.port != HTTPS_PORT
    return f"{host}:{listen.port}" if listen is not None and at_own_port else host


def _row(one: AccountInfo) -> dict[str, object]:
    return {
        "email": one.email,
        "name": one.name,
        "roles": sorted(one.roles),
        "domains": sorted(one.domains),
        "active": one.active,
        "password": one.has_password,
        "second_factors": sorted(one.second_factors),
        "last_sign_in": one.last_login,
    }
