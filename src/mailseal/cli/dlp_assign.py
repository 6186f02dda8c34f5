"""`mailseal dlp assign|unassign|assignments`: whose mail patterns are looked for in."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from mailseal.cli.dlp_view import name_of
from mailseal.cli.level_options import owner_of
from mailseal.cli.output import json_option, show
from mailseal.cli.session import Session, pass_session
from mailseal.store import dlp_assignments, overrides
from mailseal.store.dlp_assignments import Assignment

COLUMNS = ("mail_of", "pattern", "group", "since")


def _whose(function: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option("--global", "everybody", is_flag=True, help="All mail."),
        click.option("--domain", help="Mail from and to a domain, or all below one: *.example.com."),
        click.option("--address", help="Mail from and to one address."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _what(function: Callable[..., Any]) -> Callable[..., Any]:
    named = click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
    grouped = click.option("--group", "groups", multiple=True, help="All patterns of a group. May be repeated.")
    return named(grouped(function))


@click.command("assign")
@_what
@_whose
@json_option
@pass_session
def assign(session: Session, /, *, patterns: Sequence[str], groups: Sequence[str], as_json: bool, **whose: Any) -> None:
    """Look for patterns in all mail, or in that of a domain or address, whichever side of it that is.

    PATTERN: name or ID. All that is assigned to sender and recipient, at any level, counts: nothing takes it away at a
    lower one.
    """
    owner = _owner(**whose)
    _need_what(patterns, groups)
    session.open_store()

    _show(dlp_assignments.assign(owner or "", list(map(name_of, patterns)), groups), as_json=as_json)
    if not overrides.shown(owner or "")["dlp"][0]:
        click.echo(
            "note: the setting dlp is off there, so nothing is looked for: mailseal settings set dlp true", err=True
        )


@click.command("unassign")
@_what
@_whose
@json_option
@pass_session
def unassign(
    session: Session, /, *, patterns: Sequence[str], groups: Sequence[str], as_json: bool, **whose: Any
) -> None:
    """Take back what `assign` did at the same place."""
    owner = _owner(**whose)
    _need_what(patterns, groups)
    session.open_store()

    _show(dlp_assignments.unassign(owner or "", list(map(name_of, patterns)), groups), as_json=as_json)


@click.command("assignments")
@_whose
@json_option
@pass_session
def assignments(session: Session, /, *, as_json: bool, **whose: Any) -> None:
    """What is assigned anywhere, or at one place itself."""
    owner = _owner(**whose, needed=False)
    session.open_store()

    _show(dlp_assignments.list_assignments(owner), as_json=as_json)


def _owner(*, everybody: bool, domain: str | None, address: str | None, needed: bool = True) -> str | None:
    """As the store takes it; None: it was not said."""
    if sum(map(bool, (everybody, domain, address))) > 1:
        raise click.UsageError("--global, --domain and --address exclude each other")
    owner = "" if everybody else owner_of(domain, address) or None
    if owner is None and needed:
        raise click.UsageError("give --global, --domain or --address")
    return owner


def _need_what(patterns: Sequence[str], groups: Sequence[str]) -> None:
    if not patterns and not groups:
        raise click.UsageError("name a PATTERN, or give --group")


def _show(found: Sequence[Assignment], *, as_json: bool) -> None:
    show([_row(one) for one in found], COLUMNS, as_json=as_json, nothing="nothing is assigned")


def _row(one: Assignment) -> dict[str, object]:
    return {
        "mail_of": one.owner or "everybody",
        "level": one.level.value,
        "pattern": one.pattern,
        "group": one.group,
        "since": one.created,
    }
