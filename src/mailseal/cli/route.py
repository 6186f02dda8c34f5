"""`mailseal route`: next hops of single domains, and the passwords for next hops."""

from collections.abc import Sequence
from pathlib import Path

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.output import confirm, json_option, read_password, show, show_one, yes_option
from mailseal.cli.session import Session, pass_session
from mailseal.config import Config
from mailseal.config.next_hop import credential_name
from mailseal.config.values import BadValueError
from mailseal.store import credentials, routes
from mailseal.store.keks import open_ring
from mailseal.store.routes import RouteInfo


@click.group()
def route() -> None:
    """Next hops of single recipient domains. A route goes before relay.inside and relay.outside for its domain."""


@route.command("list")
@json_option
@pass_session
def list_(session: Session, *, as_json: bool) -> None:
    """All routes, and whether the password is there for each user that they name."""
    session.open_store()

    known = {one.name for one in credentials.list_credentials()}
    rows = [_row(one, known) for one in routes.list_routes()]
    columns = ("domain", "next_hops", "no_password_for", "created")
    show(rows, columns, as_json=as_json, nothing="no route yet; mail goes where [relay] says")


@route.command("set")
@click.argument("domain")
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@json_option
@pass_session
def set_(session: Session, *, domain: str, urls: Sequence[str], as_json: bool) -> None:
    """Send mail for a domain, or a wildcard such as *.example.com, to next hops, the preferred first.

    A URL: smtp://host:port?tls=verified&user=NAME (docs/next-hops.md).
    """
    session.open_store()

    one = routes.set_route(domain, urls)
    known = {each.name for each in credentials.list_credentials()}
    row = _row(one, known)
    show_one({name: value for name, value in row.items() if name != "created"}, as_json=as_json)
    for name in _missing(one, known):
        click.echo(f"note: mail waits until a password is set: mailseal route password {name}", err=True)
    for name in routes.internal_below(one.domain):
        click.echo(f"note: mail to {name}, which is internal, goes there too; a route of its own goes before", err=True)


@route.command("unset")
@click.argument("domain")
@yes_option
@pass_session
def unset(session: Session, *, domain: str, yes: bool) -> None:
    """Send mail for a domain where [relay] says, or a wildcard's route."""
    session.open_store()

    confirm(f"Delete the route of {domain}?", yes=yes)
    if not routes.unset_route(domain):
        raise CommandError(f"there is no route for {domain}", "`mailseal route list` shows all")


@route.command("password")
@click.argument("name", metavar="USER@HOST:PORT")
@click.option("--password-file", type=click.Path(path_type=Path, dir_okay=False), help="A file that holds it.")
@click.option("--delete", is_flag=True, help="Forget it.")
@pass_session
def password(session: Session, *, name: str, password_file: Path | None, delete: bool) -> None:
    """Seal the password of a user at a next hop; it counts for the next connection."""
    name = _name(name)
    given = b"" if delete else _password(password_file, name)
    config = session.open_store()

    if delete:
        if not credentials.forget(name):
            raise CommandError(f"no password is stored for {name}")
        return
    credentials.keep(name, given, open_ring(config.keys.kek))
    if name not in _wanted(config):
        click.echo(f"note: no next hop names {name} (?user=…) yet", err=True)


def _row(one: RouteInfo, known: set[str]) -> dict[str, object]:
    return {
        "domain": one.domain,
        "next_hops": [str(hop) for hop in one.hops],
        "no_password_for": _missing(one, known),
        "created": one.created,
    }


def _missing(one: RouteInfo, known: set[str]) -> list[str]:
    return [hop.credential for hop in one.hops if hop.user and hop.credential not in known]


def _name(text: str) -> str:
    try:
        return credential_name(text)
    except BadValueError as error:
        raise CommandError(f"{text} {error}") from None


def _password(file: Path | None, name: str) -> bytes:
    given = read_password(file, f"Password of {name}")
    if not given or len(given) > credentials.MAX_PASSWORD_BYTES or b"\0" in given:
        raise CommandError(
            f"a password has between 1 and {credentials.MAX_PASSWORD_BYTES} octets, none of them NUL (RFC 4616)"
        )
    return given


def _wanted(config: Config) -> set[str]:
    hops = [*config.relay.inside, *config.relay.outside, *(hop for one in routes.list_routes() for hop in one.hops)]
    return {hop.credential for hop in hops if hop.user}
