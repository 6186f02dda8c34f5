"""What `mailseal quarantine` shows: rows of held mails and events, and the safe view of one mail."""

import shutil
import sys
import textwrap
from collections.abc import Sequence

import click

from mailseal.cli.output import Row, plain, show, show_one
from mailseal.pipeline.safe_view import SafeView
from mailseal.policy.model import Finding
from mailseal.policy.text import render
from mailseal.store.quarantine import HeldMail
from mailseal.store.quarantine_details import Details
from mailseal.store.quarantine_events import Event


def held_row(mail: HeldMail) -> dict[str, object]:
    """Of a list: nothing that is sealed."""
    return {
        "id": str(mail.id),
        "held": mail.created,
        "expires": mail.expires,
        "sender": mail.sender or "<>",
        "recipient": mail.recipient,
        "why": mail.why,
        "findings": [_finding(one) for one in mail.findings],
        "state": mail.state.value,
        "error": mail.error or None,
        "message": mail.mail,
        "message_id": mail.message_id,
        "reasons": [render(one) for one in mail.reasons],
        "reason_codes": [one.code.value for one in mail.reasons],
        "size_bytes": mail.size_bytes,
        "releases": mail.releases,
        "way": mail.way or None,
        "asked_by": mail.asked_by.partition(":")[2] or None,
        "asked_until": mail.asked_until if mail.asked_by else None,
        "ended": mail.ended,
    }


def _finding(found: Row) -> str:
    count = found.get("count", 1)
    return f"{found.get('name')} ({found.get('action')}{f', {count} times' if count != 1 else ''})"


def event_row(event: Event) -> dict[str, object]:
    return {
        "id": str(event.id),
        "time": event.time,
        "who": event.actor.name,
        "actor": event.actor.key,
        "action": event.action,
        "note": event.note or None,
        "quarantine": str(event.quarantine),
        "message": event.mail,
        "recipient": event.recipient,
    }


def view_json(mail: HeldMail, details: Details, view: SafeView) -> dict[str, object]:
    """Everything that may be shown, for programs."""
    envelope = details.envelope
    return held_row(mail) | {
        "client": envelope.client.address,
        "origin": envelope.origin.value,
        "submission": envelope.submission,
        "findings": [_finding_row(one) for one in details.findings],
        "header": [list(field) for field in view.headers],
        "texts": [{"place": one.place, "text": one.text} for one in view.texts],
        "attachments": [
            {"name": one.name or None, "type": one.media_type, "size_bytes": one.size_bytes} for one in view.attachments
        ],
        "not_read": [f"{one.place}: {one.reason.value}" for one in view.gaps],
        "fault": view.fault or None,
        "cut": view.cut,
    }


def _finding_row(finding: Finding) -> dict[str, object]:
    return {
        "name": finding.name,
        "action": finding.action.value,
        "count": finding.count,
        "places": list(finding.places),
        "excerpt": finding.excerpt or None,
    }


def show_view(mail: HeldMail, details: Details, view: SafeView) -> None:
    """The same for people: facts, findings, then the mail."""
    facts = held_row(mail)
    del facts["findings"], facts["reason_codes"]
    show_one({name: value for name, value in facts.items() if value not in (None, [])}, as_json=False)
    if details.findings:
        click.echo()
        rows = [_finding_row(one) for one in details.findings]
        show(rows, ("name", "action", "count", "places", "excerpt"), as_json=False)
    click.echo()
    for name, value in view.headers:
        click.echo(f"{click.style(plain(name or '?'), bold=True)}: {plain(value)}")
    if view.fault:
        click.echo(f"note: its structure can be read in several ways: {plain(view.fault)}", err=True)
    for one in view.texts:
        click.echo(f"\n{click.style(plain(f'--- {one.place}'), bold=True)}")
        _show_text(one.text)
    for gap in view.gaps:
        click.echo(f"note: {plain(gap.place)} was not read: {gap.reason.value}", err=True)
    if view.attachments:
        click.echo()
        files = [{"name": one.name, "type": one.media_type, "size": one.size_bytes} for one in view.attachments]
        show(files, ("name", "type", "size"), as_json=False)
    if view.cut:
        click.echo("note: there is more than is shown here", err=True)


def _show_text(text: str) -> None:
    for line in text.split("\n"):
        click.echo("\n".join(_wrapped(plain(line.replace("\t", "    ").rstrip("\r")))))


def _wrapped(line: str) -> Sequence[str]:
    if not sys.stdout.isatty():
        return [line]
    return textwrap.wrap(line, shutil.get_terminal_size().columns) or [""]
