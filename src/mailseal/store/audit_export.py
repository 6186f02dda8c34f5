"""The audit as JSON lines, with the texts that were hashed and signed, so that others can verify it (docs/audit.md)."""

import json
from collections.abc import Iterator

from django.db.models import Q

from mailseal.store.audit import ANYTHING, AuditFilter, filtered, hashed_text, time_text
from mailseal.store.audit_models import AuditEventRow, AuditSignatureRow
from mailseal.store.audit_signing import signature_of
from mailseal.store.keyset import behind
from mailseal.store.row import first_uuid7
from mailseal.store.transaction import read

PAGE_ROWS = 500


def lines(wanted: AuditFilter = ANYTHING) -> Iterator[str]:
    """Every event, the oldest first, then every signature, a line each; raises StoreUnavailable."""
    after = None if wanted.since is None else first_uuid7(wanted.since)
    rows = filtered(wanted).order_by("pk")
    while page := read(lambda: list((rows if after is None else rows.filter(pk__gt=after))[:PAGE_ROWS])):  # noqa: B023 -- read at once
        yield from map(_event_line, page)
        after = page[-1].pk
    yield from map(_signature_line, _signatures())


def _signatures() -> Iterator[AuditSignatureRow]:
    """A page at a time, as events: there is one for each minute in which a chain has grown."""
    rows, last = AuditSignatureRow.objects.order_by("node", "number", "kind"), Q()
    while page := read(lambda: list(rows.filter(last)[:PAGE_ROWS])):  # noqa: B023 -- read at once
        yield from page
        last = behind({"node": page[-1].node, "number": page[-1].number, "kind": page[-1].kind})


def _event_line(row: AuditEventRow) -> str:
    facts = {
        "id": str(row.pk), "node": row.node, "number": row.number, "time": time_text(row.time), "actor": row.actor,
        "actor_name": row.actor_name, "way": row.way, "place": row.place, "area": row.area, "action": row.action,
        "subject": row.subject, "hashed": hashed_text(row), "digest": row.digest,
    }  # fmt: skip
    before, after = (
        f',"{name}":{text}' if text else "" for name, text in (("before", row.before), ("after", row.after))
    )
    return f'{{"event":{json.dumps(facts)[:-1]}{before}{after}}}}}\n'


def _signature_line(row: AuditSignatureRow) -> str:
    one = signature_of(row)
    facts = {
        "node": one.node, "number": one.number, "kind": one.kind.value, "digest": one.digest,
        "time": time_text(one.time), "signed": one.statement().decode(), "key": one.key, "signature": one.signature,
    }  # fmt: skip
    return json.dumps({"signature": facts}) + "\n"
