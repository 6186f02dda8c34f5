"""Reports to others: begun once for each day and domain, sent where the DNS says by mail and by HTTPS, tried again."""

import gzip
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest

from dkim_keys import rsa_key
from harness.name_server import NameServer as Server
from harness.web import Web
from mailseal.config import from_values
from mailseal.dkim.fields import Mail
from mailseal.dkim.sign import DkimKey
from mailseal.dkim.verify import Result, verify
from mailseal.errors import PermanentError, TransientError
from mailseal.mail.mime import parse
from mailseal.mail.reply import ACCEPTED, Reply
from mailseal.mail.tls_report import AppliedPolicy
from mailseal.mail.tls_report_mail import read_mail
from mailseal.ports import Hop
from mailseal.roles import tls_reporting
from mailseal.roles.handlers import HANDLERS
from mailseal.store import jobs, tls_reports, tls_sessions
from mailseal.store.jobs import State
from mailseal.store.models import JobRow
from mailseal.store.tls_report_models import TlsReportRow
from mailseal.store.tls_reports import COLLECT, SEND, ReportState
from mailseal.store.tls_sessions import Kind, LogPosition
from stage import Stage

NOW = datetime(2026, 11, 30, 6, 0, tzinfo=UTC)
DAY = date(2026, 11, 29)
CONTACT = "tls@inside.example"
LONG = timedelta(days=10_000)
"""So that a job is due by the clock of any machine."""


def count(domain="b.example", day=DAY, kind="sts") -> None:
    policy = AppliedPolicy(kind, domain, ("version: STSv1",) if kind == "sts" else ())
    failed = Kind(day, policy, "certificate-expired", "in words", f"mx.{domain}", "192.0.2.1")
    tls_sessions.add({Kind(day, policy): 5, failed: 2}, "/log", LogPosition())


@pytest.fixture
def dns():
    with Server() as server:
        yield server


@pytest.fixture
def web(tmp_path):
    with Web(tmp_path, name="127.0.0.1") as server:
        yield server


@pytest.fixture
def on(store):
    made = Stage(internal={"inside.example"})
    made.sign_for_domains(DkimKey("inside.example", "s1", rsa_key()))
    return made


@pytest.fixture
def node(on, dns, web):
    config = from_values(
        {
            "dns": {"servers": [f"127.0.0.1:{dns.port}"]},
            "discover": {"allow_private": True, "ca": str(web.ca)},
            "tls_reports": {"contact": CONTACT, "organization": "Inside Ltd"},
        }
    )
    clock = SimpleNamespace(now=lambda: NOW, monotonic=lambda: 0.0)
    return SimpleNamespace(config=config, gateway=replace(on.gateway(), clock=clock))


def collect(node) -> list[str]:
    """The domains whose reports are begun by it."""
    before = JobRow.objects.filter(kind=SEND).count()
    while HANDLERS[COLLECT].handle(node, None) is not None:
        pass
    rows = JobRow.objects.filter(kind=SEND).order_by("pk")[before:]
    return [row.payload["domain"] for row in rows]


def send(node, domain="b.example", day=DAY, *, again=False):
    """What the worker does; the report afterwards."""
    tls_reports.begin(domain, day, at=NOW, pause=-LONG, again=again)
    job = jobs.claim("w", kinds=[SEND])
    if job is not None:
        try:
            HANDLERS[SEND].handle(node, job)
        except TransientError as error:
            jobs.fail(job, str(error), retry_seconds=-1)
        except PermanentError as error:
            jobs.fail(job, str(error), for_good=True)
        else:
            jobs.done(job)
    return tls_reports.find(domain, day)


# ---- begun


def test_each_day_that_is_over_once(node):
    count()
    count("a.example")
    count(day=NOW.date())
    count(day=DAY - timedelta(days=2))
    count("old.example", day=DAY - timedelta(days=3))
    assert sorted(collect(node)) == ["a.example", "b.example", "b.example"]
    assert collect(node) == []
    for row in JobRow.objects.filter(kind=SEND):
        assert NOW <= row.run_at <= NOW + timedelta(hours=4)
    assert tls_reports.find("b.example", NOW.date()) is None
    assert len(set(JobRow.objects.filter(kind=SEND).values_list("run_at", flat=True))) == 3


def test_not_before_all_nodes_have_read_their_logs(node):
    count()
    early = SimpleNamespace(now=lambda: datetime(2026, 11, 30, 0, 30, tzinfo=UTC))
    node.gateway = replace(node.gateway, clock=early)
    assert collect(node) == []


def test_begun_once_in_the_cluster(in_threads):
    begun = in_threads(lambda _: tls_reports.begin("b.example", DAY, at=NOW), 4)
    assert sorted(begun) == [False, False, False, True]


def test_without_a_contact_nothing_is_reported(node, on):
    count()
    node.config = from_values({})
    assert collect(node) == []
    assert send(node).state is ReportState.WAITING
    assert not on.sent


# ---- sent


def test_by_mail_signed_and_whole(node, on, dns):
    count()
    dns.txt("_smtp._tls.b.example", "v=TLSRPTv1; rua=mailto:reports@b.example")
    made = send(node)
    assert (made.state, made.places, made.error) == (ReportState.SENT, ("mailto:reports@b.example",), "")
    assert made.sent is not None
    [transfer] = on.sent
    assert (transfer.hop, str(transfer.sender)) == (Hop.OUTSIDE, CONTACT)
    assert [(str(one.address), one.notify) for one in transfer.recipients] == [("reports@b.example", "NEVER")]
    root = parse(b"".join(transfer.chunks)).root
    [verdict] = verify(Mail.of_entity(root), lambda name: on.domain_keys.txt(name, 0.0), NOW)
    assert (verdict.result, verdict.domain) == (Result.PASS, "inside.example")
    assert root.header("tls-report-domain") == "b.example"
    assert root.header("tls-report-submitter") == "inside.example"
    report = read_mail(root)
    assert (report.organization, report.contact, report.report_id) == ("Inside Ltd", CONTACT, made.report_id)
    assert report.begins == datetime(2026, 11, 29, tzinfo=UTC)
    assert report.ends == datetime(2026, 11, 29, 23, 59, 59, tzinfo=UTC)
    assert report.policies == tls_sessions.policies_of(DAY, "b.example")
    assert (report.policies[0].succeeded, report.policies[0].failed) == (5, 2)


def test_by_https(node, on, dns, web):
    count()
    url = f"https://127.0.0.1:{web.port}/tlsrpt"
    dns.txt("_smtp._tls.b.example", f"v=TLSRPTv1; rua={url}")
    web.answers["POST /tlsrpt"] = (201, b"")
    made = send(node)
    assert (made.state, made.places) == (ReportState.SENT, (url,))
    [body] = web.bodies
    assert json.loads(gzip.decompress(body))["report-id"] == made.report_id
    assert not on.sent


def test_a_domain_that_wants_none_gets_none(node, on):
    count()
    assert send(node).state is ReportState.UNWANTED
    assert not on.sent
    assert collect(node) == []


def test_the_tlsa_records_are_told(node, on, dns):
    count(kind="tlsa")
    dns.txt("_smtp._tls.b.example", "v=TLSRPTv1; rua=mailto:reports@b.example")
    dns.records["b.example", "MX"] = ["10 mx.b.example."]
    dns.records["_25._tcp.mx.b.example", "TLSA"] = ["3 1 1 " + "ab" * 32]
    send(node)
    [transfer] = on.sent
    [one] = read_mail(parse(b"".join(transfer.chunks)).root).policies
    assert one.policy.strings == ("3 1 1 " + "AB" * 32,)


def test_to_each_place_once_however_often_it_is_tried(node, on, dns, web):
    count()
    url = f"https://127.0.0.1:{web.port}/tlsrpt"
    dns.txt("_smtp._tls.b.example", f"v=TLSRPTv1; rua={url},mailto:reports@b.example")
    web.answers["POST /tlsrpt"] = (503, b"")
    made = send(node)
    assert made.state is ReportState.SENT, "one that has it is enough"
    assert made.places == ("mailto:reports@b.example",)
    assert "503" in made.error
    send(node)
    assert len(on.sent) == 1


@pytest.mark.parametrize(("code", "state"), [(451, ReportState.WAITING), (550, ReportState.FAILED)])
def test_what_is_not_taken(node, on, dns, code, state):
    count()
    dns.txt("_smtp._tls.b.example", "v=TLSRPTv1; rua=mailto:reports@b.example")
    on.answer = lambda _: [Reply(code, "", "no")]
    made = send(node)
    assert (made.state, made.error) == (state, f"the next hop answered {code} no")
    on.answer = lambda _: [ACCEPTED]
    assert send(node).state is (ReportState.SENT if code == 451 else ReportState.FAILED)


def test_a_name_server_that_is_away_is_asked_again(node, on, dns):
    count()
    dns.broken.add("_smtp._tls.b.example")
    made = send(node)
    assert made.state is ReportState.WAITING
    assert made.error
    [row] = JobRow.objects.filter(kind=SEND)
    assert row.state == State.WAITING


def test_after_ten_times_it_is_given_up(node, on, dns):
    count()
    dns.txt("_smtp._tls.b.example", "v=TLSRPTv1; rua=mailto:reports@b.example")
    on.answer = lambda _: [Reply(451, "", "later")]
    for _ in range(jobs.MAX_ATTEMPTS):
        made = send(node)
    assert made.state is ReportState.FAILED
    [row] = JobRow.objects.filter(kind=SEND)
    assert row.state == State.FAILED


def test_again_by_hand(node, on, dns):
    count()
    dns.txt("_smtp._tls.b.example", "v=TLSRPTv1; rua=mailto:reports@b.example")
    first = send(node)
    again = send(node, again=True)
    assert again.state is ReportState.SENT
    assert again.report_id != first.report_id
    assert len(on.sent) == 2


def test_what_was_sent_before_the_day_was_over_is_sent_again(node, on):
    count()
    send(node)
    assert collect(node) == []
    TlsReportRow.objects.update(created=datetime(2026, 11, 29, 23, 59, tzinfo=UTC))
    assert collect(node) == ["b.example"]
    TlsReportRow.objects.update(created=datetime(2026, 11, 30, 1, 0, tzinfo=UTC))
    assert collect(node) == []


def test_another_worker_has_taken_over(node, on, dns):
    count()
    dns.txt("_smtp._tls.b.example", "v=TLSRPTv1; rua=mailto:reports@b.example")
    tls_reports.begin("b.example", DAY, at=NOW, pause=-LONG)
    job = jobs.claim("w", kinds=[SEND])
    with pytest.raises(TransientError):
        tls_reporting.send(node, replace(job, epoch=job.epoch - 1))
    assert not on.sent


def test_sessions_of_reports_are_no_reason_for_another_one(node, on, dns):
    count()
    dns.txt("_smtp._tls.b.example", "v=TLSRPTv1; rua=mailto:Reports@b.example")
    send(node)
    assert tls_reports.recent_addresses(DAY) == {"reports@b.example"}
    assert tls_reports.recent_addresses(DAY + timedelta(days=1)) == frozenset()


def test_old_ones_are_forgotten(node, on):
    count()
    send(node)
    assert tls_reports.purge(DAY) == 0
    assert tls_reports.purge(DAY + timedelta(days=1)) == 1
    assert tls_reports.list_reports(since=date(2020, 1, 1)) == {}
