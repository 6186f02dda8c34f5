"""The start page: what needs attention is there, and only for who may see it."""

import re
from datetime import UTC, datetime, timedelta

from logged import keep, logged
from mailseal.policy.model import Fate, MethodName
from mailseal.roles import console_checks
from mailseal.store import domains, findings, jobs
from mailseal.store.accounts.roles import Role
from mailseal.store.configure import this_node
from mailseal.store.findings import CHECK
from mailseal.web.console.charts import Series, stacked

NOW = datetime.now(UTC)
START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def text(browser, url="/") -> str:
    page = browser.get(url, secure=True)
    assert page.status_code == 200
    return re.sub(r"\s+", " ", page.content.decode())


def test_nothing_internal_is_the_first_thing_to_know(sign_in):
    browser = sign_in()
    assert "No domain is internal" in text(browser)
    domains.add("one.example")
    assert "No domain is internal" not in text(browser)


def test_what_is_deferred_now_is_there(sign_in, web):
    keep(
        logged(0, "anna@one.example", "bob@out.example", Fate.DEFERRED, start=NOW - timedelta(minutes=5)),
        logged(1, "anna@two.example", "bob@out.example", Fate.DEFERRED, start=NOW - timedelta(minutes=5)),
    )
    assert "2 mails were deferred in the last hour" in text(sign_in())
    mine = sign_in(Role.DOMAIN_ADMINISTRATOR, domains=("one.example",))
    assert "One mail was deferred in the last hour" in text(mine)
    other = sign_in(Role.DOMAIN_ADMINISTRATOR, domains=("three.example",), email="three@inside.example")
    assert "deferred in the last hour" not in text(other)


def test_how_mail_went_is_for_who_sees_all_of_it(sign_in, web):
    keep(
        logged(0, "anna@one.example", "bob@out.example", method=MethodName.SMIME, start=NOW - HOUR),
        logged(1, "anna@one.example", "bob@out.example", start=NOW - HOUR),
    )
    for chosen in ("", "?range=24h", "?range=30d", "?range=nonsense"):
        page = text(sign_in(), f"/{chosen}")
        assert "50% encrypted" in page
        assert "Encrypted by S/MIME <b>1</b>" in page
        assert "Not protected <b>1</b>" in page
    assert "How mail went" not in text(sign_in(Role.DOMAIN_ADMINISTRATOR, domains=("one.example",)))


def test_what_the_gateway_finds_wrong_is_there(sign_in, web):
    findings.keep(
        [
            {"check": "clock", "status": "ok", "text": "the clock is right", "what_to_do": ""},
            {
                "check": "resolver",
                "status": "warn",
                "text": "the resolver does not validate",
                "what_to_do": "use another",
            },
            {"check": "next hop", "status": "fail", "text": "no next hop", "what_to_do": "start it"},
        ]
    )
    page = text(sign_in(Role.HELP_DESK))
    assert page.index("No next hop") < page.index("The resolver does not validate")
    assert "The clock is right" not in page
    assert "No next hop" not in text(sign_in(Role.DOMAIN_ADMINISTRATOR, domains=("one.example",)))


def test_each_node_looks_at_itself_later_and_on_demand(sign_in, worker, monkeypatch):
    findings.ensure()
    findings.ensure()
    assert jobs.claim("w", kinds=(CHECK,)) is None, "not while the gateway starts"
    assert sign_in(Role.AUDITOR).post("/checks/", secure=True).status_code == 302
    job = jobs.claim("w", kinds=(CHECK,))
    monkeypatch.setattr(
        console_checks, "_found", lambda: [dict.fromkeys(("check", "text", "what_to_do"), "x") | {"status": "ok"}]
    )
    assert console_checks.check_node(worker, job) is None
    assert [(one.node, one.wrong) for one in findings.last()] == [(this_node(), ())]
    assert sign_in(Role.DOMAIN_ADMINISTRATOR, domains=("one.example",)).post("/checks/", secure=True).status_code == 403


def test_columns_are_as_high_as_what_they_count():
    series = (Series("a", "A", "s1"), Series("b", "B", "s2"))
    counts = {START: {"a": 30, "b": 10}, START + 2 * HOUR: {"b": 7}}
    chart = stacked(series, counts, START, HOUR, 4)
    first, second, third, _ = chart.columns
    assert [number for _, number in chart.ticks] == ["0", "10", "20", "30", "40"]
    assert round(sum(one.height for one in first.blocks)) == chart.below
    assert (second.blocks, third.values) == ((), (0, 7))
    assert [total for _, total in chart.totals] == [30, 17]
    assert stacked(series, {}, START, HOUR, 4).total == 0
    assert [number for _, number in stacked(series, {START: {"a": 5_000_001}}, START, HOUR, 1).ticks][-1] == "6M"
