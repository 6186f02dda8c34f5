"""Operations on TLS reports (RFC 8460): what our sessions were like, what we report of them, and others of us."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router
from ninja.responses import Status
from pydantic import Field

from mailseal.mail.address import domain_to_ascii
from mailseal.mail.tls_report import failures_to_json, policy_to_json
from mailseal.store import tls_received, tls_reports, tls_sessions
from mailseal.store.tls_received import Received
from mailseal.store.tls_reports import MadeReport
from mailseal.store.tls_sessions import DayOfDomain
from mailseal.web.access import Area, Verb
from mailseal.web.api.authentication import needs
from mailseal.web.api.paging import ITEMS, After, Limit, Page, after_id, page
from mailseal.web.api.problem import not_found, unfit
from mailseal.web.api.shapes import Given, Shown

router = Router()
_SEE, _CHANGE = needs(Area.TLS), needs(Area.TLS, Verb.CHANGE)
DAYS = 7
Since = Annotated[date | None, Query(description="From this day (UTC) on; without: the last week.")]
Domain = Annotated[str, Query(max_length=255, description="Only those about one domain.")]
Failed = Annotated[bool, Query(description="Only those with failures.")]


class ReportShown(Shown):
    """What became of our report about a domain's day."""

    state: str
    report_id: str
    sent_to: list[str]
    sent: datetime | None
    error: str


class DayShown(Shown):
    """Sessions with a domain's servers on a day."""

    day: date
    domain: str
    succeeded: int
    failed: int
    report: ReportShown | None


class PolicyDayShown(Shown):
    """What a policy came to: policy and failures as RFC 8460 §4.4 has them."""

    policy: dict[str, Any]
    succeeded: int
    failed: int
    failures: list[dict[str, Any]]


class DayWithPolicies(Shown):
    """A domain's day, policy by policy."""

    day: date
    domain: str
    report: ReportShown | None
    policies: list[PolicyDayShown]


class ReceivedShown(Shown):
    """What others report about a domain of ours. Anybody can send a report."""

    id: str
    day: date
    domain: str
    reporter: str
    sender: str
    contact: str
    report_id: str
    begins: datetime
    ends: datetime
    signed: str = Field(description="Whether its sender's domain has signed it.")
    signer: str
    came: datetime
    result: PolicyDayShown


class BeforeGiven(Given):
    """A day."""

    before: date = Field(description="Days before this one are forgotten.")


class PurgedShown(Shown):
    """How many rows were forgotten."""

    counts: int
    reports_sent: int
    reports_received: int


@router.get("", response=Page[DayShown], auth=_SEE, operation_id="list_tls_days")
def list_tls_days(
    request: HttpRequest, since: Since = None, domain: Domain = "", after: After = "", limit: Limit = ITEMS
) -> Page[DayShown]:
    """Our sessions by day and domain, and what became of the report; the newest first."""
    first = since or _today() - timedelta(days=DAYS)
    name = domain_to_ascii(domain) if domain else None
    rows = tls_sessions.days(since=first, domain=name, before=_last(after), limit=limit + 1)
    made = tls_reports.of_days([(one.day, one.domain) for one in rows])
    return page(
        rows,
        limit,
        show=lambda one: _day(one, made.get((one.day, one.domain))),
        key=lambda one: f"{one.day}/{one.domain}",
    )


@router.get("/received", response=Page[ReceivedShown], auth=_SEE, operation_id="list_tls_received")
def list_tls_received(
    request: HttpRequest,
    since: Since = None,
    domain: Domain = "",
    signed: Annotated[bool, Query(description="Only those that their senders have signed.")] = False,  # noqa: FBT002 -- a query
    failed: Failed = False,  # noqa: FBT002 -- a query
    after: After = "",
    limit: Limit = ITEMS,
) -> Page[ReceivedShown]:
    """What others have reported, the newest day first."""
    rows = tls_received.list_received(
        since=since or _today() - timedelta(days=DAYS),
        domain=domain_to_ascii(domain) if domain else None,
        signed=signed,
        failed=failed,
        before=after_id(after),
        limit=limit + 1,
    )
    return page(rows, limit, show=_received, key=lambda one: one.id)


@router.post("/purge", response=PurgedShown, auth=_CHANGE, operation_id="purge_tls_reports")
def purge_tls_reports(request: HttpRequest, given: BeforeGiven) -> PurgedShown:
    """Forget counts, and reports sent and received; the worker does so by itself after a while."""
    day = given.before
    return PurgedShown(
        counts=tls_sessions.purge(day),
        reports_sent=tls_reports.purge(day),
        reports_received=tls_received.purge(datetime(day.year, day.month, day.day, tzinfo=UTC)),
    )


@router.get("/received/{report}", response=ReceivedShown, auth=_SEE, operation_id="get_tls_received")
def get_tls_received(request: HttpRequest, report: UUID) -> ReceivedShown:
    """All that one of them says."""
    found = tls_received.find(report)
    if found is None:
        raise not_found("report")
    return _received(found)


@router.get("/{domain}/{day}", response=DayWithPolicies, auth=_SEE, operation_id="get_tls_day")
def get_tls_day(request: HttpRequest, domain: str, day: date) -> DayWithPolicies:
    """What we say about one domain's day, policy by policy."""
    name = domain_to_ascii(domain)
    policies = tls_sessions.policies_of(day, name)
    if not policies:
        raise not_found("day of sessions with that domain")
    shown = [
        PolicyDayShown(
            policy=policy_to_json(one.policy),
            succeeded=one.succeeded,
            failed=one.failed,
            failures=[failures_to_json(each) for each in one.failures],
        )
        for one in policies
    ]
    return DayWithPolicies(day=day, domain=name, report=_report(tls_reports.find(name, day)), policies=shown)


@router.post("/{domain}/{day}/send", response={204: None}, auth=_CHANGE, operation_id="send_tls_report")
def send_tls_report(request: HttpRequest, domain: str, day: date) -> Status[None]:
    """Have the report about one domain's day sent now, though it was sent or given up before."""
    name = domain_to_ascii(domain)
    if not tls_sessions.policies_of(day, name):
        raise not_found("day of sessions with that domain")
    tls_reports.begin(name, day, at=datetime.now(UTC), again=True)
    return Status(204, None)


def _last(after: str) -> tuple[date, str] | None:
    if not after:
        return None
    day, _, domain = after.partition("/")
    try:
        return date.fromisoformat(day), domain
    except ValueError:
        raise unfit("that is not the `next` of a page", place="query.after") from None


def _today() -> date:
    return datetime.now(UTC).date()


def _day(one: DayOfDomain, made: MadeReport | None) -> DayShown:
    return DayShown(day=one.day, domain=one.domain, succeeded=one.succeeded, failed=one.failed, report=_report(made))


def _report(made: MadeReport | None) -> ReportShown | None:
    if made is None:
        return None
    return ReportShown(
        state=made.state.value,
        report_id=made.report_id,
        sent_to=list(made.places),
        sent=made.sent,
        error=made.error,
    )


def _received(one: Received) -> ReceivedShown:
    result = PolicyDayShown(
        policy=policy_to_json(one.policy.policy),
        succeeded=one.policy.succeeded,
        failed=one.policy.failed,
        failures=[failures_to_json(each) for each in one.policy.failures],
    )
    return ReceivedShown(
        id=str(one.id),
        day=one.day,
        domain=one.policy.policy.domain,
        reporter=one.reporter,
        sender=one.sender,
        contact=one.contact,
        report_id=one.report_id,
        begins=one.begins,
        ends=one.ends,
        signed=one.signed.value,
        signer=one.signer,
        came=one.created,
        result=result,
    )
