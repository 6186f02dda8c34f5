"""Reports of others in the store: each once, signed or not apart, so many a day and no more."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from mailseal.mail.address import Address
from mailseal.mail.tls_report import AppliedPolicy, Failures
from mailseal.ports import ReceivedTlsReport, Signed
from mailseal.store import tls_received
from mailseal.store.row import utc_now
from mailseal.store.tls_received import StoreTlsReports
from mailseal.store.tls_report_models import TlsReceivedRow
from tls_reports import REPORT

OLD = date(2020, 1, 1)
GIVEN = ReceivedTlsReport(REPORT, "noreply@google.example", Signed.BY_SENDER, "google.example")


@pytest.fixture
def inbox(store) -> StoreTlsReports:
    return StoreTlsReports(Address.parse("tls@alpha.example"), deliver=False)


def test_what_is_kept_comes_back(inbox):
    assert inbox.keep(GIVEN)
    [one] = tls_received.list_received(since=OLD)
    assert (one.reporter, one.sender, one.contact) == ("Alpha", "noreply@google.example", "tls@alpha.example")
    assert (one.day, one.begins, one.ends) == (REPORT.begins.date(), REPORT.begins, REPORT.ends)
    assert (one.signed, one.signer, one.report_id) == (Signed.BY_SENDER, "google.example", REPORT.report_id)
    assert one.policy == REPORT.policies[0]
    assert tls_received.find(one.id) == one


def test_each_once(inbox, in_threads):
    in_threads(lambda _: inbox.keep(GIVEN), 3)
    assert len(tls_received.list_received(since=OLD)) == 1


def test_a_forged_one_does_not_take_the_place_of_the_real_one(inbox):
    inbox.keep(replace(GIVEN, signed=Signed.NO, signer=""))
    inbox.keep(GIVEN)
    assert {one.signed for one in tls_received.list_received(since=OLD)} == {Signed.NO, Signed.BY_SENDER}
    assert [one.signed for one in tls_received.list_received(since=OLD, signed=True)] == [Signed.BY_SENDER]


def test_a_row_for_each_policy(inbox):
    [policy] = REPORT.policies
    clean = replace(policy, policy=AppliedPolicy("tlsa", "c.example"), failed=0, failures=())
    inbox.keep(replace(GIVEN, report=replace(REPORT, policies=(policy, clean))))
    assert len(tls_received.list_received(since=OLD)) == 2
    assert [one.policy.policy.domain for one in tls_received.list_received(since=OLD, domain="c.example")] == [
        "c.example"
    ]
    assert [one.policy.policy.domain for one in tls_received.list_received(since=OLD, failed=True)] == ["beta.example"]
    assert tls_received.list_received(since=REPORT.begins.date() + timedelta(days=1)) == ()


def test_what_others_write_is_storable(inbox):
    [policy] = REPORT.policies
    wild = replace(
        REPORT,
        organization="\U0001f512" * 500,
        report_id="\ud800" * 400,
        policies=(replace(policy, policy=AppliedPolicy("x" * 400, "c.example"), failures=(Failures("y" * 400, 1),)),),
    )
    assert inbox.keep(replace(GIVEN, report=wild))
    [one] = tls_received.list_received(since=OLD)
    assert one.policy.failures[0].result == "y" * 400


def test_so_many_a_day_and_no_more(inbox, monkeypatch):
    monkeypatch.setattr(tls_received, "MAX_PER_DAY", 2)
    kept = [inbox.keep(replace(GIVEN, report=replace(REPORT, report_id=str(number)))) for number in range(4)]
    assert kept == [True, True, False, False]
    TlsReceivedRow.objects.update(created=utc_now() - timedelta(days=2))
    assert inbox.keep(replace(GIVEN, report=replace(REPORT, report_id="5")))
    assert tls_received.purge(utc_now() - timedelta(days=1)) == 2
    assert [one.report_id for one in tls_received.list_received(since=OLD)] == ["5"]
