"""`mailseal quarantine`: mails that are held until somebody has looked at them (docs/quarantine.md)."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from mailseal.cli.actor import caller, key_of
from mailseal.cli.errors import report
from mailseal.cli.export_file import PRIVATE_MODE, destination_of, write
from mailseal.cli.log import Moment
from mailseal.cli.output import confirm, counted, json_option, one_of, print_json, show, show_one, yes_option
from mailseal.cli.quarantine_view import event_row, held_row, show_view, view_json
from mailseal.cli.session import Session, pass_session
from mailseal.errors import PermanentError
from mailseal.pipeline.safe_view import view_of
from mailseal.policy.held import WhyHeld
from mailseal.store import quarantine as held_mails
from mailseal.store import quarantine_actions as actions
from mailseal.store import quarantine_events as events_of
from mailseal.store.dlp_scanners import StorePatterns
from mailseal.store.keks import open_ring
from mailseal.store.quarantine import OPEN, HeldFilter, HeldMail, State
from mailseal.store.quarantine_actions import Way
from mailseal.store.quarantine_events import MAILSEAL, Action

COLUMNS = ("id", "held", "expires", "sender", "recipient", "why", "findings", "state", "error")
note_option: Callable[[Any], Any] = click.option(
    "--note", default="", help="Why, for the record; who and when is recorded by itself."
)


@click.group()
def quarantine() -> None:
    """Mails that are held: look at them, release or delete them. Who does what is recorded."""


@quarantine.command("list")
@click.option("--sender", metavar="ADDRESS|DOMAIN", help="Envelope sender; <> is the null sender.")
@click.option("--recipient", metavar="ADDRESS|DOMAIN", help="Envelope recipient.")
@click.option("--state", "states", type=one_of(State), multiple=True, help="Default: held and releasing.")
@click.option("--all", "every", is_flag=True, help="In every state, those too that have ended.")
@click.option("--why", type=one_of(WhyHeld))
@click.option("--message", metavar="ID", help="Mailseal's own ID of a mail.")
@click.option("--since", type=Moment(), help="Held from this time on: ISO 8601, or 15m, 2h, 7d ago.")
@click.option("--until", type=Moment(), help="Held before this time.")
@click.option("--before", type=click.UUID, metavar="ID", help="Older than this one, for the next page.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@json_option
@pass_session
def list_(
    session: Session,
    *,
    sender: str | None,
    recipient: str | None,
    states: Sequence[str],
    every: bool,
    why: str | None,
    message: str | None,
    since: datetime | None,
    until: datetime | None,
    before: UUID | None,
    limit: int,
    as_json: bool,
) -> None:
    """The newest first, without anything of their content."""
    if every and states:
        raise click.UsageError("give --state, or --all")
    session.open_store()

    wanted = HeldFilter(
        sender=sender,
        recipient=recipient,
        states=None if every else tuple(map(State, states)) or OPEN,
        why=WhyHeld(why) if why else None,
        mail=message,
        since=since,
        until=until,
    )
    found = held_mails.search(wanted, before=before, limit=limit)
    show([held_row(one) for one in found], COLUMNS, as_json=as_json, nothing="no such mail is held")


@quarantine.command("show")
@click.argument("held", type=click.UUID, metavar="ID")
@json_option
@pass_session
def show_(session: Session, *, held: UUID, as_json: bool) -> None:
    """A safe view: its header and text without anything that acts, what was found in it masked, attachments by name.

    That somebody has looked is recorded.
    """
    actor = caller()
    config = session.open_store()

    mail = held_mails.find(held)
    if mail.stored is None:
        show_one(held_row(mail), as_json=as_json)
        return
    actions.seen(held, actor, Action.SHOWN)
    kek = open_ring(config.keys.kek)
    details = held_mails.details(held, kek)
    view = view_of(details.envelope, held_mails.octets(mail, kek), StorePatterns())
    if as_json:
        print_json(view_json(mail, details, view))
    else:
        show_view(mail, details, view)


@quarantine.command("release")
@click.argument("held", type=click.UUID, nargs=-1, required=True, metavar="ID...")
@click.option("--encrypt", is_flag=True, help="Encrypted, or not at all.")
@click.option("--as-is", is_flag=True, help="As it came, whatever policy says, when another person has approved it.")
@note_option
@json_option
@pass_session
def release(session: Session, *, held: Sequence[UUID], encrypt: bool, as_is: bool, note: str, as_json: bool) -> int:
    """Have mails go on as policy says today, without what was found in them so far.

    What policy or a pattern of today would hold is held again. --as-is only asks: `approve` by a second person does it.
    """
    if encrypt and as_is:
        raise click.UsageError("give --encrypt or --as-is")
    actor = caller()
    session.open_store()

    way = Way.ENCRYPTED if encrypt else Way.POLICY
    if not as_is:
        return _each(held, lambda one: actions.release(one, actor, way, note), as_json=as_json)
    click.echo(f"another person has to approve within {actions.REQUEST_HOURS} hours", err=True)
    return _each(held, lambda one: actions.ask_as_is(one, actor, note), as_json=as_json)


@quarantine.command("approve")
@click.argument("held", type=click.UUID, nargs=-1, required=True, metavar="ID...")
@note_option
@yes_option
@json_option
@pass_session
def approve(session: Session, *, held: Sequence[UUID], note: str, yes: bool, as_json: bool) -> int:
    """Approve that mails are released as they are; not those that you have asked for yourself."""
    actor = caller()
    session.open_store()

    confirm(f"Send {counted(len(held), 'mail')} as it came, unencrypted if it is?", yes=yes)
    return _each(held, lambda one: actions.approve(one, actor, note), as_json=as_json)


@quarantine.command("delete")
@click.argument("held", type=click.UUID, nargs=-1, required=True, metavar="ID...")
@note_option
@yes_option
@json_option
@pass_session
def delete(session: Session, *, held: Sequence[UUID], note: str, yes: bool, as_json: bool) -> int:
    """Delete mails for good; what was done with them stays recorded."""
    actor = caller()
    session.open_store()

    confirm(f"Delete {counted(len(held), 'mail')} for good?", yes=yes)
    return _each(held, lambda one: actions.delete(one, actor, note), as_json=as_json)


@quarantine.command("extend")
@click.argument("held", type=click.UUID, nargs=-1, required=True, metavar="ID...")
@click.option("--days", type=click.IntRange(1, actions.MAX_HOLD_DAYS), required=True, help="From now on.")
@note_option
@json_option
@pass_session
def extend(session: Session, *, held: Sequence[UUID], days: int, note: str, as_json: bool) -> int:
    """Hold mails for so many days more, counted from now; fewer than before, too."""
    actor = caller()
    session.open_store()

    until = datetime.now(UTC) + timedelta(days=days)
    return _each(held, lambda one: actions.extend(one, actor, until, note), as_json=as_json)


@quarantine.command("events")
@click.argument("held", type=click.UUID, required=False, metavar="[ID]")
@click.option("--actor", metavar="NAME", help="What one account has done; mailseal: what happened by itself.")
@click.option("--action", type=one_of(Action))
@click.option("--since", type=Moment(), help="From this time on: ISO 8601, or 15m, 2h, 7d ago.")
@click.option("--until", type=Moment(), help="Before this time.")
@click.option("--before", type=click.UUID, metavar="EVENT-ID", help="Older than this event, for the next page.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@json_option
@pass_session
def events(
    session: Session,
    *,
    held: UUID | None,
    actor: str | None,
    action: str | None,
    since: datetime | None,
    until: datetime | None,
    before: UUID | None,
    limit: int,
    as_json: bool,
) -> None:
    """Who did what, the newest first: with one mail, or with all."""
    session.open_store()

    found = events_of.list_events(
        held,
        actor=actor if actor in (None, MAILSEAL.key) else key_of(str(actor)),
        action=Action(action) if action else None,
        since=since,
        until=until,
        before=before,
        limit=limit,
    )
    columns = ("time", "who", "action", "note", "quarantine", "recipient")
    show([event_row(one) for one in found], columns, as_json=as_json, nothing="nothing was done with it")


@quarantine.command("export")
@click.argument("held", type=click.UUID, metavar="ID")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to make; else standard output."
)
@note_option
@pass_session
def export(session: Session, *, held: UUID, output: Path | None, note: str) -> None:
    """Write a mail out as it came, with everything that is in it. That somebody has done so is recorded first.

    A file is never overwritten, and can be read by its owner alone.
    """
    actor = caller()
    destination = destination_of(output, is_text=False)
    config = session.open_store(for_now=True)

    mail = held_mails.find(held)
    octets = held_mails.octets(mail, open_ring(config.keys.kek))
    actions.seen(held, actor, Action.EXPORTED, note)
    write(octets, destination, mode=PRIVATE_MODE)


def _each(held: Sequence[UUID], act: Callable[[UUID], HeldMail], *, as_json: bool) -> int:
    """Do it with each, those behind one that cannot be done too. Exit status 1 if there is such a one."""
    done, failed = [], 0
    for one in dict.fromkeys(held):
        try:
            done.append(held_row(act(one)))
        except PermanentError as error:
            failed = report(error)
    if done or as_json:
        show(done, ("id", "recipient", "state", "way", "expires", "asked_by"), as_json=as_json)
    return failed
