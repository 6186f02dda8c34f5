"""One mail as its page tells it: for each recipient what happened in order, and why, from the rows of the log.

The same outcome again and again, as of a mail that waits in the queue, is told once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    held = quarantine.of_mails(frozenset({newest.message})) if who.may(Area.QUARANTINE) else {}
    by_recipient: dict[str, list[LogEntry]] = {}
    for one in in_order:
        by_recipient.setdefault(Address.parse(one.recipient).key, []).append(one)
    ways = tuple(_way(rows, held.get((newest.message, key)), who) for key, rows in by_recipient.items())
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


def _way(rows: Sequence[LogEntry], held: UUID | None, who: Principal) -> Way:
    last = rows[-1]
    told = [*_attempts(rows)]
    domain = Address.parse(last.sender).domain if last.sender else ""
    if held is not None and who.may_for(domain, Area.QUARANTINE):
        told += _handled(held)
    else:
        held = None
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


def _handled(held: UUID) -> Iterable[Step]:
    for event in quarantine_events.list_events(held):
        if event.action != quarantine_events.Action.HELD:
            word = WHAT_HAPPENED.get(event.action, Word(event.action))
            yield Step(event.time, word, event.note, facts=((_("By"), event.actor.name),))
