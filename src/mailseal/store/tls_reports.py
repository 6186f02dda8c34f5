"""Our TLS reports: one for each domain and day, made once in the cluster, sent until somebody has it (RFC 8460 §5)."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

from mailseal.store import jobs
from mailseal.store.pace import Turn
from mailseal.store.purge import delete_before
from mailseal.store.row import utc_now
from mailseal.store.tls_report_models import TlsReportRow
from mailseal.store.transaction import reads, run, writes

COLLECT = "tls-reports"
"""The kind of the recurring job that looks for days that are over."""
SEND = "tls-report-send"
"""The kind of job that sends one report."""
DOMAIN, DAY = "domain", "day"
"""In the payload of the latter."""
MAX_ERROR_CHARS = 500


class ReportState(StrEnum):
    """What became of a report. UNWANTED: the domain does not say where to."""

    WAITING = "waiting"
    SENT = "sent"
    UNWANTED = "unwanted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class MadeReport:
    """A report. `places`: the URIs that have it already."""

    domain: str
    day: date
    report_id: str
    state: ReportState
    places: tuple[str, ...]
    error: str
    created: datetime
    sent: datetime | None


@writes
def begin(domain: str, day: date, *, at: datetime, pause: timedelta = timedelta(0), again: bool = False) -> bool:
    """Have a report sent after a pause, once; `again`: though one was sent or given up before. False: nothing to do."""
    fresh = {"report_id": f"{day:%Y%m%d}.{secrets.token_hex(8)}", "state": ReportState.WAITING.value, "created": at}
    row, new = TlsReportRow.objects.get_or_create(domain=domain, day=day.isoformat(), defaults=fresh)
    if not new:
        if not again:
            return False
        TlsReportRow.objects.filter(pk=row.pk).update(**fresh, places=[], error="", sent=None)
    payload = {DOMAIN: domain, DAY: day.isoformat()}
    return jobs.enqueue(SEND, payload, dedupe=f"{domain}:{day}", node=jobs.ANY_NODE, run_at=at + pause) is not None


@reads
def known(day: date) -> frozenset[str]:
    """The domains whose reports about a day were begun after it was over."""
    over = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    rows = TlsReportRow.objects.filter(day=day.isoformat(), created__gte=over)
    return frozenset(rows.values_list("domain", flat=True))


@reads
def find(domain: str, day: date) -> MadeReport | None:
    """One of them."""
    row = TlsReportRow.objects.filter(domain=domain, day=day.isoformat()).first()
    return None if row is None else _made(row)


@reads
def of_days(days: Collection[tuple[date, str]]) -> dict[tuple[date, str], MadeReport]:
    """Those about some days and domains, as many as a page has, by day and domain."""
    texts, names = {day.isoformat() for day, _ in days}, {name for _, name in days}
    made = map(_made, TlsReportRow.objects.filter(day__in=texts, domain__in=names))
    return {(one.day, one.domain): one for one in made if (one.day, one.domain) in days}


@reads
def list_reports(*, since: date) -> dict[tuple[date, str], MadeReport]:
    """By day and domain."""
    made = map(_made, TlsReportRow.objects.filter(day__gte=since.isoformat()))
    return {(one.day, one.domain): one for one in made}


def _made(row: TlsReportRow) -> MadeReport:
    return MadeReport(
        domain=row.domain,
        day=date.fromisoformat(row.day),
        report_id=row.report_id,
        state=ReportState(row.state),
        places=tuple(row.places),
        error=row.error,
        created=row.created,
        sent=row.sent,
    )


def note(domain: str, day: date, state: ReportState, *, places: Sequence[str] = (), error: str = "") -> None:
    """What has become of a report by now; raises StoreUnavailable."""
    values: dict[str, Any] = {"state": state.value, "places": list(places), "error": error[:MAX_ERROR_CHARS]}
    if state is ReportState.SENT:
        values["sent"] = utc_now()
    run(lambda: TlsReportRow.objects.filter(domain=domain, day=day.isoformat()).update(**values))


@reads
def recent_addresses(since: date) -> frozenset[str]:
    """The addresses that reports about days since one went to, in lower case."""
    rows = TlsReportRow.objects.filter(day__gte=since.isoformat()).exclude(places=[]).values_list("places", flat=True)
    uris = (uri for places in rows for uri in places)
    return frozenset(uri.removeprefix("mailto:").lower() for uri in uris if uri.startswith("mailto:"))


def purge(before: date, turn: Turn | None = None) -> int:
    """Forget reports about days before one; returns how many."""
    return delete_before(TlsReportRow, "day", before.isoformat(), turn)  # type: ignore[arg-type]  # texts have an order
