"""What `mailseal queue` shows of mails: rows, with the reasons of the message log where Mailseal has deferred them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from mailseal.mail.address import Address, AddressError
from mailseal.policy.text import render
from mailseal.postfix.queue_file import QueueFile
from mailseal.postfix.queue_mails import Awaiting
from mailseal.postfix.queue_reasons import WORDS, Wait, WaitKind
from mailseal.postfix.queue_summary import Summary, Waiting
from mailseal.store.log import LogEntry

MAIL_COLUMNS = ("id", "queue", "age", "size", "sender", "recipient", "why")
SUMMARY_COLUMNS = ("recipients", "mails", "oldest", "why", "next_hop")

Logged = Callable[[str], Mapping[str, LogEntry]]
"""What became last of each recipient (by `Address.key`) of the mail with a queue ID."""


def age(since: datetime, now: datetime) -> str:
    """How long ago, in one unit."""
    seconds = max(0, int((now - since).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def summary_rows(summary: Summary, now: datetime) -> list[dict[str, object]]:
    """A row for each reason and next hop."""
    return [
        {
            "recipients": one.recipients,
            "mails": one.mails,
            "oldest": age(one.oldest, now),
            "kind": one.kind.value,
            "why": WORDS[one.kind],
            "next_hop": one.next_hop,
            "since": one.oldest,
        }
        for one in summary.groups()
    ]


def mail_json(waiting: Waiting, now: datetime, logged: Logged) -> dict[str, object]:
    """A mail and its recipients, all that is known."""
    mail = waiting.mail
    entries = _entries(waiting.recipients, mail.id, logged)
    return {
        "id": mail.id,
        "queue": mail.queue,
        "arrived": mail.arrived,
        "age_seconds": max(0, int((now - mail.arrived) / timedelta(seconds=1))),
        "size_bytes": mail.size_bytes,
        "sender": mail.sender or "<>",
        "expiring": mail.expiring,
        "recipients": [
            _recipient_json(one, wait, entry) for (one, wait), entry in zip(waiting.recipients, entries, strict=True)
        ],
    }


def mail_rows(waiting: Waiting, now: datetime, logged: Logged) -> list[dict[str, object]]:
    """For people: a row for each recipient, the mail in the first of them."""
    mail = waiting.mail
    facts: dict[str, object] = {
        "id": mail.id,
        "queue": mail.queue,
        "age": age(mail.arrived, now),
        "size": _size(mail.size_bytes),
        "sender": mail.sender or "<>",
    }
    entries = _entries(waiting.recipients, mail.id, logged)
    rows = [
        {"recipient": one.address, "why": in_words(wait, entry)}
        for (one, wait), entry in zip(waiting.recipients, entries, strict=True)
    ]
    blank = dict.fromkeys(facts, "")
    return [{**(blank if number else facts), **row} for number, row in enumerate(rows or [{}])]


def in_words(wait: Wait, entry: LogEntry | None) -> str:
    """Why a recipient waits: ours, Postfix's and what the message log has."""
    words = WORDS[wait.kind]
    if entry is not None and entry.reasons:
        return f"{words}: {'; '.join(render(one) for one in entry.reasons)}"
    return f"{words}: {wait.text}" if wait.text else words


def file_facts(file: QueueFile, subjects: Sequence[str]) -> dict[str, object]:
    """The envelope as lines of name and value; a subject only if the message log was allowed to keep it."""
    facts: dict[str, object] = {"queue": file.queue}
    attributes = [value for name, value in file.records if name == "named_attribute"]
    for name in ("message_arrival_time", "sender", "content_filter"):
        facts[name] = next((value for key, value in reversed(file.records) if key == name), None)
    facts["sender"] = facts["sender"] or "<>"
    facts["recipients"] = [value for name, value in file.records if name == "recipient"]
    facts["attributes"] = attributes
    facts["header_fields"] = file.header_names
    facts["subject"] = next(iter(subjects), None)
    return facts


def known_as(file: QueueFile) -> Sequence[str]:
    """The queue IDs by which the message log may know a mail: if it was requeued, that which it had before first."""
    before = [value.removeprefix("log_ident=") for _, value in file.records if value.startswith("log_ident=")]
    return tuple(dict.fromkeys([*before, file.id]))


def _recipient_json(one: Awaiting, wait: Wait, entry: LogEntry | None) -> dict[str, object]:
    return {
        "address": one.address,
        "kind": wait.kind.value,
        "why": in_words(wait, entry),
        "next_hop": wait.next_hop or None,
        "postfix": one.reason or None,
        "message": entry.message if entry else None,
        "reasons": [render(reason) for reason in entry.reasons] if entry else [],
        "reason_codes": [reason.code.value for reason in entry.reasons] if entry else [],
    }


def _entries(recipients: Sequence[tuple[Awaiting, Wait]], queue_id: str, logged: Logged) -> list[LogEntry | None]:
    """The log is asked only about what it was that has deferred."""
    if not any(wait.kind is WaitKind.MAILSEAL for _, wait in recipients):
        return [None] * len(recipients)
    known = logged(queue_id)
    return [known.get(_key(one.address)) if wait.kind is WaitKind.MAILSEAL else None for one, wait in recipients]


def _key(address: str) -> str:
    try:
        return Address.parse(address).key
    except AddressError:
        return ""


def _size(size_bytes: int) -> str:
    if size_bytes < 1024:
        return f"{size_bytes} B"
    return f"{size_bytes / 1024:.0f} KiB" if size_bytes < 1 << 20 else f"{size_bytes / (1 << 20):.1f} MiB"
