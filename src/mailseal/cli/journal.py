"""`mailseal journal`: addresses that Exchange sends journal reports to, their archives, and what was not opened."""

from collections.abc import Sequence
from uuid import UUID

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.output import confirm, json_option, show, show_one, yes_option
from mailseal.cli.session import Session, pass_session
from mailseal.config.values import BadValueError, Network
from mailseal.config.values import networks as read_networks
from mailseal.mail.address import Address
from mailseal.policy.text import render
from mailseal.ports import Journal, OnUnopened
from mailseal.store import journal_failures, journaling
from mailseal.store.journal_failures import Failure

KEPT, PASSED = "kept", "passed on"


@click.group()
def journal() -> None:
    """Exchange journaling: reports to a journal address go to its archive with the mail in them decrypted."""


@journal.command("list")
@json_option
@pass_session
def list_(session: Session, *, as_json: bool) -> None:
    """All journal addresses; how many reports are kept here, and how many went on unopened."""
    session.open_store()

    rows = [
        _row(one.journal) | {"kept": one.kept, "passed_on": one.passed, "created": one.created}
        for one in journaling.list_journals()
    ]
    columns = ("journal", "archive", "on_failure", "networks", "kept", "passed_on")
    show(rows, columns, as_json=as_json, nothing="no journal address yet; mailseal journal add ADDRESS --archive …")


@journal.command("add")
@click.argument("address", metavar="JOURNAL-ADDRESS")
@click.option("--archive", required=True, metavar="ADDRESS", help="Who gets the opened reports, and nobody else does.")
@click.option(
    "--on-failure",
    type=click.Choice([one.value for one in OnUnopened]),
    default=OnUnopened.FORWARD.value,
    show_default=True,
    help="A report that cannot be opened goes to the archive as it came, or is kept here until `retry` can open it.",
)
@click.option("--network", "networks", multiple=True, metavar="CIDR", help="Clients besides the authorised class.")
@click.option("--outside", is_flag=True, help="The archive may be an address that is not internal.")
@json_option
@pass_session
def add(
    session: Session,
    *,
    address: str,
    archive: str,
    on_failure: str,
    networks: Sequence[str],
    outside: bool,
    as_json: bool,
) -> None:
    """Take journal reports at an address, or change how it is done."""
    journal, to, clients = Address.parse(address), Address.parse(archive), _networks(networks)
    session.open_store()

    made = journaling.add(journal, to, on_unopened=OnUnopened(on_failure), networks=clients, outside=outside)
    show_one(_row(made), as_json=as_json)
    if networks:
        click.echo(
            "note: whoever can send from these networks can have captured mail decrypted into the archive", err=True
        )
    if outside:
        click.echo(
            f"note: opened mail leaves to {to.domain}: have its transport encrypted (`mailseal tls-policy`)", err=True
        )


@journal.command("remove")
@click.argument("address", metavar="JOURNAL-ADDRESS")
@yes_option
@pass_session
def remove(session: Session, *, address: str, yes: bool) -> None:
    """Make it an address like any other. Not while reports to it are kept here."""
    journal = Address.parse(address)
    session.open_store()

    confirm(f"Take no more journal reports at {journal}?", yes=yes)
    if not journaling.remove(journal):
        raise CommandError(f"{journal} is no journal address", "`mailseal journal list` shows all")


@journal.command("failures")
@click.option("--journal", "address", metavar="JOURNAL-ADDRESS", help="Only those of one address.")
@click.option("--kept", is_flag=True, help="Only those that are kept here.")
@click.option("--before", type=click.UUID, metavar="ID", help="Older than this one, for the next page.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@json_option
@pass_session
def failures(
    session: Session, *, address: str | None, kept: bool, before: UUID | None, limit: int, as_json: bool
) -> None:
    """Reports that were not opened, the newest first: kept here, or passed on as they came."""
    journal = None if address is None else Address.parse(address)
    session.open_store()

    found = journal_failures.list_failures(journal=journal, kept=True if kept else None, before=before, limit=limit)
    columns = ("id", "time", "journal", "sender", "state", "tries", "why")
    show([_failure_row(one) for one in found], columns, as_json=as_json, nothing="every report was opened")


@journal.command("show")
@click.argument("failure", type=click.UUID, metavar="ID")
@json_option
@pass_session
def show_(session: Session, *, failure: UUID, as_json: bool) -> None:
    """What is known of one report that was not opened."""
    session.open_store()

    found = journal_failures.find(failure)
    if found is None:
        raise CommandError(f"there is no report {failure}", "`mailseal journal failures` shows all")
    more = {"message_id": found.message_id, "size_bytes": found.size_bytes, "error": found.error, "ended": found.ended}
    show_one(_failure_row(found) | more, as_json=as_json)


@journal.command("retry")
@click.argument("failures", type=click.UUID, nargs=-1, metavar="[ID]...")
@click.option("--all", "every", is_flag=True, help="All that are kept.")
@click.option("--as-it-came", is_flag=True, help="Do not open them: send them to the archive as they came.")
@json_option
@pass_session
def retry(session: Session, *, failures: Sequence[UUID], every: bool, as_it_came: bool, as_json: bool) -> None:
    """Have kept reports tried again by the worker, when a key has been imported for example."""
    if every == bool(failures):
        raise click.UsageError("give the IDs of reports, or --all")
    session.open_store()

    chosen = journal_failures.kept() if every else _kept(failures)
    asked = journal_failures.retry(chosen, as_it_came=as_it_came)
    show_one({"reports": len(chosen), "to_be_tried": asked}, as_json=as_json)


def _kept(failures: Sequence[UUID]) -> Sequence[UUID]:
    for one in failures:
        found = journal_failures.find(one)
        if found is None or found.kept is None:
            raise CommandError(f"no report {one} is kept here", "`mailseal journal failures --kept` shows all that are")
    return failures


def _networks(texts: Sequence[str]) -> Sequence[Network]:
    try:
        return read_networks(list(texts))
    except BadValueError as error:
        raise CommandError(str(error)) from None


def _row(one: Journal) -> dict[str, object]:
    return {
        "journal": str(one.address),
        "archive": str(one.archive),
        "on_failure": one.on_unopened.value,
        "networks": [str(network) for network in one.networks],
        "outside": one.outside,
    }


def _failure_row(one: Failure) -> dict[str, object]:
    return {
        "id": str(one.id),
        "time": one.created,
        "journal": one.journal,
        "sender": one.sender or "<>",
        "state": "sent on" if one.ended else PASSED if one.kept is None else KEPT,
        "tries": one.tries,
        "why": [render(reason) for reason in one.reasons],
    }
