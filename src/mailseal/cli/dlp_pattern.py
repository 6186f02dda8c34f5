"""`mailseal dlp pattern`: the patterns themselves. A change counts for mail within two seconds."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from mailseal.cli.dlp_file import read_patterns, written
from mailseal.cli.dlp_library import library
from mailseal.cli.dlp_view import imported_row, pattern_row, put
from mailseal.cli.errors import CommandError
from mailseal.cli.export_file import PUBLIC_MODE, destination_of, write
from mailseal.cli.output import confirm, json_option, one_of, read_file, show, show_one, yes_option
from mailseal.cli.session import Session, pass_session
from mailseal.policy.dlp.model import Kind, Mask, Pattern
from mailseal.policy.dlp.validators import VALIDATORS
from mailseal.policy.model import Action
from mailseal.store import dlp_patterns

COLUMNS = (
    "pattern",
    "kind",
    "validator",
    "threshold",
    "action",
    "delayed",
    "groups",
    "assigned_to",
    "owner",
    "problem",
)

owner_option: Callable[[Any], Any] = click.option(
    "--owner", default="", metavar="DOMAIN", help="Whose it is: it can be assigned to this domain and its addresses."
)
replace_option: Callable[[Any], Any] = click.option(
    "--replace", is_flag=True, help="Change those whose names are taken. Without: an error."
)


def _fields(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of `add` and `set`; their parameters have the names of the fields of `Pattern`."""
    options = (
        click.option("--expression", metavar="RE2", help="What to look for, in any case; (?-i) makes case count."),
        click.option(
            "--keyword", "words", multiple=True, help="A word or phrase; `word*` begins one. May be repeated."
        ),
        click.option(
            "--keywords-file", type=click.Path(path_type=Path, dir_okay=False), help="The same, one in a line, UTF-8."
        ),
        click.option(
            "--validator", metavar="NAME", help=f'What a match must be: {", ".join(VALIDATORS)}; "" for none.'
        ),
        click.option("--threshold", type=int, help="So many different matches in one mail. Default: 1."),
        click.option("--action", type=one_of(Action), help="What then becomes of the mail."),
        click.option("--delayed/--at-once", default=None, help="Only for a mail that would leave unencrypted."),
        click.option(
            "--mask", type=one_of(Mask), help="What of a match is shown to those who look at it. Default: all."
        ),
        click.option("--description", help="For whoever reads the list."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.group()
def pattern() -> None:
    """What to look for, how often, and what follows."""


@pattern.command("add")
@click.argument("name")
@_fields
@owner_option
@json_option
@pass_session
def add(session: Session, /, *, name: str, owner: str, as_json: bool, **given: Any) -> None:
    """Make a pattern. It counts for no mail until it is assigned (`mailseal dlp assign`)."""
    values = _changes(given)
    if "text" not in values or "action" not in values:
        raise click.UsageError("give --expression, --keyword or --keywords-file; and --action")
    made = Pattern("", 0, **({"name": name} | values))
    session.open_store()

    show_one(pattern_row(dlp_patterns.add(made, owner=owner)), as_json=as_json)


@pattern.command("set")
@click.argument("name")
@click.option("--name", "new_name", help="Another name.")
@_fields
@json_option
@pass_session
def set_(session: Session, /, *, name: str, new_name: str | None, as_json: bool, **given: Any) -> None:
    """Change a pattern: what is not given stays. Findings that were approved before no longer count as approved."""
    changes = _changes(given) | ({"name": new_name} if new_name is not None else {})
    if not changes:
        raise click.UsageError("nothing to change was given")
    session.open_store()

    show_one(pattern_row(dlp_patterns.change(name, changes)), as_json=as_json)


@pattern.command("list")
@json_option
@pass_session
def list_(session: Session, *, as_json: bool) -> None:
    """All patterns, and where each is assigned."""
    session.open_store()

    rows = [pattern_row(one) for one in dlp_patterns.list_patterns()]
    nothing = "no pattern yet; `mailseal dlp pattern library list` shows some to begin with"
    show(rows, COLUMNS, as_json=as_json, nothing=nothing)


@pattern.command("show")
@click.argument("name")
@json_option
@pass_session
def show_(session: Session, *, name: str, as_json: bool) -> None:
    """All of one pattern."""
    session.open_store()

    show_one(pattern_row(dlp_patterns.find(name)), as_json=as_json)


@pattern.command("remove")
@click.argument("name")
@click.option("--force", is_flag=True, help="Also one that is assigned or in a group.")
@yes_option
@pass_session
def remove(session: Session, *, name: str, force: bool, yes: bool) -> None:
    """Delete a pattern."""
    session.open_store()

    info = dlp_patterns.find(name)
    used = dlp_patterns.in_use(info.assigned_to, info.groups)
    if used and not force:
        raise CommandError(f"{info.name} is in use: {used}", "unassign it, or --force; what it looks for then passes")
    confirm(f"Delete the pattern {info.name}{f' ({used})' if used else ''}?", yes=yes)
    dlp_patterns.remove(name, force=force)


@pattern.command("export")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to make. Default: standard.")
@pass_session
def export(session: Session, *, names: Sequence[str], output: Path | None) -> None:
    """Write patterns, or all, as JSON that `import` reads."""
    destination = destination_of(output, is_text=True)
    session.open_store(for_now=True)

    found = [dlp_patterns.find(name) for name in names] if names else dlp_patterns.list_patterns()
    write(written(found), destination, mode=PUBLIC_MODE)


@pattern.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@replace_option
@click.option("--owner", metavar="DOMAIN", help="Whose they are, whatever the file says.")
@json_option
@pass_session
def import_(session: Session, *, file: Path, replace: bool, owner: str | None, as_json: bool) -> None:
    """Read patterns that `export` wrote; all of them, or none when one of them cannot be used."""
    entries = read_patterns(read_file(file))
    if owner is not None:
        entries = [dataclasses.replace(one, owner=owner) for one in entries]
    session.open_store()

    show_one(imported_row(put(entries, replacing=replace)), as_json=as_json)


pattern.add_command(library)


def _changes(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of a pattern that the options give."""
    expression, words, file = (given.pop(name) for name in ("expression", "words", "keywords_file"))
    if sum(one is not None and one != () for one in (expression, words, file)) > 1:
        raise click.UsageError("--expression, --keyword and --keywords-file exclude each other")
    changes = {name: value for name, value in given.items() if value is not None}
    for name, kind in (("action", Action), ("mask", Mask)):
        if name in changes:
            changes[name] = kind(changes[name])
    if expression is not None:
        changes |= {"kind": Kind.EXPRESSION, "text": expression}
    elif words or file is not None:
        changes |= {"kind": Kind.KEYWORDS, "text": "\n".join(words) if words else _words_of(file)}
    return changes


def _words_of(file: Path) -> str:
    try:
        lines = read_file(file).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise CommandError(f"{file} is not UTF-8") from None
    return "\n".join(line for line in lines if line.strip())
