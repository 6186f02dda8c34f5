"""`mailseal submission`: logins of users who hand in mail, and what each may write as its sender."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.output import confirm, json_option, read_file, show, show_one, yes_option
from mailseal.cli.session import Session, pass_session
from mailseal.keys import login_password
from mailseal.keys.password_hash import hash_password
from mailseal.store import logins
from mailseal.store.logins import LoginInfo

_password_file: Callable[[Any], Any] = click.option(
    "--password-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The password is the one line of this file, which may be /dev/fd/N; `-` is standard input.",
)
_generate: Callable[[Any], Any] = click.option("--generate", is_flag=True, help="Make a password and show it once.")


@click.group()
def submission() -> None:
    """Logins of users who hand in mail to Postfix (docs/submission.md)."""


@submission.command("list")
@json_option
@pass_session
def list_(session: Session, *, as_json: bool) -> None:
    """All logins, and which sender addresses each may use."""
    session.open_store()

    rows = [_row(one) | {"created": one.created} for one in logins.list_logins()]
    columns = ("login", "enabled", "may_use", "created")
    show(rows, columns, as_json=as_json, nothing="no login yet; mailseal submission add NAME")


@submission.command("add")
@click.argument("name")
@click.option("--may-use", multiple=True, metavar="WHAT", help="As of `allow`; may be given again.")
@_password_file
@_generate
@json_option
@pass_session
def add(
    session: Session, *, name: str, may_use: Sequence[str], password_file: Path | None, generate: bool, as_json: bool
) -> None:
    """Make a login. Its password is asked for, read from a file, or made.

    A login that is an address may use that address, unless --may-use says otherwise.
    """
    name = logins.login_name(name)
    may_use = may_use or ([name] if "@" in name else [])
    for what in may_use:
        logins.may_use_owner(what)
    password, made = _password(name, password_file, generate=generate)
    session.open_store()

    one = logins.add(name, hash_password(password), may_use)
    show_one(_row(one) | made, as_json=as_json)
    if not one.may_use:
        click.echo(f"note: no mail of it is taken yet: mailseal submission allow {one.name} ADDRESS", err=True)


@submission.command("password")
@click.argument("name")
@_password_file
@_generate
@json_option
@pass_session
def password_(session: Session, *, name: str, password_file: Path | None, generate: bool, as_json: bool) -> None:
    """Set another password; it counts from the next login on."""
    name = logins.login_name(name)
    password, made = _password(name, password_file, generate=generate)
    session.open_store()

    logins.set_password(name, hash_password(password))
    if made:
        show_one({"login": name} | made, as_json=as_json)


@submission.command("allow")
@click.argument("name")
@click.argument("what", nargs=-1, required=True)
@json_option
@pass_session
def allow(session: Session, *, name: str, what: Sequence[str], as_json: bool) -> None:
    """Let a login use addresses as its sender.

    WHAT: an address, all of a domain (example.com or *@example.com), or of all domains below one (*.example.com).
    """
    session.open_store()

    show_one(_row(logins.allow(name, what)), as_json=as_json)


@submission.command("deny")
@click.argument("name")
@click.argument("what", nargs=-1, required=True)
@json_option
@pass_session
def deny(session: Session, *, name: str, what: Sequence[str], as_json: bool) -> None:
    """Take back what `allow` gave."""
    session.open_store()

    show_one(_row(logins.deny(name, what)), as_json=as_json)


@submission.command("disable")
@click.argument("name")
@json_option
@pass_session
def disable(session: Session, *, name: str, as_json: bool) -> None:
    """Let a login in no more, and take no more mail of sessions that it has."""
    session.open_store()

    show_one(_row(logins.set_enabled(name, enabled=False)), as_json=as_json)


@submission.command("enable")
@click.argument("name")
@json_option
@pass_session
def enable(session: Session, *, name: str, as_json: bool) -> None:
    """Let a login in again."""
    session.open_store()

    show_one(_row(logins.set_enabled(name, enabled=True)), as_json=as_json)


@submission.command("remove")
@click.argument("name")
@yes_option
@pass_session
def remove(session: Session, *, name: str, yes: bool) -> None:
    """Delete a login and what it may use."""
    session.open_store()

    confirm(f"Delete the login {name}?", yes=yes)
    if not logins.remove(name):
        raise CommandError(f"there is no login {name}", "`mailseal submission list` shows all")


def _row(one: LoginInfo) -> dict[str, object]:
    return {"login": one.name, "enabled": one.enabled, "may_use": list(one.may_use)}


def _password(name: str, file: Path | None, *, generate: bool) -> tuple[bytes, dict[str, object]]:
    """The password, and what is to be shown of it: a generated one. Raises CommandError."""
    if generate and file is not None:
        raise CommandError("--generate and --password-file exclude each other")
    if generate:
        made = login_password.make()
        return made.encode(), {"password": made}
    if file is not None:
        octets = read_file(file).rstrip(b"\r\n")
    elif sys.stdin.isatty():
        asked = click.prompt(f"Password of {name}", hide_input=True, confirmation_prompt=True, err=True)
        octets = str(asked).encode()
    else:
        raise CommandError("a password is needed", "name a file that holds it with --password-file, or --generate one")
    _require_good(octets)
    return octets, {}


def _require_good(octets: bytes) -> None:
    try:
        login_password.require_good(octets)
    except login_password.UnfitPasswordError as error:
        raise CommandError(str(error), "--generate makes one that nobody guesses") from None
