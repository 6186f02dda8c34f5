"""`mailseal dlp pattern library`: the patterns that come with Mailseal, to begin with."""

from collections.abc import Sequence
from dataclasses import replace

import click

from mailseal.cli.dlp_view import imported_row, put
from mailseal.cli.errors import CommandError
from mailseal.cli.output import json_option, one_of, show, show_one
from mailseal.cli.session import Session, pass_session
from mailseal.policy.dlp.library import Starter, starters
from mailseal.policy.model import Action
from mailseal.store.dlp_import import Entry
from mailseal.store.dlp_names import name_key

COLUMNS = ("id", "pattern", "group", "validator", "threshold", "action", "delayed", "description")


@click.group()
def library() -> None:
    """Patterns that come with Mailseal. None counts before it is imported and assigned."""


@library.command("list")
@click.option("--group", "groups", multiple=True, help="Of this group alone. May be repeated.")
@json_option
def list_(*, groups: Sequence[str], as_json: bool) -> None:
    """All of them, by group."""
    chosen = [one for one in starters() if one.group in groups] if groups else starters()
    _known_groups(groups)
    show([_row(one) for one in chosen], COLUMNS, as_json=as_json)


@library.command("import")
@click.argument("names", nargs=-1, metavar="[PATTERN]...")
@click.option("--group", "groups", multiple=True, help="All of a group, into a group of that name. May be repeated.")
@click.option("--action", type=one_of(Action), help="Another action than the library's, for each of them.")
@click.option("--replace", "replacing", is_flag=True, help="Change those whose names are taken. Without: an error.")
@click.option("--owner", default="", metavar="DOMAIN", help="Whose they are: for this domain and its addresses alone.")
@json_option
@pass_session
def import_(
    session: Session,
    *,
    names: Sequence[str],
    groups: Sequence[str],
    action: str | None,
    replacing: bool,
    owner: str,
    as_json: bool,
) -> None:
    """Store patterns of the library, by ID or name or by group. They can be changed then as any other."""
    if not names and not groups:
        raise click.UsageError("name a PATTERN, or give --group")
    _known_groups(groups)
    chosen = [one for one in starters() if one.group in groups]
    chosen += [one for one in map(_starter, names) if one not in chosen]
    entries = [_entry(one, groups, action, owner) for one in dict.fromkeys(chosen)]
    session.open_store()

    done = put(entries, replacing=replacing)
    show_one({name: value for name, value in imported_row(done).items() if as_json or value}, as_json=as_json)
    if done.added:
        click.echo("note: a pattern counts for no mail until it is assigned: mailseal dlp assign", err=True)


def _entry(starter: Starter, groups: Sequence[str], action: str | None, owner: str) -> Entry:
    pattern = starter.pattern if action is None else replace(starter.pattern, action=Action(action))
    return Entry(pattern, (starter.group,) if starter.group in groups else (), owner)


def _starter(name: str) -> Starter:
    for one in starters():
        if name_key(name) in {one.pattern.id, name_key(one.pattern.name)}:
            return one
    raise CommandError(f"the library has no pattern {name}", "`mailseal dlp pattern library list` shows all")


def _known_groups(groups: Sequence[str]) -> None:
    known = dict.fromkeys(one.group for one in starters())
    if unknown := [one for one in groups if one not in known]:
        raise CommandError(f"the library has no group {', '.join(unknown)}", f"it has {', '.join(known)}")


def _row(one: Starter) -> dict[str, object]:
    pattern = one.pattern
    return {
        "id": pattern.id,
        "pattern": pattern.name,
        "group": one.group,
        "kind": pattern.kind.value,
        "text": pattern.text,
        "validator": pattern.validator,
        "threshold": pattern.threshold,
        "action": pattern.action.value,
        "delayed": pattern.delayed,
        "mask": pattern.mask.value,
        "description": pattern.description,
    }
