"""Notices, TLS, the queue and journal addresses over the API."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from django.test.utils import CaptureQueriesContext

from harness.queue_role import IDS, LINE, Scripted, Served
from mailseal.mail.address import Address
from mailseal.mail.tls_report import AppliedPolicy, PolicyType
from mailseal.roles import console_queue
from mailseal.store import domains, tls_reports, tls_sessions
from mailseal.store.accounts.roles import Role
from mailseal.store.tls_sessions import Kind, LogPosition
from mailseal.store.transaction import connection

TEMPLATE = "/notices/templates/dlp-warn/en/subject"


def test_a_template_is_set_previewed_and_inherited_again(api, worker):
    caller = api(Role.DLP_OFFICER)
    assert caller("GET", TEMPLATE).status_code == 404
    assert caller("PUT", TEMPLATE, {"text": "{{ nothing.of.it }}"}).status_code == 422
    assert caller("PUT", TEMPLATE + "?owner=a.example", {"text": "About {{ subject }}"}).status_code == 200
    assert [one["owner"] for one in caller("GET", "/notices/templates").json()["items"]] == ["a.example"]
    current = caller("GET", TEMPLATE + "/current?owner=x@a.example").json()
    assert current == {"text": "About {{ subject }}", "origin": "a.example"}
    asked = {"kind": "dlp-warn", "owner": "x@a.example"}
    assert caller("POST", "/notices/preview", asked).json()["subject"].startswith("About ")
    draft = asked | {"drafts": {"subject": "Draft of {{ sender }}"}}
    assert caller("POST", "/notices/preview", draft).json()["subject"].startswith("Draft of ")
    assert caller("POST", "/notices/preview", asked | {"drafts": {"subject": "{% broken"}}).status_code == 422
    assert caller("DELETE", TEMPLATE + "?owner=a.example").status_code == 204
    assert {one["code"] for one in caller("GET", "/notices/languages").json()["languages"]} >= {"de", "en"}
    assert "dlp-warn" in {one["kind"] for one in caller("GET", "/notices/kinds").json()["kinds"]}


def test_a_tls_policy_is_set_shown_and_unset(api, worker):
    caller = api()
    done = caller(
        "PUT", "/tls-policies/Partner.example", {"level": "secure", "match": ["*.mx.example"], "min_tls": "1.3"}
    )
    assert done.status_code == 200, done.content
    assert done.json()["destination"] == "partner.example"
    one = caller("GET", "/tls-policies/partner.example").json()
    assert (one["level"], one["match"], one["min_tls"]) == ("secure", ["*.mx.example"], "1.3")
    refused = caller("PUT", "/tls-policies/partner.example", {"level": "may", "match": ["x.example"]})
    assert refused.status_code == 422
    way = {one["name"]: one["value"] for one in caller("GET", "/tls-policies/partner.example/way").json()["facts"]}
    assert way["because"] == "it is set for partner.example"
    assert caller("POST", "/tls-policies/[192.0.2.1]:6379/test").status_code == 422
    assert caller("GET", "/tls-policies/problems").json()["policies"][0]["destination"] == "partner.example"
    assert caller("DELETE", "/tls-policies/partner.example").status_code == 204
    assert caller("GET", "/tls-policies").json()["items"] == []
    assert api(Role.HELP_DESK)("DELETE", "/tls-policies/partner.example").status_code == 403


def test_tls_reports_by_day(api):
    caller, today = api(), datetime.now(UTC).date()
    for days, domain in ((1, "a.example"), (1, "b.example"), (2, "a.example")):
        day = today - timedelta(days=days)
        policy = AppliedPolicy(PolicyType.NONE, domain)
        tls_sessions.add({Kind(day, policy): 2, Kind(day, policy, "starttls-not-supported"): 1}, "log", LogPosition())
    found, after = [], ""
    while after is not None:
        page = caller("GET", f"/tls-reports?limit=1&after={after}").json()
        found += [(one["day"], one["domain"], one["succeeded"], one["failed"]) for one in page["items"]]
        after = page["next"]
    days = [str(today - timedelta(days=number)) for number in (1, 1, 2)]
    assert found == [(days[0], "b.example", 2, 1), (days[1], "a.example", 2, 1), (days[2], "a.example", 2, 1)]
    one = caller("GET", f"/tls-reports/a.example/{days[0]}").json()
    assert one["policies"][0]["failures"][0]["result-type"] == "starttls-not-supported"
    assert caller("POST", f"/tls-reports/a.example/{days[0]}/send").status_code == 204
    assert tls_reports.find("a.example", today - timedelta(days=1)) is not None
    assert caller("GET", f"/tls-reports/c.example/{days[0]}").status_code == 404
    assert caller("GET", "/tls-reports/received").json() == {"items": [], "next": None}


def test_reports_are_read_for_the_rows_of_the_page_alone(api):
    caller, today = api(), datetime.now(UTC).date()
    for days in range(1, 6):
        policy = AppliedPolicy(PolicyType.NONE, "a.example")
        tls_sessions.add({Kind(today - timedelta(days=days), policy): 1}, "log", LogPosition())
        tls_reports.begin("a.example", today - timedelta(days=days), at=datetime.now(UTC))
    with CaptureQueriesContext(connection()) as queries:
        page = caller("GET", f"/tls-reports?limit=1&since={today - timedelta(days=400)}").json()
    assert page["items"][0]["report"]["state"] == "waiting"
    (asked,) = [one["sql"] for one in queries if "FROM `store_tls_report`" in one["sql"].replace('"', "`")]
    assert f"{today - timedelta(days=1)}" in asked
    assert f"{today - timedelta(days=3)}" not in asked
    assert ">=" not in asked


@pytest.fixture
def queue(tmp_path, monkeypatch):
    served = Served(tmp_path / "queue.sock", Scripted(), os.getuid())
    monkeypatch.setattr(console_queue, "queue_client", lambda _: served.client)
    yield served.commands
    served.end()


def test_the_queue_is_asked_by_the_worker(api, worker, queue):
    caller = api(Role.ADMINISTRATOR)
    told = caller("GET", "/queue").json()
    assert told["count"] == 1, told
    assert [one["id"] for one in told["mails"]] == [IDS[0]]
    queue.pieces.append(LINE.replace(IDS[0].encode(), IDS[1].encode()) + b"\n")
    first = caller("GET", "/queue?limit=1").json()
    assert [one["id"] for one in first["mails"]] == [IDS[0]]
    second = caller("GET", f"/queue?limit=1&after={first['next']}").json()
    assert ([one["id"] for one in second["mails"]], second["next"], second["count"]) == ([IDS[1]], None, 2)
    held = caller("POST", "/queue/changes", {"verb": "hold", "ids": [IDS[0]]}).json()
    assert (held["count"], held["ids"]) == (1, [IDS[0]])
    assert caller("POST", "/queue/changes", {"verb": "hold", "all": True}).json()["count"] == 7
    assert caller("POST", "/queue/changes", {"verb": "delete", "all": True}).status_code == 422
    assert caller("POST", "/queue/changes", {"verb": "delete"}).status_code == 422
    assert caller("POST", "/queue/changes", {"verb": "delete", "ids": ["; rm"]}).status_code == 422
    assert caller("POST", "/queue/changes", {"verb": "flush"}).status_code == 503
    helper = api(Role.HELP_DESK)
    assert helper("GET", "/queue").status_code == 200
    assert helper("POST", "/queue/changes", {"verb": "hold", "all": True}).status_code == 403


def test_without_postfix_there_is_no_queue(api, worker):
    assert api()("GET", "/queue").status_code == 422


def test_a_journal_address(api):
    domains.add("a.example")
    caller = api()
    given = {"archive": "archive@a.example", "networks": ["192.0.2.0/24"]}
    assert caller("PUT", "/journals/journal@a.example", given).json()["networks"] == ["192.0.2.0/24"]
    assert caller("PUT", "/journals/j@a.example", {"archive": "x@out.example"}).status_code == 422
    assert caller("PUT", "/journals/j@a.example", given | {"networks": ["no network"]}).status_code == 422
    assert [one["address"] for one in caller("GET", "/journals").json()["items"]] == ["journal@a.example"]
    assert caller("GET", "/journals/failures").json()["items"] == []
    assert caller("POST", "/journals/failures/retry", {"all": True}).json() == {"to_be_tried": 0}
    assert caller("DELETE", f"/journals/{Address.parse('journal@a.example')}").status_code == 204
    assert api(Role.PKI)("GET", "/journals").status_code == 403
