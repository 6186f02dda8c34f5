"""`mailseal store`: the database itself. To another engine, and up to this release."""

import os
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click

from mailseal import store as store_package
from mailseal.cli.backup import meter, readable_errors
from mailseal.cli.errors import CommandError
from mailseal.cli.restore import place
from mailseal.cli.session import Session, pass_session
from mailseal.config import Config
from mailseal.roles import listening
from mailseal.store import configure, nodes, web_rights
from mailseal.store.audit import record
from mailseal.store.dump import Place
from mailseal.store.load import copy as copy_database
from mailseal.store.row import utc_now

_ACCOUNT = re.compile(r"[A-Za-z0-9._%:-]{1,80}")


@click.group()
def store() -> None:
    """The database."""


@store.command()
@pass_session
def migrate(session: Session) -> None:
    """Bring the tables up to this release; `mailseal init` does it as well."""
    config = session.open_store()
    pending = store_package.pending_migrations()
    store_package.migrate()
    click.echo(f"{'migrated' if pending else 'kept':<10} {config.database.url}")


@store.command()
@click.option("--to", "url", required=True, help="mysql://user@host:port/name or sqlite:///path; must be empty.")
@click.option("--password-file", type=click.Path(path_type=Path, dir_okay=False), help="Its user's password.")
@pass_session
def copy(session: Session, *, url: str, password_file: Path | None) -> None:
    """Copy the whole database to another one, compare, and say what to set. The gateway must not run meanwhile."""
    target = place(url, password_file)
    assert target is not None
    config = session.open_store()
    source = Place(config.database.url, config.database.password)
    if source.url == target.url:
        raise CommandError("the database is there already", "name another one with --to")
    _make_folder(config, target)
    lock = _keep_the_gateway_away(config)
    try:
        configure.use(target.url, target.password, node=config.node)
        with readable_errors(Path(target.url)), meter() as at:
            sums = copy_database(source, progress=at)
        record("store", "copy", target.url, before={"url": source.url})
    finally:
        os.close(lock)
    click.echo(f"copied     {sum(one.rows for one in sums.values())} rows in {len(sums)} tables, compared one by one")
    click.echo(f'\nNext, in mailseal.toml:\n  [database]\n  url = "{target.url}"')
    if password_file is not None:
        click.echo(f'  password_file = "{password_file.absolute()}"')
    click.echo("then `mailseal check`; the old database is as it was, and no longer of use once mail has been handled.")


@store.command()
@click.option("--user", default="mailseal_web", show_default=True, help="The web role's account, of web.database_url.")
@click.option("--host", default="localhost", show_default=True, help="From where it comes, as MariaDB sees it.")
@pass_session
def grants(session: Session, *, user: str, host: str) -> None:
    """Print what MariaDB's root has to say so that the web role's account reads no sealed column; `| mariadb`.

    Make the account first, with a password; say it again after each update.
    """
    parts = urlsplit(session.config.database.url)
    if parts.scheme == "sqlite":
        raise CommandError("SQLite has no accounts", "there the web role's user shares the file (docs/web.md)")
    for name in (user, host):
        if not _ACCOUNT.fullmatch(name):
            raise CommandError(f"{name!r} is no name of an account", "letters, digits and . - _ % : are")
    for line in web_rights.statements(parts.path.strip("/"), f"'{user}'@'{host}'"):
        click.echo(line)


def _make_folder(config: Config, target: Place) -> None:
    """That of an SQLite database directly below the data folder, which may be shared with the web role."""
    parts = urlsplit(target.url)
    folder = Path(unquote(parts.path)).parent
    if parts.scheme == "sqlite" and folder.parent == config.data_dir:
        folder.mkdir(mode=0o700, exist_ok=True)


def _keep_the_gateway_away(config: Config) -> int:
    """The lock of the data folder, so that nothing starts while rows are copied; raises CommandError."""
    lock = config.run_dir / "supervisor.lock"
    if listening.is_held(lock):
        raise CommandError(f"`mailseal serve` works on {config.data_dir}", "stop it: a copy has to be of all there is")
    alive = utc_now() - timedelta(seconds=nodes.DEAD_AFTER_SECONDS)
    others = [node.name for node in nodes.list_nodes() if node.heartbeat > alive and node.name != config.node]
    if others:
        raise CommandError(f"node {others[0]} works on this database", "stop it, then wait for half a minute")
    lock.parent.mkdir(mode=0o700, exist_ok=True)
    return listening.hold(lock)
