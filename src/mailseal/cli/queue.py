"""`mailseal queue`: mail that waits in Postfix's queue: why, and what to do with it."""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.log import print_row, row_of
from mailseal.cli.output import confirm, counted, json_option, plain, print_json, show, show_one, yes_option
from mailseal.cli.session import Session, become_owner, pass_session
from mailseal.mail.queue_id import is_queue_id
from mailseal.postfix.queue_reasons import WaitKind
from mailseal.postfix.queue_request import Verb
from mailseal.postfix.queue_summary import QueueFilter, Summary, Waiting
from mailseal.roles.queue_client import Changed, Listing, QueueClient, our_sockets, queue_client, record_change
from mailseal.roles.queue_view import (
    MAIL_COLUMNS,
    SUMMARY_COLUMNS,
    file_facts,
    known_as,
    mail_json,
    mail_rows,
    summary_rows,
)
from mailseal.store import log
from mailseal.store.log import LogEntry, LogFilter
from mailseal.store.transaction import StoreUnavailable

QUEUES = ("deferred", "hold", "active", "incoming", "maildrop")
IDS_SHOWN = 20


class QueueId(click.ParamType[str]):
    """A queue ID of Postfix."""

    name = "ID"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check it: it becomes an argument of Postfix's commands."""
        text = str(value)
        if not is_queue_id(text):
            self.fail(f"{text!r} is not a queue ID, such as 4dJmVf1Bqmz9sTz", param, ctx)
        return text


ids_argument: Callable[[Any], Any] = click.argument("ids", nargs=-1, type=QueueId(), metavar="ID…")
all_option: Callable[[Any], Any] = click.option("--all", "everything", is_flag=True, help="Every mail.")


@click.group()
def queue() -> None:
    """Mail that waits in Postfix: why, and what to do with it."""


@queue.command("list")
@click.option("--why", metavar="TEXT", help=f"By reason: {', '.join(WaitKind)}, or a piece of the text.")
@click.option("--recipient", metavar="ADDRESS|DOMAIN", help="Envelope recipient.")
@click.option("--sender", metavar="ADDRESS|DOMAIN", help="Envelope sender; <> is the null sender.")
@click.option("--queue", "name", type=click.Choice(QUEUES), help="Only this queue of Postfix.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The oldest so many.")
@json_option
@pass_session
def list_(
    session: Session,
    *,
    why: str | None,
    recipient: str | None,
    sender: str | None,
    name: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """What waits: first how much for which reason, then the oldest mails and why each recipient waits."""
    config = session.config_as_it_runs
    session.open_store()
    wanted, ours, summary = QueueFilter(name, sender, recipient, why), our_sockets(config), Summary()

    def meant(listing: Listing) -> Iterator[Waiting]:
        for mail in listing:
            if (waiting := wanted.meant(mail, ours)) is not None:
                summary.add(waiting)
                yield waiting

    with queue_client(config).listing() as listing:
        oldest = heapq.nsmallest(limit, meant(listing), key=lambda one: (one.mail.arrived, one.mail.id))
    nothing = "no mail waits" if wanted == QueueFilter() else "no mail that fits waits"
    _show_list(oldest, summary, as_json=as_json, nothing=nothing)
    _tell(listing)


def _show_list(oldest: Sequence[Waiting], summary: Summary, *, as_json: bool, nothing: str) -> None:
    at = datetime.now(UTC)
    groups, count = summary_rows(summary, at), summary.mails.total()
    if as_json:
        mails = [mail_json(one, at, _logged) for one in oldest]
        print_json({"count": count, "queues": dict(summary.mails), "summary": groups, "mails": mails})
        return
    if not count:
        click.echo(nothing, err=True)
        return
    queues = ", ".join(f"{number} {name}" for name, number in summary.mails.most_common())
    click.echo(plain(f"{counted(count, 'mail')} for {counted(summary.recipients.total(), 'recipient')} ({queues})"))
    click.echo()
    show(groups, SUMMARY_COLUMNS, as_json=False)
    if oldest:
        click.echo()
        show([row for one in oldest for row in mail_rows(one, at, _logged)], MAIL_COLUMNS, as_json=False)
    if len(oldest) < count:
        click.echo(f"not shown: {counted(count - len(oldest), 'younger mail')}; --limit shows more", err=True)


def _logged(queue_id: str) -> Mapping[str, LogEntry]:
    """The message log, if it can be asked: the queue is shown without it too."""
    try:
        return log.latest(queue_id)
    except StoreUnavailable:
        return {}


def _tell(listing: Listing) -> None:
    if listing.cut:
        click.echo(f"beyond what can be listed: {counted(listing.cut, 'more mail')}", err=True)
    if listing.unreadable:
        click.echo(f"not listed, for they cannot be read: {counted(listing.unreadable, 'mail')}", err=True)
    if listing.note:
        click.echo(f"Postfix says: {plain(listing.note)}", err=True)


@queue.command("show")
@click.argument("queue_id", type=QueueId(), metavar="ID")
@json_option
@pass_session
def show_(session: Session, *, queue_id: str, as_json: bool) -> None:
    """One mail: its envelope, why each recipient waits, names of header fields, and its rows of the message log."""
    config = session.config_as_it_runs
    session.open_store()
    client = queue_client(config)
    file = client.show(queue_id)
    if file is None:
        raise CommandError(f"{queue_id} is not in the queue (any more)", f"mailseal log --queue-id {queue_id}")
    waiting = _find(client, queue_id, our_sockets(config))
    entries = [row for name in known_as(file) for row in reversed(log.search(LogFilter(queue_id=name)))]
    facts = file_facts(file, [one.subject for one in entries if one.subject])
    at = datetime.now(UTC)
    if as_json:
        mail = mail_json(waiting, at, _logged) if waiting else {"id": queue_id, "recipients": []}
        print_json({**facts, **mail, "log": [row_of(one) for one in entries]})
        return
    show_one({"id": queue_id, **facts}, as_json=False)
    if waiting:
        click.echo()
        show(mail_rows(waiting, at, _logged), ("recipient", "why"), as_json=False)
    click.echo()
    for one in entries:
        print_row(row_of(one), as_json=False)
    if not entries:
        click.echo("the message log has nothing of it yet")


def _find(client: QueueClient, queue_id: str, ours: frozenset[str]) -> Waiting | None:
    with client.listing() as listing:
        for mail in listing:
            if mail.id == queue_id:
                return QueueFilter().meant(mail, ours)
    return None


@queue.command()
@ids_argument
@all_option
@pass_session
def hold(session: Session, *, ids: Sequence[str], everything: bool) -> int:
    """Put mails on hold: Postfix keeps them and does not try."""
    return _change(session, Verb.HOLD, ids, everything=everything, done="put on hold")


@queue.command()
@ids_argument
@all_option
@pass_session
def release(session: Session, *, ids: Sequence[str], everything: bool) -> int:
    """Take mails off hold and try those that are named at once."""
    status = _change(session, Verb.RELEASE, ids, everything=everything, done="released")
    if ids:
        queue_client(session.config_as_it_runs).try_now(ids)
    return status


@queue.command()
@ids_argument
@all_option
@pass_session
def requeue(session: Session, *, ids: Sequence[str], everything: bool) -> int:
    """Hand mails in anew, for changed rewriting or filters of Postfix. They get other queue IDs.

    Not for a changed route, which counts at the next attempt anyway. A mail that would not come back to the filter it
    came from is left alone: it could be signed, or leave in clear, though it must not.
    """
    _require_meant(Verb.REQUEUE, ids, everything=everything)
    if everything:
        become_owner(session.config.data_dir)
        with queue_client(session.config_as_it_runs).listing() as listing:
            ids = [mail.id for mail in listing if mail.queue in {"deferred", "hold"} and is_queue_id(mail.id)]
        if not ids:
            click.echo("no mail waits")
            return 0
    return _change(session, Verb.REQUEUE, ids, everything=False, done="requeued")


@queue.command()
@ids_argument
@yes_option
@pass_session
def delete(session: Session, *, ids: Sequence[str], yes: bool) -> int:
    """Delete mails for good. Nobody is told; the sender least of all."""
    if ids:
        confirm(f"Delete {_listed(ids)}? Neither sender nor recipients are told.", yes=yes)
    return _change(session, Verb.DELETE, ids, everything=False, done="deleted")


@queue.command()
@ids_argument
@pass_session
def flush(session: Session, *, ids: Sequence[str]) -> None:
    """Try mails now: those that are named, or all."""
    become_owner(session.config.data_dir)
    client = queue_client(session.config_as_it_runs)
    if ids:
        client.try_now(ids)
    else:
        client.flush()
    click.echo("Postfix tries them now")


def _change(session: Session, verb: Verb, ids: Sequence[str], *, everything: bool, done: str) -> int:
    _require_meant(verb, ids, everything=everything)
    session.open_store()
    client = queue_client(session.config_as_it_runs)
    changed = client.change_all(verb) if everything else client.change(verb, tuple(dict.fromkeys(ids)))
    click.echo(f"{counted(changed.count, 'mail')} {done}")
    try:
        record_change(verb, changed, everything=everything)
    except StoreUnavailable as error:  # Postfix's queue is looked after without the database as well
        click.echo(f"warning: the audit does not have it: {error}", err=True)
    if changed.note:
        click.echo(f"Postfix says: {plain(changed.note)}", err=True)
    return 0 if everything else _tell_left(ids, changed)


def _require_meant(verb: Verb, ids: Sequence[str], *, everything: bool) -> None:
    if everything == bool(ids):
        raise click.UsageError("name mails by their queue IDs" + ("" if verb is Verb.DELETE else ", or --all"))


def _tell_left(ids: Sequence[str], changed: Changed) -> int:
    """Exit status 1 if not all of them were changed."""
    gone = [one for one in dict.fromkeys(ids) if one not in {*changed.ids, *changed.kept}]
    if changed.kept:
        click.echo(
            f"left alone: {_listed(changed.kept)}; Postfix would hand them to another filter than they came from. For "
            "another attempt: mailseal queue flush",
            err=True,
        )
    if gone:
        click.echo(f"not there (any more), or not in a queue that this is for: {_listed(gone)}", err=True)
    return int(bool(gone or changed.kept))


def _listed(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - IDS_SHOWN} more" if len(ids) > IDS_SHOWN else ""
    return ", ".join(ids[:IDS_SHOWN]) + more
