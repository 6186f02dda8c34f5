"""`mailseal tls-report`: what our sessions with others were like, what we report of them, what others report of us."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.output import confirm, json_option, print_json, show, show_one, yes_option
from mailseal.cli.session import Session, pass_session
from mailseal.mail.address import domain_to_ascii
from mailseal.mail.tls_report import failures_to_json, policy_to_json
from mailseal.store import tls_received, tls_reports, tls_sessions
from mailseal.store.tls_received import Received
from mailseal.store.tls_reports import MadeReport
from mailseal.store.tls_sessions import DayOfDomain

DAYS = 7
NOT_YET = "not yet"


class Day(click.ParamType[date]):
    """A day of UTC: 2026-11-30, or so many days ago, such as 7d."""

    name = "DAY"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Read it; fails with an example."""
        if isinstance(value, date):
            return value
        text = str(value)
        try:
            if text.endswith("d") and text[:-1].isdecimal():
                return _today() - timedelta(days=int(text[:-1]))
            return date.fromisoformat(text)
        except (ValueError, OverflowError):
            self.fail(f"{text!r} is not a day; for example {_today()} or 7d", param, ctx)


def _today() -> date:
    return datetime.now(UTC).date()


since_option: Callable[[Any], Any] = click.option(
    "--since", type=Day(), default=f"{DAYS}d", show_default=True, help="From this day on."
)
domain_option: Callable[[Any], Any] = click.option("--domain", metavar="DOMAIN", help="Only those about one domain.")


@click.group("tls-report")
def tls_report() -> None:
    """TLS in sessions with other servers (RFC 8460): counted, reported, and what others report about us."""


@tls_report.command("list")
@since_option
@domain_option
@click.option("--failed", is_flag=True, help="Only days with failures.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True)
@json_option
@pass_session
def list_(session: Session, *, since: date, domain: str | None, failed: bool, limit: int, as_json: bool) -> None:
    """Our sessions, by day and domain, and what became of the report about them; the newest first."""
    name = None if domain is None else domain_to_ascii(domain)
    session.open_store()

    made = tls_reports.list_reports(since=since)
    found = tls_sessions.days(since=since, domain=name, limit=limit)
    rows = [_day_row(one, made.get((one.day, one.domain))) for one in found if one.failed or not failed]
    nothing = (
        "no session yet that was counted" if session.config.tls_reports.contact else "tls_reports.contact is not set"
    )
    columns = ("day", "domain", "succeeded", "failed", "report", "error")
    show(rows, columns, as_json=as_json, nothing=nothing)


@tls_report.command("show")
@click.argument("domain")
@click.option("--day", type=Day(), default="1d", show_default=True, help="Which day; the last that is over.")
@json_option
@pass_session
def show_(session: Session, *, domain: str, day: date, as_json: bool) -> None:
    """What we say about one domain's day, policy by policy."""
    name = domain_to_ascii(domain)
    session.open_store()

    policies = tls_sessions.policies_of(day, name)
    if not policies:
        raise CommandError(f"no session with {name} was counted on {day}", "`mailseal tls-report list` shows all")
    made = tls_reports.find(name, day)
    if as_json:
        shown = [
            policy_to_json(one.policy)
            | {
                "succeeded": one.succeeded,
                "failed": one.failed,
                "failures": [failures_to_json(f) for f in one.failures],
            }
            for one in policies
        ]
        print_json({"domain": name, "day": day, "report": _report(made), "policies": shown})
        return
    show_one({"domain": name, "day": day.isoformat(), **_report(made)}, as_json=False)
    for one in policies:
        click.echo()
        show_one(policy_to_json(one.policy) | {"succeeded": one.succeeded, "failed": one.failed}, as_json=False)
        if one.failures:
            columns = (
                "failed-session-count",
                "result-type",
                "receiving-mx-hostname",
                "receiving-ip",
                "failure-reason-code",
            )
            show([failures_to_json(each) for each in one.failures], columns, as_json=False)


@tls_report.command("send")
@click.argument("domain")
@click.option("--day", type=Day(), default="1d", show_default=True, help="Which day; the last that is over.")
@pass_session
def send(session: Session, *, domain: str, day: date) -> None:
    """Have the report about one domain's day sent now, though it was sent or given up before."""
    name = domain_to_ascii(domain)
    session.open_store()

    if not session.config.tls_reports.contact:
        raise CommandError("tls_reports.contact is not set: nothing is reported")
    if not tls_sessions.policies_of(day, name):
        raise CommandError(f"no session with {name} was counted on {day}", "`mailseal tls-report list` shows all")
    tls_reports.begin(name, day, at=datetime.now(UTC), again=True)


@tls_report.command("received")
@since_option
@domain_option
@click.option("--signed", is_flag=True, help="Only those that their senders have signed.")
@click.option("--failed", is_flag=True, help="Only those with failures.")
@click.option("--id", "one", type=click.UUID, help="Everything that one of them says.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=200, show_default=True)
@json_option
@pass_session
def received(
    session: Session,
    *,
    since: date,
    domain: str | None,
    signed: bool,
    failed: bool,
    one: UUID | None,
    limit: int,
    as_json: bool,
) -> None:
    """What others have reported about our domains. Anybody can send a report: see `signed`."""
    name = None if domain is None else domain_to_ascii(domain)
    session.open_store()

    if one is not None:
        found = tls_received.find(one)
        if found is None:
            raise CommandError(f"there is no report {one}", "`mailseal tls-report received` shows all")
        _show_received(found, as_json=as_json)
        return
    rows = [
        _received_row(each)
        for each in tls_received.list_received(since=since, domain=name, signed=signed, failed=failed, limit=limit)
    ]
    columns = ("id", "day", "domain", "reporter", "policy", "succeeded", "failed", "signed", "signer")
    show(rows, columns, as_json=as_json, nothing="nothing was reported")


@tls_report.command("purge")
@click.option("--before", type=Day(), required=True, help="Days before this one.")
@yes_option
@pass_session
def purge(session: Session, *, before: date, yes: bool) -> None:
    """Forget counts, and reports sent and received; the worker does so after tls_reports.keep_days."""
    session.open_store()

    confirm(f"Forget all that is known of TLS sessions before {before}?", yes=yes)
    came_before = datetime(before.year, before.month, before.day, tzinfo=UTC)
    counts = {
        "counts": tls_sessions.purge(before),
        "reports_sent": tls_reports.purge(before),
        "reports_received": tls_received.purge(came_before),
    }
    show_one(counts, as_json=False)


def _day_row(one: DayOfDomain, made: MadeReport | None) -> dict[str, object]:
    return {
        "day": one.day.isoformat(),
        "domain": one.domain,
        "succeeded": one.succeeded,
        "failed": one.failed,
        "report": made.state.value if made else NOT_YET,
        "error": made.error if made else "",
    }


def _report(made: MadeReport | None) -> Mapping[str, object]:
    if made is None:
        return {"report": NOT_YET}
    return {
        "report": made.state.value,
        "report_id": made.report_id,
        "sent_to": list(made.places),
        "sent": made.sent,
        "error": made.error,
    }


def _received_row(one: Received) -> dict[str, object]:
    return {
        "id": str(one.id),
        "day": one.day.isoformat(),
        "domain": one.policy.policy.domain,
        "reporter": one.reporter,
        "sender": one.sender,
        "policy": one.policy.policy.type,
        "succeeded": one.policy.succeeded,
        "failed": one.policy.failed,
        "signed": one.signed.value,
        "signer": one.signer,
    }


def _show_received(one: Received, *, as_json: bool) -> None:
    more = {
        "report_id": one.report_id,
        "contact": one.contact,
        "begins": one.begins,
        "ends": one.ends,
        "came": one.created,
        "policy_text": list(one.policy.policy.strings),
        "mx": list(one.policy.policy.mx_hosts),
    }
    failures = [failures_to_json(each) for each in one.policy.failures]
    if as_json:
        print_json(_received_row(one) | more | {"failures": failures})
        return
    show_one(_received_row(one) | more, as_json=False)
    if failures:
        click.echo()
        columns = (
            "failed-session-count",
            "result-type",
            "receiving-mx-hostname",
            "sending-mta-ip",
            "failure-reason-code",
        )
        show(failures, columns, as_json=False)
