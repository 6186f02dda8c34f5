"""TLS reports of others about our domains: what they say, a row for each policy (RFC 8460 §5).

Anybody can send one. So each row says whether a DKIM signature of its sender's domain was good, and reports that differ
in that do not take the place of one another.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet

from mailseal.mail.address import Address
from mailseal.mail.tls_report import (
    Failures,
    PolicyReport,
    failures_from_json,
    failures_to_json,
    policy_from_json,
    policy_to_json,
)
from mailseal.ports import ReceivedTlsReport, Signed
from mailseal.store.pace import Turn
from mailseal.store.purge import delete_before
from mailseal.store.row import OWNER_CHARS, storable, utc_now
from mailseal.store.tls_report_models import DOMAIN_CHARS, RESULT_CHARS, TlsReceivedRow
from mailseal.store.transaction import reads, run

MAX_PER_DAY = 5000
"""Rows of one day; more than that nobody has partners for."""


class StoreTlsReports:
    """The port `TlsReportInbox`."""

    def __init__(self, address: Address, *, deliver: bool) -> None:
        self.address = address
        self.deliver = deliver

    def keep(self, received: ReceivedTlsReport) -> bool:
        """As of the port; raises StoreUnavailable."""
        rows = [_row(received, policy) for policy in received.report.policies]

        def work() -> bool:
            recent = TlsReceivedRow.objects.filter(created__gt=utc_now() - timedelta(days=1)).count()
            if recent + len(rows) > MAX_PER_DAY:
                return False
            TlsReceivedRow.objects.bulk_create(rows, ignore_conflicts=True)
            return True

        return run(work)


def _row(received: ReceivedTlsReport, policy: PolicyReport) -> TlsReceivedRow:
    report = received.report
    return TlsReceivedRow(
        key=_key(received, policy),
        reporter=storable(report.organization)[:OWNER_CHARS],
        sender=storable(received.sender)[:OWNER_CHARS],
        contact=storable(report.contact)[:OWNER_CHARS],
        report_id=storable(report.report_id)[:OWNER_CHARS],
        domain=policy.policy.domain[:DOMAIN_CHARS],
        day=report.begins.date().isoformat(),
        begins=report.begins,
        ends=report.ends,
        policy_type=policy.policy.type[:RESULT_CHARS],
        policy=policy_to_json(policy.policy),
        succeeded=policy.succeeded,
        failed=policy.failed,
        failures=[failures_to_json(one) for one in policy.failures],
        signed=received.signed.value,
        signer=received.signer[:DOMAIN_CHARS],
    )


def _key(received: ReceivedTlsReport, policy: PolicyReport) -> str:
    report = received.report
    parts = [
        report.organization, report.report_id, report.begins.isoformat(), report.ends.isoformat(),
        policy_to_json(policy.policy), received.sender, received.signed.value, received.signer,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Received:
    """What a report says of one policy."""

    id: UUID
    reporter: str
    sender: str
    contact: str
    report_id: str
    day: date
    begins: datetime
    ends: datetime
    policy: PolicyReport
    signed: Signed
    signer: str
    created: datetime


@reads
def list_received(
    *,
    since: date,
    domain: str | None = None,
    signed: bool = False,
    failed: bool = False,
    before: UUID | None = None,
    limit: int = 1000,
) -> tuple[Received, ...]:
    """What was reported of days since one, the newest first; `signed`: by their senders only. `before`: behind a row
    in that order, nothing if it has gone.
    """
    rows = TlsReceivedRow.objects.filter(day__gte=since.isoformat())
    if domain is not None:
        rows = rows.filter(domain=domain)
    if signed:
        rows = rows.filter(signed=Signed.BY_SENDER.value)
    if failed:
        rows = rows.filter(failed__gt=0)
    if before is not None:
        last = TlsReceivedRow.objects.filter(pk=before).first()
        rows = rows.none() if last is None else rows.filter(Q(day__lt=last.day) | Q(day=last.day, pk__lt=last.pk))
    return _all(rows.order_by("-day", "-pk")[:limit])


@reads
def find(received: UUID) -> Received | None:
    """One of them."""
    return next(iter(_all(TlsReceivedRow.objects.filter(pk=received))), None)


def _all(rows: "QuerySet[TlsReceivedRow]") -> tuple[Received, ...]:
    return tuple(
        Received(
            id=row.pk,
            reporter=row.reporter,
            sender=row.sender,
            contact=row.contact,
            report_id=row.report_id,
            day=date.fromisoformat(row.day),
            begins=row.begins.astimezone(UTC),
            ends=row.ends.astimezone(UTC),
            policy=PolicyReport(policy_from_json(row.policy), row.succeeded, row.failed, _failures(row)),
            signed=Signed(row.signed),
            signer=row.signer,
            created=row.created,
        )
        for row in rows
    )


def _failures(row: TlsReceivedRow) -> tuple[Failures, ...]:
    return tuple(failures_from_json(one) for one in row.failures)


def purge(before: datetime, turn: Turn | None = None) -> int:
    """Delete what came before a time; returns how many rows."""
    return delete_before(TlsReceivedRow, "created", before, turn)
