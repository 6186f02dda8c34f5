"""`mailseal log`: what became of each recipient's copy of each mail, with every reason."""

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import click

from mailseal.cli.output import cell, json_option, jsonable, plain, show
from mailseal.cli.session import Session, pass_session
from mailseal.mail.address import Address
from mailseal.policy.model import Fate
from mailseal.policy.text import render
from mailseal.store import log as store_log
from mailseal.store import quarantine
from mailseal.store.log import LogEntry, LogFilter

_INDENT = "    "
_HELD = "held"
_AGO = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Moment(click.ParamType[datetime]):
    """A time: ISO 8601 (UTC unless it says otherwise), or so long ago, such as 90s, 15m, 2h, 7d."""

    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read it; fails with an example."""
        if isinstance(value, datetime):
            return value
        text = str(value)
        try:
            if ago := _AGO.fullmatch(text):
                return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            found = datetime.fromisoformat(text)
        except (ValueError, OverflowError):
            self.fail(f"{text!r} is not a time; for example 2026-11-23T14:00 or 2h", param, ctx)
        return found if found.tzinfo else found.replace(tzinfo=UTC)


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on with new rows as they come.")
@click.option("--sender", metavar="ADDRESS|DOMAIN", help="Envelope sender; <> is the null sender.")
@click.option("--recipient", metavar="ADDRESS|DOMAIN", help="Envelope recipient.")
@click.option("--fate", type=click.Choice([fate.value for fate in Fate]))
@click.option("--direction", type=click.Choice(["in", "out"]))
@click.option("--message", metavar="ID", help="Mailseal's own ID of a mail.")
@click.option("--message-id", metavar="ID", help="The Message-ID of a mail.")
@click.option("--queue-id", metavar="ID", help="The MTA's queue ID, before Mailseal or behind it.")
@click.option("--since", type=Moment(), help="From this time on: ISO 8601, or 15m, 2h, 7d ago.")
@click.option("--until", type=Moment(), help="Before this time.")
@click.option("--before", type=click.UUID, metavar="ID", help="Older than this row, for the next page.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@json_option
@pass_session
def log(
    session: Session,
    *,
    follow: bool,
    sender: str | None,
    recipient: str | None,
    fate: str | None,
    direction: str | None,
    message: str | None,
    message_id: str | None,
    queue_id: str | None,
    since: datetime | None,
    until: datetime | None,
    before: UUID | None,
    limit: int,
    as_json: bool,
) -> None:
    """What became of each mail: the newest rows, oldest of them first.

    With --follow, --json gives an object on each line.
    """
    session.open_store()
    wanted = LogFilter(
        sender=sender,
        recipient=recipient,
        fate=Fate(fate) if fate else None,
        direction=direction,
        message=message,
        message_id=message_id,
        queue_id=queue_id,
        since=since,
        until=until,
    )
    rows = rows_of([*reversed(store_log.search(wanted, before=before, limit=limit))])
    if not follow and (as_json or not rows):
        show(rows, (), as_json=as_json, nothing="no mail yet that fits")
        return
    for row in rows:
        print_row(row, as_json=as_json)
    for entry in store_log.follow(wanted) if follow else ():
        print_row(*rows_of([entry]), as_json=as_json)


def print_row(row: dict[str, object], *, as_json: bool) -> None:
    """One line for programs; on a terminal, which is seldom so wide, the reasons below it."""
    if as_json:
        click.echo(json.dumps(row, default=jsonable))
        return
    way = f"{cell(row['time'])} {row['direction']} {row['sender']} -> {row['recipient']}"
    queue = f"; came as {row['queue_id']}" if row.get("queue_id") else ""
    held = f"; quarantine {row['quarantine']}" if row.get("quarantine") else ""
    what = plain(f"{way}: {row['fate']}, {row['treatment']}; {row['reply']}{queue}{held}")
    reasons = cell(row["reasons"])
    if sys.stdout.isatty():
        click.echo(click.style(what, bold=True))
        click.echo(
            textwrap.fill(
                reasons, shutil.get_terminal_size().columns, initial_indent=_INDENT, subsequent_indent=_INDENT
            )
        )
    else:
        click.echo(f"{what}; {reasons}")


def rows_of(entries: Sequence[LogEntry]) -> list[dict[str, object]]:
    """The rows, and under which ID a copy is or was held."""
    held = quarantine.of_mails(frozenset(one.message for one in entries if one.fate == _HELD))
    return [row_of(one) | {"quarantine": _held_as(one, held)} for one in entries]


def _held_as(entry: LogEntry, held: Mapping[tuple[str, str], UUID]) -> str | None:
    told = dict(entry.details).get("quarantine")
    found = held.get((entry.message, Address.parse(entry.recipient).key)) if entry.fate == _HELD else None
    return told or (None if found is None else str(found))


def row_of(entry: LogEntry) -> dict[str, object]:
    return {
        "id": str(entry.id),
        "time": entry.time,
        "message": entry.message,
        "message_id": entry.message_id,
        "direction": entry.direction,
        "sender": entry.sender or "<>",
        "recipient": entry.recipient,
        "fate": entry.fate,
        "treatment": entry.treatment,
        "method": entry.method or None,
        "reply": entry.reply,
        "reasons": [render(reason) for reason in entry.reasons],
        "reason_codes": [reason.code.value for reason in entry.reasons],
        "details": list(entry.details),
        "subject": entry.subject or None,
        "queue_id": entry.queue_id or None,
        "sent_as": entry.sent_as or None,
    }
