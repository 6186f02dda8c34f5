"""The audit: who changed what, when and from where. The events of each node are a hash chain.

`record` is called by the store's writing functions, in their transaction: what is changed is recorded, or not changed.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, overload
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Lower

from mailseal.store.acting import Way, current
from mailseal.store.actor import MAILSEAL, Actor
from mailseal.store.audit_mask import Facts, Json, masked
from mailseal.store.audit_models import KEY_CHARS, NAME_CHARS, WORD_CHARS, AuditEventRow, AuditHeadRow
from mailseal.store.configure import this_node
from mailseal.store.row import OWNER_CHARS, first_uuid7, storable, utc_now, uuid7
from mailseal.store.transaction import reads, run

MAX_LISTED = 1000
WINDOW_ROWS = 10_000
SEARCH_SECONDS = 0.15
GENESIS = "0" * 64
"""What the first event of a chain has as the digest of the one before."""


def record(
    area: str,
    action: str,
    subject: str,
    *,
    before: Facts | None = None,
    after: Facts | None = None,
    actor: Actor | None = None,
) -> None:
    """Add an event, in the caller's transaction if there is one: what was done with what, and its facts before and
    after (None: there were none), in which secrets are masked by the names of their keys. Equal ones are no event.

    Who, by which way and from where is what `acting.current` says; `actor` when the caller was told. As it locks the
    head of the node's chain until the end of the transaction, it comes late in it. Raises StoreUnavailable.
    """
    if before is not None and before == after:
        return
    who = current()
    person = actor or who.actor
    row = AuditEventRow(
        id=uuid7(),
        node=this_node(),
        time=utc_now(),
        actor=storable(person.key)[:KEY_CHARS],
        actor_name=storable(person.name)[:NAME_CHARS],
        way=who.way.value,
        place=storable(who.place)[:WORD_CHARS],
        area=area[:WORD_CHARS],
        action=action[:WORD_CHARS],
        subject=storable(subject)[:OWNER_CHARS],
        before=masked(before),
        after=masked(after),
    )
    run(lambda: _append(row))


@overload
def facts(row: Model, *columns: str) -> dict[str, Any]: ...


@overload
def facts(row: Model | None, *columns: str) -> dict[str, Any] | None: ...


def facts(row: Model | None, *columns: str) -> dict[str, Any] | None:
    """These columns of a row, as `record` takes them; None of none."""
    return None if row is None else {column: getattr(row, column) for column in columns}


def _append(row: AuditEventRow) -> None:
    head = _locked_head(row.node)
    row.number, row.previous = head.number + 1, head.digest
    row.digest = digest_of(row)
    row.save(force_insert=True)
    AuditHeadRow.objects.filter(pk=head.pk).update(number=row.number, digest=row.digest)


def _locked_head(node: str) -> AuditHeadRow:
    heads = AuditHeadRow.objects.select_for_update().filter(node=node)
    found = heads.first()
    if found is None:
        AuditHeadRow.objects.bulk_create([AuditHeadRow(node=node, digest=GENESIS)], ignore_conflicts=True)
        found = heads.get()
    return found


def digest_of(row: AuditEventRow) -> str:
    """The SHA-256 of an event and the digest of the one before it, in hexadecimal digits."""
    return hashlib.sha256(hashed_text(row).encode()).hexdigest()


def hashed_text(row: AuditEventRow) -> str:
    """What is hashed: a JSON list, ASCII only, without blanks."""
    facts: Sequence[str | int] = (
        "mailseal audit 1", row.node, row.number, row.previous, row.pk.hex, time_text(row.time), row.actor,
        row.actor_name, row.way, row.place, row.area, row.action, row.subject, row.before, row.after,
    )  # fmt: skip
    return json.dumps(facts, separators=(",", ":"))


def time_text(at: datetime) -> str:
    """A time as it is hashed, signed and exported."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


# ---- reading


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One change, as it was recorded. `before`, `after`: None where there was nothing."""

    id: UUID
    node: str
    number: int
    time: datetime
    actor: Actor
    way: Way
    place: str
    area: str
    action: str
    subject: str
    before: Json
    after: Json
    previous: str
    digest: str
    hashed: str
    """The text whose SHA-256 is `digest`."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What to look for; None is anything. `subject` is a whole one, `containing` a part of one; `actor` is a key or a
    name as it was then.
    """

    area: str | None = None
    action: str | None = None
    subject: str | None = None
    containing: str | None = None
    actor: str | None = None
    way: Way | None = None
    node: str | None = None
    since: datetime | None = None
    until: datetime | None = None


ANYTHING = AuditFilter()


@dataclass(frozen=True, slots=True)
class Found:
    """Some events, the newest first. `rest`: behind it older ones may be found (for `before`); None: there are none."""

    events: tuple[AuditEvent, ...]
    rest: UUID | None


def search(
    wanted: AuditFilter = ANYTHING, *, before: UUID | None = None, limit: int = 100, seconds: float = SEARCH_SECONDS
) -> Found:
    """As `list_events`, but where no index helps only for so long; then the rest is asked for as the next page is."""
    if not _scans(wanted):
        events = list_events(wanted, before=before, limit=limit + 1)
        return Found(events[:limit], events[limit - 1].id if len(events) > limit else None)
    give_up_at = time.monotonic() + seconds
    found: list[AuditEvent] = []
    while True:
        window = _window(wanted, before, limit + 1 - len(found))
        found += window.events
        if len(found) > limit:
            return Found(tuple(found[:limit]), found[limit - 1].id)
        if window.rest is None or time.monotonic() > give_up_at:
            return Found(tuple(found), window.rest)
        before = window.rest


def _scans(wanted: AuditFilter) -> bool:
    """Whether one condition alone is not what an index finds."""
    of_index = (wanted.area, wanted.actor, wanted.subject)
    others = (wanted.containing, wanted.action, wanted.way, wanted.node, wanted.actor and not _is_key(wanted.actor))
    return any(others) or sum(one is not None for one in of_index) > 1


@reads
def _window(wanted: AuditFilter, before: UUID | None, limit: int) -> Found:
    """What fits among the next WINDOW_ROWS events; behind `rest` there are more."""
    rows = AuditEventRow.objects.order_by("-pk")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    if wanted.until is not None:
        rows = rows.filter(pk__lt=first_uuid7(wanted.until))
    if wanted.since is not None:
        rows = rows.filter(pk__gte=first_uuid7(wanted.since))
    end = rows.values_list("pk", flat=True)[WINDOW_ROWS - 1 : WINDOW_ROWS].first()
    fit = filtered(wanted).order_by("-pk")
    if before is not None:
        fit = fit.filter(pk__lt=before)
    if end is not None:
        fit = fit.filter(pk__gte=end)
    return Found(tuple(event_of(row) for row in fit[:limit]), end)


@reads
def list_events(
    wanted: AuditFilter = ANYTHING, *, before: UUID | None = None, limit: int = 100
) -> tuple[AuditEvent, ...]:
    """The newest events first; `before` is the `id` of the last one of the page before. Raises StoreUnavailable."""
    rows = filtered(wanted)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return tuple(event_of(row) for row in rows.order_by("-pk")[: min(limit, MAX_LISTED)])


@reads
def find_event(event: UUID) -> AuditEvent | None:
    """One of them; raises StoreUnavailable."""
    row = AuditEventRow.objects.filter(pk=event).first()
    return None if row is None else event_of(row)


def filtered(wanted: AuditFilter) -> QuerySet[AuditEventRow]:
    """The rows; for `audit_export` too."""
    rows = AuditEventRow.objects.all()
    for column in ("area", "action", "subject", "node"):
        value = getattr(wanted, column)
        if value is not None:
            rows = rows.filter(**{column: value})
    if wanted.containing:
        # Not icontains: the tables' collation compares octet by octet.
        rows = rows.annotate(lower=Lower("subject")).filter(lower__contains=wanted.containing.lower())
    if wanted.actor and _is_key(wanted.actor):
        rows = rows.filter(actor=wanted.actor)
    elif wanted.actor:
        rows = rows.annotate(lower_name=Lower("actor_name"))
        rows = rows.filter(Q(actor=wanted.actor) | Q(lower_name=wanted.actor.lower()))
    if wanted.way is not None:
        rows = rows.filter(way=wanted.way.value)
    if wanted.since is not None:
        rows = rows.filter(pk__gte=first_uuid7(wanted.since))
    if wanted.until is not None:
        rows = rows.filter(pk__lt=first_uuid7(wanted.until))
    return rows


def _is_key(actor: str) -> bool:
    return ":" in actor or actor == MAILSEAL.key


def event_of(row: AuditEventRow) -> AuditEvent:
    """A row as it is given out."""
    return AuditEvent(
        id=row.pk,
        node=row.node,
        number=row.number,
        time=row.time,
        actor=Actor(row.actor, row.actor_name),
        way=Way(row.way),
        place=row.place,
        area=row.area,
        action=row.action,
        subject=row.subject,
        before=_facts(row.before),
        after=_facts(row.after),
        previous=row.previous,
        digest=row.digest,
        hashed=hashed_text(row),
    )


def _facts(text: str) -> Json:
    """What was recorded; of a row that somebody has changed, the text: `verify` says what is wrong with it."""
    if not text:
        return None
    try:
        found: Json = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found
