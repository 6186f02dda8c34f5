"""What to look for in the message log, as conditions on its rows: those that an index answers, and the others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, Concat, Lower

from mailseal.errors import PermanentError
from mailseal.mail.address import Address, AddressError
from mailseal.policy.model import Fate, MethodName, Treatment
from mailseal.policy.reason import ReasonCode
from mailseal.store.models import LogRow
from mailseal.store.owners import domain_name
from mailseal.store.queue_models import LogQueueRow
from mailseal.store.row import first_uuid7

CLOCK_SLACK = timedelta(minutes=10)
"""How far the time in a row's key may be from its `time`."""

Rows = QuerySet[LogRow]
SIDES = ("sender", "recipient")


class LogFilterError(PermanentError):
    """A filter that cannot be meant."""


@dataclass(frozen=True, slots=True)
class LogFilter:
    """What to look for; None is anything. `sender`, `recipient`: an address or a whole domain; `party`: either side.

    `queue_id`: that of the MTA which handed the mail in, or of the one that took it. `subject`: a part of it, in any
    case. `domains`: only mails from or to one of these (A-labels in lower case).
    """

    sender: str | None = None
    recipient: str | None = None
    party: str | None = None
    fate: Fate | None = None
    direction: str | None = None
    message: str | None = None
    message_id: str | None = None
    queue_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    treatment: Treatment | None = None
    method: MethodName | None = None
    reason: ReasonCode | None = None
    subject: str | None = None
    domains: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Indexed:
    """A column that must have a value; there is an index over it and the key."""

    column: str
    value: str

    def by_index(self, rows: Rows) -> Rows:
        """Those rows, found by the index."""
        return rows.filter(**{self.column: self.value})

    def by_looking(self, rows: Rows) -> Rows:
        """Those rows, in a form for which the database cannot choose the index."""
        name = f"{self.column}_seen"
        return rows.alias(**{name: Concat(self.column, Value(""))}).filter(**{name: self.value})


@dataclass(frozen=True, slots=True)
class Branch:
    """One set of conditions that all must hold; what is looked for is in one of the branches, or in several.

    `rows` has what narrows by itself (time, queue IDs), to a few when they are `few`; `others` is for looking at each.
    """

    rows: Rows
    few: bool
    indexed: tuple[Indexed, ...]
    others: Q
    any_other: bool


def branches(wanted: LogFilter) -> Sequence[Branch]:
    """What to look through for this filter; raises LogFilterError."""
    if wanted.party is not None:
        as_sides: Mapping[str, dict[str, Any]] = {side: {side: wanted.party} for side in SIDES}
        either = (replace(wanted, party=None, **as_sides[side]) for side in SIDES if getattr(wanted, side) is None)
        return [branch for one in either for branch in branches(one)]
    whole = Branch(_rows(wanted), wanted.queue_id is not None, tuple(_indexed(wanted)), *_others(wanted))
    if wanted.domains is None:
        return [whole]
    known = {side: _domain_of(getattr(wanted, side)) for side in SIDES}
    if wanted.domains.intersection(filter(None, known.values())):
        return [whole]
    return [
        replace(whole, indexed=(*whole.indexed, Indexed(f"{side}_domain", domain)))
        for side in SIDES
        for domain in sorted(wanted.domains)
        if known[side] is None
    ]


def filtered(wanted: LogFilter) -> Rows:
    """The rows that fit, by one condition; for those that are read from the oldest on. Raises LogFilterError."""
    rows = _rows(wanted)
    for one in _indexed(wanted):
        rows = one.by_index(rows)
    if wanted.domains is not None:
        rows = rows.filter(Q(sender_domain__in=wanted.domains) | Q(recipient_domain__in=wanted.domains))
    if wanted.party is not None:
        columns = (_party(side, wanted.party) for side in SIDES)
        rows = rows.filter(reduce(or_, (Q((one.column, one.value)) for one in columns)))
    return looked_at(rows, _others(wanted)[0])


def looked_at(rows: Rows, others: Q) -> Rows:
    """Those of the rows for which the other conditions hold."""
    return rows.alias(subject_low=Lower("subject"), reasons_text=Cast("reasons", TextField())).filter(others)


def party_filter(column: str, text: str) -> dict[str, str]:
    """A filter on a column of address keys: an address, a domain for all of it, "<>"; raises LogFilterError."""
    text = text.strip()
    try:
        if text in {"", "<>"}:
            return {column: ""}
        if "@" in text.removeprefix("@"):
            return {column: Address.parse(text).key}
        return {f"{column}__endswith": f"@{domain_name(text.removeprefix('@'))}"}
    except AddressError as error:
        raise LogFilterError(f"{text[:100]!r} is neither an address nor a domain: {error}") from None


def _rows(wanted: LogFilter) -> Rows:
    rows = LogRow.objects.all()
    if wanted.queue_id is not None:
        either = Q(queue_id=wanted.queue_id) | Q(sent_as=wanted.queue_id)
        keys = LogQueueRow.objects.filter(either).values("pk")
        rows = rows.filter(pk__in=keys) if wanted.queue_id else rows.none()
    # The key begins with the time, so its index finds the range; the column decides.
    if wanted.since is not None:
        rows = rows.filter(pk__gte=first_uuid7(_shifted(wanted.since, -CLOCK_SLACK)), time__gte=wanted.since)
    if wanted.until is not None:
        rows = rows.filter(pk__lt=first_uuid7(_shifted(wanted.until, CLOCK_SLACK)), time__lt=wanted.until)
    return rows


def _shifted(at: datetime, by: timedelta) -> datetime:
    """As far as there are years."""
    try:
        return at + by
    except OverflowError:
        return at


def _indexed(wanted: LogFilter) -> Iterator[Indexed]:
    for column, text in (("message", wanted.message), ("message_id", wanted.message_id)):
        if text is not None:
            yield Indexed(column, text)
    for side, text in zip(SIDES, (wanted.sender, wanted.recipient), strict=True):
        if text is not None:
            yield _party(side, text)
    if wanted.fate is not None:
        yield Indexed("fate", wanted.fate.value)


def _party(side: str, text: str) -> Indexed:
    ((column, value),) = party_filter(f"{side}_key", text).items()
    return (
        Indexed(f"{side}_domain", value.removeprefix("@")) if column.endswith("__endswith") else Indexed(column, value)
    )


def _domain_of(text: str | None) -> str | None:
    """The domain that is looked for at this side, "" for the null sender; None: any."""
    if text is None:
        return None
    (key,) = party_filter("key", text).values()
    return key.rpartition("@")[2]


def _others(wanted: LogFilter) -> tuple[Q, bool]:
    columns = (("direction", wanted.direction), ("treatment", wanted.treatment), ("method", wanted.method))
    others = Q(*((name, str(value)) for name, value in columns if value is not None))
    if wanted.reason is not None:
        others &= Q(reasons_text__contains=f'"code": "{wanted.reason.value}"')
    if wanted.subject:
        others &= Q(subject__contains=wanted.subject) | Q(subject_low__contains=wanted.subject.lower())
    return others, bool(others)
