"""`mailseal audit`: who changed what, when and from where; and whether that is what was recorded. See docs/audit.md."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from uuid import UUID

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.export_file import destination_of
from mailseal.cli.log import Moment
from mailseal.cli.output import counted, json_option, one_of, print_json, show
from mailseal.cli.session import Session, as_caller, pass_session
from mailseal.store import audit as store_audit
from mailseal.store import audit_export, audit_signing, audit_verify
from mailseal.store.acting import Way
from mailseal.store.audit import AuditEvent, AuditFilter
from mailseal.store.audit_signing import Signature
from mailseal.store.audit_verify import Fault, Verified
from mailseal.store.keks import open_ring

COLUMNS = ("time", "actor", "way", "from", "area", "action", "subject", "before", "after")


@click.group()
def audit() -> None:
    """Who changed what, when and from where."""


@audit.command("list")
@click.option("--area", help="What was changed: settings, domains, certificates, …")
@click.option("--action", help="What was done: set, add, delete, …")
@click.option("--subject", help="With what: all of it, as it is shown.")
@click.option("--containing", metavar="TEXT", help="With what: a part of it.")
@click.option("--actor", help="By whom: the key or the name that is shown.")
@click.option("--way", type=one_of(Way))
@click.option("--node", help="On which node.")
@click.option("--since", type=Moment(), help="From this time on: ISO 8601, or 15m, 2h, 7d ago.")
@click.option("--until", type=Moment(), help="Before this time.")
@click.option("--before", type=click.UUID, metavar="ID", help="Older than this event, for the next page.")
@click.option("--limit", type=click.IntRange(1, store_audit.MAX_LISTED), default=50, show_default=True)
@json_option
@pass_session
def list_(
    session: Session,
    *,
    area: str | None,
    action: str | None,
    subject: str | None,
    containing: str | None,
    actor: str | None,
    way: str | None,
    node: str | None,
    since: datetime | None,
    until: datetime | None,
    before: UUID | None,
    limit: int,
    as_json: bool,
) -> None:
    """The newest changes, the newest first."""
    session.open_store()
    wanted = AuditFilter(
        area, action, subject, containing, actor, None if way is None else Way(way), node, since, until
    )
    rows = [_row(one) for one in store_audit.list_events(wanted, before=before, limit=limit)]
    show(rows, COLUMNS, as_json=as_json, nothing="nothing was changed that fits")


def _row(one: AuditEvent) -> dict[str, object]:
    return {
        "id": str(one.id),
        "time": one.time,
        "node": one.node,
        "number": one.number,
        "actor": one.actor.key,
        "actor_name": one.actor.name,
        "way": one.way.value,
        "from": one.place or None,
        "area": one.area,
        "action": one.action,
        "subject": one.subject,
        "before": one.before,
        "after": one.after,
    }


@audit.command()
@click.option(
    "--log",
    "logs",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="A log of Mailseal's, - for standard input: the heads that it tells of have to be there as well.",
)
@json_option
@pass_session
def verify(session: Session, *, logs: Sequence[Path], as_json: bool) -> None:
    """Whether the audit is what was recorded; exit status 1 if not.

    Somebody who can write to the database could delete the newest events, and what signed them. The log, kept on
    another machine, tells: `journalctl -u mailseal -o cat | mailseal audit verify --log -`.
    """
    with ExitStack() as files:
        logged: list[Signature] = []
        for path in logs:
            logged += audit_verify.heads_in(_lines_of(path, files))
        config = session.open_store()
    done = audit_verify.verify(audit_signing.genuine_keys(open_ring(config.keys.kek)), logged)
    if as_json:
        print_json(audit_verify.facts_of(done) | {"heads_in_logs": len(logged)})
    else:
        _say(done, len(logged))
    if wrong := [one for one in done.findings if one.fault is not Fault.LATE]:
        raise CommandError(f"the audit is not what was recorded ({counted(len(wrong), 'finding')})", "docs/audit.md")


def _lines_of(path: Path, files: ExitStack) -> Iterator[str]:
    if str(path) == "-":
        yield from sys.stdin
        return
    try:
        yield from files.enter_context(path.open(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None


def _say(done: Verified, logged: int) -> None:
    for chain in done.chains:
        click.echo(f"{chain.node}: {chain.first} to {chain.last}, signed as far as {chain.signed}")
    for key in sorted(done.keys):
        click.echo(f"signed by {key}")
    if logged:
        click.echo(f"{counted(logged, 'head')} in logs compared")
    for one in done.findings:
        click.echo(f"{'note' if one.fault is Fault.LATE else 'wrong'}: {one}", err=True)
    click.echo(f"{counted(done.events, 'event')}, {counted(len(done.findings), 'finding')}")


@audit.command()
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to make.")
@click.option("--since", type=Moment(), help="From this time on: ISO 8601, or 15m, 2h, 7d ago.")
@click.option("--until", type=Moment(), help="Before this time.")
@pass_session
def export(session: Session, *, output: Path | None, since: datetime | None, until: datetime | None) -> None:
    """All events and what signs them, as JSON lines; docs/audit.md says how others verify them."""
    destination = destination_of(output, is_text=True)
    session.open_store(for_now=destination is not None)
    lines = audit_export.lines(AuditFilter(since=since, until=until))
    if destination is None:
        for line in lines:
            click.echo(line, nl=False)
        return
    try:
        with as_caller():
            file = destination.open("x", encoding="ascii")
        with file:
            file.writelines(lines)
    except OSError as error:
        raise CommandError(f"{destination} cannot be written: {error.strerror}") from None


@audit.command("new-key")
@pass_session
def new_key(session: Session) -> None:
    """Make another key that signs from now on, for when the one before does not open any more."""
    config = session.open_store()
    click.echo(audit_signing.make_key(open_ring(config.keys.kek)))
