"""`mailseal backup`: a whole node in one file under a passphrase, in the format age. Mail goes on meanwhile."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.output import Row, json_option, show_one
from mailseal.cli.passphrase import passphrase_option, read_passphrase
from mailseal.cli.progress import Meter
from mailseal.cli.session import Session, as_caller, pass_session

if TYPE_CHECKING:
    from mailseal.backup.manifest import Manifest


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@passphrase_option
@click.option("--without-log", is_flag=True, help="Leave the message log out.")
@click.option("--verify", is_flag=True, help="Read this backup to its end, and say what is in it; nothing is made.")
@json_option
@pass_session
def backup(
    session: Session, *, file: Path, passphrase_file: Path | None, without_log: bool, verify: bool, as_json: bool
) -> None:
    """Write database, KEKs, mailseal.toml and the files that it names to FILE, which must not exist.

    FILE is a tar of two members in the format age: `tar xf FILE`, then `age -d -i key.age payload.age | tar xz`.
    """
    if verify:
        show_one(_verify(file, passphrase_file), as_json=as_json)
    else:
        show_one(_make(session, file, passphrase_file, without_log=without_log), as_json=as_json)


def _make(session: Session, file: Path, passphrase_file: Path | None, *, without_log: bool) -> Row:
    from mailseal.backup import node_files  # noqa: PLC0415 -- Django is loaded only by commands that use the store
    from mailseal.backup.make import Source, make  # noqa: PLC0415 -- as above

    if file.exists():
        raise CommandError(f"{file} exists", "a backup never replaces a file; name another one")
    passphrase = read_passphrase(passphrase_file, new=True)
    settings = node_files.settings(session.config_path, os.environ)
    config = session.open_store(for_now=True)
    source = Source(config, settings, os.environ)
    with readable_errors(file, "nothing that looks whole was left behind"), meter() as at:
        manifest = make(file, passphrase, source, without_log=without_log, caller=as_caller, progress=at)
    for kek_id in manifest.without_kek:
        click.echo(f"warning: rows are sealed with KEK {kek_id}, which is not at hand and not in the backup", err=True)
    if manifest.environment:
        names = ", ".join(manifest.environment)
        click.echo(f"warning: set by the environment, so not in the backup: {names}", err=True)
    return summary(manifest, file)


def _verify(file: Path, passphrase_file: Path | None) -> Row:
    from mailseal.backup import container, verify  # noqa: PLC0415 -- as above

    passphrase = read_passphrase(passphrase_file, new=False)
    with readable_errors(file), container.open_file(file, passphrase) as opened, meter() as at:
        return summary(verify.verify(opened, progress=at), file)


class _Meter:
    """Shows rows against their total, which is known only when they come."""

    def __init__(self) -> None:
        self._meter: Meter | None = None

    def __call__(self, rows: int, total: int) -> None:
        if self._meter is None:
            self._meter = Meter(total, "rows").__enter__()
        self._meter.at(rows, rows)

    def close(self) -> None:
        if self._meter is not None:
            self._meter.__exit__(None, None, None)


@contextmanager
def meter() -> Iterator[_Meter]:
    """How far a command with rows is; called with rows and their total."""
    made = _Meter()
    try:
        yield made
    finally:
        made.close()


@contextmanager
def readable_errors(path: Path, what_to_do: str = "") -> Iterator[None]:
    """What the system says of a file, as an error for a person."""
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise CommandError(f"{where}: {error.strerror or error}", what_to_do) from None


def summary(manifest: "Manifest", file: Path) -> Row:
    """What is in a backup, for a person."""
    with as_caller():
        size = file.stat().st_size
    return {
        "file": str(file),
        "octets": size,
        "made": manifest.made,
        "node": manifest.node,
        "release": manifest.release,
        "database": manifest.engine,
        "migrations": list(manifest.migrations),
        "message_log": not manifest.without_log,
        "keks": [one.kek_id for one in manifest.keks],
        "missing_keks": list(manifest.without_kek),
        "config": manifest.config,
        "files": [one.path for one in manifest.files],
        "rows": sum(manifest.rows.values()),
        "tables": [f"{name}: {rows}" for name, rows in manifest.rows.items() if rows],
    }
