"""`mailseal init`: configuration file, data folder, KEK, database. Run again it makes what is missing."""

import json
import os
import pwd
from pathlib import Path

import click

from mailseal import store
from mailseal.cli.errors import CommandError
from mailseal.cli.session import Session, become_owner, pass_session
from mailseal.config import Config, commented_file, find
from mailseal.keys.sealing import Kek
from mailseal.store import domains as store_domains

ROLE_USER = "mailseal"


@click.command()
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The data folder.")
@click.option("--hostname", help="The name in banners and Received fields.")
@click.option(
    "--internal-domain", "domains", multiple=True, metavar="DOMAIN", help="A domain that is ours; repeatable."
)
@click.option("--smtp", metavar="HOST:PORT", help="Also listen on plain SMTP, to run without Postfix.")
@pass_session
def init(session: Session, data: Path | None, hostname: str | None, domains: tuple[str, ...], smtp: str | None) -> None:
    """Make mailseal.toml, the data folder, the key-encryption key and the database; what is there is kept."""
    path = find(session.config_path, os.environ) or Path("mailseal.toml")
    session.config_path = path
    given = {
        "data_dir": json.dumps(str(data.absolute())) if data else None,
        "hostname": json.dumps(hostname) if hostname else None,
        "listen.smtp": json.dumps(smtp) if smtp else None,
    }
    _configuration(path, {name: value for name, value in given.items() if value is not None})
    config = session.config
    _folders(config)
    become_owner(config.data_dir)
    _keys(config)
    _database(session, domains)
    _next_steps(config, path, has_domains=bool(domains))


def _configuration(path: Path, given: dict[str, str]) -> None:
    if path.exists():
        _say("kept", path)
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(commented_file(given), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}", "name another place with --config") from None
    _say("made", path)


def _folders(config: Config) -> None:
    try:
        if not config.data_dir.is_dir():
            config.data_dir.mkdir(mode=0o700, parents=True)
            _give_to_role_user(config.data_dir)
            _say("made", config.data_dir)
        owner = config.data_dir.stat()
        for folder in (config.run_dir, config.spool_dir, config.journal_dir):
            if not folder.is_dir():
                folder.mkdir(mode=0o700)
                if os.geteuid() == 0:
                    os.chown(folder, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise CommandError(
            f"the data folder {config.data_dir} cannot be made: {error.strerror}", "name another one with --data"
        ) from None


def _give_to_role_user(folder: Path) -> None:
    """Started as root, the roles run as the owner of the data folder (architecture, users and keys)."""
    if os.geteuid() != 0:
        return
    try:
        user = pwd.getpwnam(ROLE_USER)
    except KeyError:
        return
    os.chown(folder, user.pw_uid, user.pw_gid)


def _keys(config: Config) -> None:

    first = config.keys.kek[0]
    if first.exists():
        Kek.load(first)
        _say("kept", first)
        return
    Kek.generate(first)
    _say("made", first)


def _database(session: Session, domains: tuple[str, ...]) -> None:

    config = session.open_store()
    pending = store.pending_migrations()
    store.migrate()
    _say("migrated" if pending else "kept", config.database.url)
    for name in domains:
        store_domains.add(name, internal=True)
        _say("internal domain", name)


def _next_steps(config: Config, path: Path, *, has_domains: bool) -> None:
    command = f"mailseal --config {path}"
    steps = [] if has_domains else [f"{command} domain add example.com     a domain that is ours: its mail is opened"]
    steps += [
        f"{command} root import ca.pem          whose certificates are believed",
        f"{command} cert import anna.p12        a certificate with its private key, to sign and to open",
        f"{command} check                       what is right and what is not",
        f"{command} serve                       run",
    ]
    click.echo("\nNext:\n  " + "\n  ".join(steps))
    click.echo(
        f"\nKeep a copy of {config.keys.kek[0]} apart from the database: without it no private key can be opened."
    )


def _say(what: str, which: object) -> None:
    click.echo(f"{what:<10} {which}")
