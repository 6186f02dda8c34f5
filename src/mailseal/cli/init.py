"""`mailseal init`: configuration file, data folder, KEK, database. Run again it makes what is missing."""

import json
import os
import pwd
from pathlib import Path
from urllib.parse import quote

import click

from mailseal import store
from mailseal.cli.errors import CommandError
from mailseal.cli.session import Session, become_owner, for_the_roles, pass_session
from mailseal.cli.users import KEEPER, make_users
from mailseal.config import Config, commented_file, find
from mailseal.config.model import DEFAULT_DATA_DIR
from mailseal.keys.kek_places import Found, folder_for_new, new_kek, read_keks
from mailseal.keys.seal_errors import KekNotThereError
from mailseal.keys.sealing import Kek
from mailseal.keys.web_key import make_web_key
from mailseal.roles.web_folders import DATABASE_NAME, shared_with_web
from mailseal.store import console_keys, keks
from mailseal.store import domains as store_domains


@click.command()
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The data folder.")
@click.option("--hostname", help="The name in banners and Received fields.")
@click.option(
    "--internal-domain", "domains", multiple=True, metavar="DOMAIN", help="A domain that is ours; repeatable."
)
@click.option("--smtp", metavar="HOST:PORT", help="Also listen on plain SMTP, to run without Postfix.")
@click.option("--web", metavar="HOST:PORT", help="Answer browsers there: the console and the API, over HTTPS.")
@click.option("--make-users", "users", is_flag=True, help="As root: make the system users that the roles run as.")
@pass_session
def init(
    session: Session,
    *,
    data: Path | None,
    hostname: str | None,
    domains: tuple[str, ...],
    smtp: str | None,
    web: str | None,
    users: bool,
) -> None:
    """Make mailseal.toml, the data folder, the key-encryption key and the database; what is there is kept."""
    path = find(session.config_path, os.environ) or Path("mailseal.toml")
    session.config_path = path
    given = {
        "data_dir": json.dumps(str(data.absolute())) if data else None,
        "hostname": json.dumps(hostname) if hostname else None,
        "listen.smtp": json.dumps(smtp) if smtp else None,
        "web.listen": json.dumps(web) if web else None,
        "database.url": _url_of_new(data.absolute() if data else DEFAULT_DATA_DIR),
    }
    _configuration(path, {name: value for name, value in given.items() if value is not None})
    config = session.config
    for what, which in make_users(config) if users else ():
        _say(what, f"user {which}")
    _data_folder(config.data_dir)
    become_owner(config.data_dir)  # root makes nothing in a folder of somebody's, who may put links there meanwhile
    _folders(config)
    _database(session, domains)
    _keys(config)
    _web_key(config)
    _next_steps(path, has_domains=bool(domains))


def _url_of_new(data_dir: Path) -> str | None:
    """A new database gets a folder of its own, since that can be shared with the web role; an older one stays."""
    if (data_dir / "mailseal.db").exists():
        return None
    return json.dumps(f"sqlite://{quote(str(data_dir))}/{DATABASE_NAME}/mailseal.db")


def _configuration(path: Path, given: dict[str, str]) -> None:
    if path.exists():
        _say("kept", path)
        return
    try:
        with for_the_roles():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:  # through no link, which may be somebody else's
                file.write(commented_file(given))
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}", "name another place with --config") from None
    _say("made", path)


def _data_folder(folder: Path) -> None:
    try:
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True)
            _give_to_role_user(folder)
            _say("made", folder)
    except OSError as error:
        raise _not_made(folder, error) from None


def _folders(config: Config) -> None:
    try:
        for folder in (
            config.run_dir,
            config.spool_dir,
            config.journal_dir,
            *(one.folder for one in shared_with_web(config)),
        ):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise _not_made(config.data_dir, error) from None


def _not_made(folder: Path, error: OSError) -> CommandError:
    return CommandError(f"the data folder {folder} cannot be made: {error.strerror}", "name another one with --data")


def _give_to_role_user(folder: Path) -> None:
    """Started as root, the roles run as the owner of the data folder (architecture, users and keys)."""
    if os.geteuid() != 0:
        return
    try:
        user = pwd.getpwnam(KEEPER)
    except KeyError:
        return
    os.chown(folder, user.pw_uid, user.pw_gid, follow_symlinks=False)


def _keys(config: Config) -> None:
    """The KEK that seals: the database's; else the first at hand; else a new one. Another node's is never guessed."""
    found = read_keks(config.keys.kek)
    active = keks.active()
    if active is None:
        kek_id = found.files[0].kek.id if found.files else _new_kek(config, found)
        if not keks.register_first(kek_id):  # another node has done so in this moment
            _keys(config)
    elif not found.of(active):
        raise CommandError(
            f"the database says that KEK {active} seals, and it is not at hand on this node",
            f"copy its file from another node or a backup, to {_place_of_new(config)}",
        )
    else:
        _say("kept", found.of(active)[0].place)


def _web_key(config: Config) -> None:
    """The key of the web role; another node's is never guessed."""
    path, known = config.keys.web_key, console_keys.public(console_keys.WEB)
    if path.exists():
        _say("kept", path)
    elif known is None:
        console_keys.register_web(make_web_key(path).opens.public)
        _say("made", path)
    elif config.web.listen is not None:
        raise CommandError(
            f"the database knows the web key of another node, and there is no {path}", "copy that file from there"
        )


def _new_kek(config: Config, found: Found) -> str:
    if broken := [problem for problem in found.problems if not isinstance(problem, KekNotThereError)]:
        raise broken[0]
    path, folder = _place_of_new(config), folder_for_new(config.keys.kek)
    if folder is None:
        kek = Kek.generate(path)
    else:
        kek, path = new_kek(folder)
    _say("made", path)
    return kek.id


def _place_of_new(config: Config) -> Path:
    """A folder, if one is named, else the file that is."""
    paths = [place.path for place in config.keys.kek if place.path is not None]
    return folder_for_new(config.keys.kek) or next(iter(paths), config.data_dir / "keks")


def _database(session: Session, domains: tuple[str, ...]) -> None:

    config = session.open_store()
    pending = store.pending_migrations()
    store.migrate()
    _say("migrated" if pending else "kept", config.database.url)
    for name in domains:
        store_domains.add(name, internal=True)
        _say("internal domain", name)


def _next_steps(path: Path, *, has_domains: bool) -> None:
    command = f"mailseal --config {path}"
    steps = [] if has_domains else [f"{command} domain add example.com     a domain that is ours: its mail is opened"]
    steps += [
        f"{command} root import ca.pem          whose certificates are believed",
        f"{command} cert import anna.p12        a certificate with its private key, to sign and to open",
        f"{command} dlp pattern library list    what can be looked for in outgoing mail: import it, then dlp assign",
        f"{command} check                       what is right and what is not",
        f"{command} serve                       run; as root with --postfix private: and a Postfix of its own",
    ]
    click.echo("\nNext:\n  " + "\n  ".join(steps))
    click.echo("\nKeep a copy of the KEK's file apart from the database: without it no private key can be opened.")


def _say(what: str, which: object) -> None:
    click.echo(f"{what:<10} {which}")
