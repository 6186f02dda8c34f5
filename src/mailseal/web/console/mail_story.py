"""One mail as its page tells it: for each recipient what happened in order, and why, from the rows of the log.

The same outcome again and again, as of a mail that waits in the queue, is told once.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from uuid import UUID

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from mailseal.mail.address import Address
from mailseal.policy.reason import Reason
from mailseal.store import quarantine, quarantine_events
from mailseal.store.log import LogEntry
from mailseal.web.access import Area, Principal
from mailseal.web.words import FATES, TREATMENTS, WHAT_HAPPENED, Word

MAX_EVENTS = 1000
Text = str | Promise
DETAILS: Mapping[str, Text] = {
    "algorithm": _("Encrypted with"),
    "keys": _("For the keys"),
    "signer": _("Signer"),
    "signature": _("Signature"),
    "dkim": _("DKIM signature"),
    "arc-seal": _("ARC seal"),
    "released": _("Released"),
    "quarantine": _("Quarantine"),
}
"""What a detail of the log is called; layers of what was opened are called by their number."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened. `again`: how often the same happened after that, the last time at `last`."""

    time: datetime
    word: Word
    text: str = ""
    reasons: tuple[Reason, ...] = ()
    facts: tuple[tuple[Text, str], ...] = ()
    again: int = 0
    last: datetime | None = None
    treatment: str = ""
    method: str = ""
    queue_id: str = ""
    sent_as: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """What became of the copy of one recipient. `held`: under which ID it is or was held."""

    recipient: str
    fate: str
    treatment: str
    method: str
    steps: tuple[Step, ...]
    held: UUID | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """`subject`: "" when it was not logged."""

    message: str
    message_id: str
    sender: str
    subject: str
    direction: str
    first: datetime
    last: datetime
    queue_ids: tuple[str, ...]
    ways: tuple[Way, ...]


def story(entries: Sequence[LogEntry], who: Principal) -> Story:
    """What these rows of one mail say, which is at least one; what was done in the quarantine if they may see it."""
    in_order = sorted(entries, key=lambda one: (one.time, one.id))
    newest = in_order[-1]
    by_recipient: dict[str, list[LogEntry]] = {}
    for one in in_order:
        by_recipient.setdefault(Address.parse(one.recipient).key, []).append(one)
    held = _held(newest.message, by_recipient, who)
    handled = _handled(held.values())
    ways = tuple(_way(rows, held.get(key), handled) for key, rows in by_recipient.items())
    return Story(
        newest.message,
        newest.message_id,
        newest.sender,
        next((one.subject for one in in_order if one.subject), ""),
        newest.direction,
        in_order[0].time,
        newest.time,
        tuple(dict.fromkeys(one.queue_id for one in in_order if one.queue_id)),
        ways,
    )


def _held(message: str, by_recipient: Mapping[str, Sequence[LogEntry]], who: Principal) -> dict[str, UUID]:
    """Under which IDs copies are or were held that they may see, by recipient."""
    if not who.may(Area.QUARANTINE):
        return {}
    found = quarantine.of_mails(frozenset({message}))
    held = {key: found[message, key] for key in by_recipient if (message, key) in found}
    senders = {key: by_recipient[key][-1].sender for key in held}
    domains = {key: Address.parse(sender).domain if sender else "" for key, sender in senders.items()}
    return {key: one for key, one in held.items() if who.may_for(domains[key], Area.QUARANTINE)}


def _way(rows: Sequence[LogEntry], held: UUID | None, handled: Mapping[UUID, Sequence[Step]]) -> Way:
    last = rows[-1]
    told = [*_attempts(rows)]
    if held is not None:
        told += handled.get(held, ())
    told.sort(key=lambda step: step.time)
    return Way(last.recipient, last.fate, last.treatment, last.method, tuple(told), held)


def _attempts(rows: Sequence[LogEntry]) -> Iterator[Step]:
    for _same, found in groupby(rows, key=lambda one: (one.fate, one.reply, one.reasons, one.details)):
        first, *again = found
        yield Step(
            first.time,
            FATES.get(first.fate, Word(first.fate)),
            first.reply,
            first.reasons,
            tuple((label(name), value) for name, value in first.details if value),
            len(again),
            again[-1].time if again else None,
            first.treatment if first.treatment in TREATMENTS else "",
            first.method,
            first.queue_id,
            first.sent_as,
        )


def label(name: str) -> Text:
    """What a detail is called."""
    if name.startswith("layer-"):
        return _("Layer %(number)s") % {"number": name.removeprefix("layer-")}
    return DETAILS.get(name, name)


def _handled(held: Collection[UUID]) -> Mapping[UUID, Sequence[Step]]:
    """What was done with each of them, the last MAX_EVENTS of all."""
    found: dict[UUID, list[Step]] = {}
    for event in quarantine_events.of_mails(held, limit=MAX_EVENTS) if held else ():
        word = WHAT_HAPPENED.get(event.action, Word(event.action))
        step = Step(event.time, word, event.note, facts=((_("By"), event.actor.name),))
        found.setdefault(event.quarantine, []).append(step)
    return found
