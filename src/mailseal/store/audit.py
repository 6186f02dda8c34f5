"""The audit: who changed what, when and from where. The events of each node are a hash chain.

`record` is called by the store's writing functions, in their transaction: what is changed is recorded, or not changed.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime

from mailseal.store.acting import current
from mailseal.store.actor import Actor
from mailseal.store.audit_mask import Json, masked
from mailseal.store.audit_models import KEY_CHARS, NAME_CHARS, WORD_CHARS, AuditEventRow, AuditHeadRow
from mailseal.store.configure import this_node
from mailseal.store.row import OWNER_CHARS, storable, utc_now, uuid7
from mailseal.store.transaction import run

GENESIS = "0" * 64
"""What the first event of a chain has as the digest of the one before."""


def record(
    area: str,
    action: str,
    subject: str,
    *,
    before: Json | None = None,
    after: Json | None = None,
    actor: Actor | None = None,
) -> None:
    """Add an event, in the caller's transaction if there is one: what was done with what, and its facts before and
    after (None: there were none), in which secrets are masked by the names of their keys.

    Who, by which way and from where is what `acting.current` says; `actor` when the caller was told. As it locks the
    head of the node's chain until the end of the transaction, it comes late in it. Raises StoreUnavailable.
    """
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
    facts: Sequence[str | int] = (
        "mailseal audit 1", row.node, row.number, row.previous, row.pk.hex, time_text(row.time), row.actor,
        row.actor_name, row.way, row.place, row.area, row.action, row.subject, row.before, row.after,
    )  # fmt: skip
    return hashlib.sha256(json.dumps(facts, separators=(",", ":")).encode()).hexdigest()


def time_text(at: datetime) -> str:
    """A time as it is hashed, signed and exported."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
