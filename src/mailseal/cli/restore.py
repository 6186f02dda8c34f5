"""`mailseal restore`: a node out of a backup, in an empty folder."""

import os
import pwd
import re
from pathlib import Path

import click

from mailseal.backup import container
from mailseal.backup.restore import Restored, Target, require_nothing_there
from mailseal.backup.restore import restore as restore_backup
from mailseal.cli.actor import caller
from mailseal.cli.backup import meter, readable_errors
from mailseal.cli.errors import CommandError
from mailseal.cli.output import read_file
from mailseal.cli.passphrase import passphrase_option, read_passphrase
from mailseal.cli.session import become_owner, for_the_roles, require_program
from mailseal.cli.users import KEEPER
from mailseal.config import values
from mailseal.store.acting import Acting, Way, acting
from mailseal.store.dump import Place

_MODE = 0o700


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--data", required=True, type=click.Path(path_type=Path, file_okay=False), help="The new data folder.")
@click.option("--database", "url", help="mysql://user@host:port/name, empty; else SQLite in the data folder.")
@click.option("--password-file", type=click.Path(path_type=Path, dir_okay=False), help="The database user's password.")
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The mailseal.toml to write; else in the data folder.",
)
@passphrase_option
def restore(
    *,
    file: Path,
    data: Path,
    url: str | None,
    password_file: Path | None,
    config_path: Path | None,
    passphrase_file: Path | None,
) -> None:
    """Make the node that FILE holds: data folder, KEKs, database, configuration. Nothing that is there is touched."""
    folder = data.absolute()
    target = Target(
        folder, (config_path or folder / "mailseal.toml").absolute(), place(url, password_file), password_file
    )
    require_nothing_there(target)
    passphrase = read_passphrase(passphrase_file, new=False)
    who = acting(Acting(caller(), Way.COMMAND))
    with who, readable_errors(file), container.open_file(file, passphrase) as opened, meter() as at:
        done = restore_backup(opened, target, prepare=_prepare, caller=for_the_roles, progress=at)
    _say(done, target)
    if done.broken.count:
        raise CommandError(
            f"{done.broken.count} of {done.sealed} sealed rows do not open; the first: {done.broken.named[0][0]}",
            "put the KEK that is missing into the folder keks of the data folder, then `mailseal check`",
        )


def place(url: str | None, password_file: Path | None) -> Place | None:
    """The database that options name; raises CommandError."""
    if url is None:
        if password_file is not None:
            raise CommandError("--password-file needs the URL of a database beside it")
        return None
    try:
        checked = values.database_url(re.sub("^sqlite:/{4,}", "sqlite:///", url))  # as other programs want it
    except values.BadValueError as error:
        raise CommandError(f"the URL of the database {error}", "mysql://mailseal@127.0.0.1:3306/mailseal") from None
    password = None if password_file is None else read_file(password_file).decode("utf-8", "replace").strip("\r\n")
    return Place(checked, password)


def _prepare(folder: Path) -> None:
    """Make the folder, as `mailseal init` does, and go on as its owner."""
    made = not folder.is_dir()
    folder.mkdir(mode=_MODE, parents=True, exist_ok=True)
    if made and os.geteuid() == 0:
        try:
            keeper = pwd.getpwnam(KEEPER)
        except KeyError:
            pass
        else:
            os.chown(folder, keeper.pw_uid, keeper.pw_gid, follow_symlinks=False)
    become_owner(folder, for_now=True)
    folder.chmod(_MODE)
    require_program()


def _say(done: Restored, target: Target) -> None:
    manifest = done.manifest
    click.echo(f"restored   node {manifest.node}, as of {manifest.made:%Y-%m-%d %H:%M} UTC, in {target.data_dir}")
    click.echo(f"database   {done.config.database.url}: {sum(manifest.rows.values())} rows")
    click.echo(
        f"keys       {len(manifest.keks)} KEKs; {done.sealed - done.broken.count} of {done.sealed} sealed rows open"
    )
    if manifest.environment:
        names = ", ".join(manifest.environment)
        click.echo(f"warning: these were set by the environment and were not in the backup: {names}", err=True)
    command = f"mailseal --config {target.config_path}"
    click.echo(
        f"\nNext:\n  {command} check     what is right and what is not; read {target.config_path}\n"
        f"  {command} serve     run; the node that was backed up must not run any more"
    )
