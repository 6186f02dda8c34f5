"""`mailseal domain`: which domains are ours. Mail to them is opened, mail from them to others is protected."""

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.output import confirm, json_option, show, show_one, yes_option
from mailseal.cli.session import Session, pass_session
from mailseal.store import domains


@click.group()
def domain() -> None:
    """Domains that are ours."""


@domain.command("list")
@json_option
@pass_session
def list_(session: Session, *, as_json: bool) -> None:
    """All domains and wildcards."""
    session.open_store()

    rows = [{"domain": one.name, "internal": one.internal, "created": one.created} for one in domains.list_domains()]
    show(rows, ("domain", "internal", "created"), as_json=as_json, nothing="no domain yet; mailseal domain add NAME")


@domain.command("add")
@click.argument("name")
@click.option("--external", is_flag=True, help="Not ours: an exception below a wildcard that is.")
@json_option
@pass_session
def add(session: Session, *, name: str, external: bool, as_json: bool) -> None:
    """Add a domain, or a wildcard such as *.example.com (which does not match example.com itself)."""
    session.open_store()

    one = domains.add(name, internal=not external)
    show_one({"domain": one.name, "internal": one.internal}, as_json=as_json)


@domain.command("delete")
@click.argument("name")
@yes_option
@pass_session
def delete(session: Session, *, name: str, yes: bool) -> None:
    """Delete a domain; its mail is then no longer opened. Settings made for it stay."""
    session.open_store()

    confirm(f"Delete {name}? Mail to it is then treated as mail to outside", yes=yes)
    if not domains.delete(name):
        raise CommandError(f"there is no domain {name}", "`mailseal domain list` shows all")
