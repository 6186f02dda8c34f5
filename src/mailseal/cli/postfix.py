"""`mailseal postfix`: what Postfix is told, and putting it into the machine's own."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mailseal.cli import output
from mailseal.cli.errors import CommandError
from mailseal.cli.session import Session, pass_session
from mailseal.config import Config, Instance, load
from mailseal.config.load import variable
from mailseal.postfix.differences import differences
from mailseal.postfix.drift import drift
from mailseal.postfix.installation import install
from mailseal.postfix.parts import Rendering, Surroundings
from mailseal.postfix.private_files import contents, current
from mailseal.postfix.program import surroundings
from mailseal.postfix.render import render
from mailseal.postfix.staging import Staged, staged
from mailseal.roles.startup_mark import running_instance

replace_option: Callable[[Any], Any] = click.option(
    "--replace",
    multiple=True,
    metavar="SERVICE",
    help="A service of master.cf, such as smtp/inet, that makes room for ours; it stays as a comment. Repeatable.",
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A configuration and what is made of it here."""

    config: Config
    around: Surroundings
    rendering: Rendering


@click.group()
def postfix() -> None:
    """Postfix around this gateway: its configuration made from ours."""


@postfix.command("render")
@click.option("--instance", type=output.one_of(Instance), help="Of another instance than postfix.instance says.")
@click.option("--file", "file", type=click.Choice(["main.cf", "master.cf"]), help="Only this file.")
@pass_session
def render_command(session: Session, *, instance: str | None, file: str | None) -> None:
    """Print our settings and services; nothing is needed for it, and nothing is changed."""
    wanted = _wanted(session, instance)
    texts = {"main.cf": wanted.rendering.main_cf(), "master.cf": wanted.rendering.master_cf()}
    for name, text in texts.items():
        if file is None:
            click.echo(f"# ---- {name}")
        if file in (None, name):
            click.echo(text)


@postfix.command()
@replace_option
@pass_session
def diff(session: Session, *, replace: tuple[str, ...]) -> int:
    """Show what would change in Postfix's files. Exit status 1 if anything would."""
    wanted = _wanted(session)
    if wanted.config.postfix.instance is Instance.PRIVATE:
        folder = wanted.config.postfix.active_dir
        after = contents(wanted.rendering)
        before = current(folder, after)
    else:
        folder = wanted.config.postfix.config_dir
        with _staged(wanted, replace) as made:
            before, after = made.before, made.after
    return int(_print(folder, before, after))


@postfix.command("install")
@replace_option
@output.yes_option
@pass_session
def install_command(session: Session, *, replace: tuple[str, ...], yes: bool) -> None:
    """Put our settings and services into the machine's Postfix: shown, kept before, checked, reloaded.

    Nothing else in its files changes. The files as they were stay beside them, named after the time.
    """
    given = session.config_without_secrets
    instance = given.postfix.instance
    if instance is Instance.OFF:
        instance = running_instance(given) or instance
    if instance is not Instance.SYSTEM:  # Postfix would ask where nobody answers, and all its mail wait
        raise CommandError(
            f"postfix.instance is {instance}",
            'set it to "system" in mailseal.toml; a private instance is set up by `mailseal serve`',
        )
    wanted = _wanted(session)
    config = wanted.config
    folder = config.postfix.config_dir
    with _staged(wanted, replace) as made:
        if not _print(folder, made.before, made.after):
            click.echo(f"{folder} is as it shall be")
            return
        output.confirm(f"Change {folder}?", yes=yes)
        done = install(folder, made, config, wanted.around)
    for backup in done.backups:
        click.echo(f"{'kept':<10} {backup}")
    click.echo(f"{'changed':<10} {folder}")
    click.echo("Postfix has read it" if done.reloaded else "Postfix does not run: start it (systemctl start postfix)")


@postfix.command()
@output.json_option
@pass_session
def check(session: Session, *, as_json: bool) -> int:
    """Say whether Postfix is as our configuration wants it, line by line. Exit status 1 if not."""
    wanted = _wanted(session)
    found = drift(wanted.config, wanted.rendering)
    if as_json:
        output.print_json(found)
    else:
        for line in found or [f"{wanted.config.postfix.active_dir} is as it shall be"]:
            click.echo(output.plain(line))
    return int(bool(found))


def _wanted(session: Session, instance: str | None = None) -> Wanted:
    config = session.config_without_secrets
    if instance is None and config.postfix.instance is Instance.OFF:
        instance = running_instance(config) or Instance.SYSTEM
    if instance is not None:
        environ = {**os.environ, variable("postfix", "instance"): instance}
        config = load(session.config_path, environ, with_secrets=False)
    around = surroundings(config)
    return Wanted(config, around, render(config, around))


@contextmanager
def _staged(wanted: Wanted, replace: tuple[str, ...]) -> Iterator[Staged]:
    with staged(wanted.config.postfix.config_dir, wanted.rendering, replace) as made:
        yield made


def _print(folder: Path, before: dict[str, bytes | None], after: dict[str, bytes]) -> bool:
    """Whether there is any difference."""
    lines = list(differences(folder, before, after))
    for line in lines:
        colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        click.secho(output.plain(line), fg=colour)
    return bool(lines)
