"""`mailseal dlp group`: patterns that are assigned together."""

from collections.abc import Sequence

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.output import confirm, json_option, show, show_one, yes_option
from mailseal.cli.session import Session, pass_session
from mailseal.store import dlp_groups, dlp_patterns
from mailseal.store.dlp_groups import GroupInfo

COLUMNS = ("group", "patterns", "assigned_to", "owner", "description")


@click.group()
def group() -> None:
    """Patterns that are assigned together."""


@group.command("add")
@click.argument("name")
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@click.option("--description", default="", help="For whoever reads the list.")
@click.option("--owner", default="", metavar="DOMAIN", help="Whose it is: for this domain and its addresses alone.")
@json_option
@pass_session
def add(session: Session, *, name: str, patterns: Sequence[str], description: str, owner: str, as_json: bool) -> None:
    """Make a group."""
    session.open_store()

    made = dlp_groups.add(name, patterns, owner=owner, description=description)
    show_one(_row(made), as_json=as_json)


@group.command("list")
@json_option
@pass_session
def list_(session: Session, *, as_json: bool) -> None:
    """All groups."""
    session.open_store()

    show([_row(one) for one in dlp_groups.list_groups()], COLUMNS, as_json=as_json, nothing="no group yet")


@group.command("show")
@click.argument("name")
@json_option
@pass_session
def show_(session: Session, *, name: str, as_json: bool) -> None:
    """All of one group."""
    session.open_store()

    show_one(_row(dlp_groups.find(name)), as_json=as_json)


@group.command("include")
@click.argument("name")
@click.argument("patterns", nargs=-1, required=True, metavar="PATTERN...")
@json_option
@pass_session
def include(session: Session, *, name: str, patterns: Sequence[str], as_json: bool) -> None:
    """Put patterns into a group: they count at once wherever it is assigned."""
    session.open_store()

    show_one(_row(dlp_groups.include(name, patterns)), as_json=as_json)


@group.command("exclude")
@click.argument("name")
@click.argument("patterns", nargs=-1, required=True, metavar="PATTERN...")
@json_option
@pass_session
def exclude(session: Session, *, name: str, patterns: Sequence[str], as_json: bool) -> None:
    """Take patterns out of a group."""
    session.open_store()

    show_one(_row(dlp_groups.exclude(name, patterns)), as_json=as_json)


@group.command("set")
@click.argument("name")
@click.option("--name", "new_name", help="Another name.")
@click.option("--description", help="For whoever reads the list.")
@json_option
@pass_session
def set_(session: Session, *, name: str, new_name: str | None, description: str | None, as_json: bool) -> None:
    """Change what a group is called."""
    session.open_store()

    show_one(_row(dlp_groups.change(name, new_name=new_name, description=description)), as_json=as_json)


@group.command("remove")
@click.argument("name")
@click.option("--force", is_flag=True, help="Also one that is assigned.")
@yes_option
@pass_session
def remove(session: Session, *, name: str, force: bool, yes: bool) -> None:
    """Delete a group. Its patterns stay."""
    session.open_store()

    used = dlp_patterns.in_use(dlp_groups.find(name).assigned_to)
    if used and not force:
        raise CommandError(f"{name} is in use: {used}", "unassign it, or --force; what it looks for then passes")
    confirm(f"Delete the group {name}{f' ({used})' if used else ''}?", yes=yes)
    dlp_groups.remove(name, force=force)


def _row(one: GroupInfo) -> dict[str, object]:
    return {
        "group": one.name,
        "patterns": list(one.patterns),
        "assigned_to": [owner or "all mail" for owner in one.assigned_to],
        "owner": one.owner,
        "description": one.description,
        "created": one.created,
    }
