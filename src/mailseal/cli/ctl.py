"""`mailseal ctl`: the certificate trust list, which allows or denies single certificates by thumbprint."""

from dataclasses import asdict

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.output import json_option, show
from mailseal.cli.session import Session, pass_session
from mailseal.smime.certificate import CtlEntry
from mailseal.store import trust
from mailseal.store.trust import CtlInfo

COLUMNS = ("fingerprint", "entry", "subject", "comment", "created")


@click.group()
def ctl() -> None:
    """Certificates trusted or refused by thumbprint (SHA-256); they need not be stored."""


@ctl.command("list")
@json_option
@pass_session
def list_(session: Session, *, as_json: bool) -> None:
    """All entries."""
    session.open_store()
    show([_row(one) for one in trust.list_ctl()], COLUMNS, as_json=as_json)


@ctl.command("set")
@click.argument("fingerprint")
@click.argument("entry", type=click.Choice([entry.value for entry in CtlEntry]))
@click.option("--comment", default="", help="Why.")
@json_option
@pass_session
def set_(session: Session, *, fingerprint: str, entry: str, comment: str, as_json: bool) -> None:
    """Allow (even expired) or deny one certificate."""
    session.open_store()
    show([_row(trust.set_ctl(fingerprint, CtlEntry(entry), comment=comment))], COLUMNS, as_json=as_json)


@ctl.command("delete")
@click.argument("fingerprint")
@pass_session
def delete(session: Session, *, fingerprint: str) -> None:
    """Take an entry off the list."""
    session.open_store()
    if not trust.delete_ctl(fingerprint):
        raise CommandError("the list has no such entry", "`mailseal ctl list` shows all")


def _row(one: CtlInfo) -> dict[str, object]:
    return asdict(one) | {"subject": one.subject or None}
