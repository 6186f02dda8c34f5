"""The page of the audit: who changed what; only who may see it; verified by the worker."""

import html
import json
import re

import pytest

from mailseal.store import audit, audit_verify, console_jobs, domains, overrides
from mailseal.store.accounts.roles import Role
from mailseal.store.acting import Acting, Way, acting
from mailseal.store.actor import Actor
from mailseal.store.audit_models import AuditEventRow
from mailseal.store.console_jobs import ActionFailed, StillRunning
from mailseal.store.row import uuid7

ANNA = Acting(Actor("account:1", "Anna <b>Bold</b>"), Way.CONSOLE, "192.0.2.7")
MAY = {Role.ADMINISTRATOR, Role.AUDITOR}


@pytest.fixture
def changes(web) -> None:
    with acting(ANNA):
        domains.add("inside.example")
        overrides.set_override("secret.example", "mode", "mandatory")
        overrides.set_override("secret.example", "mode", "force", locked=True)


def test_it_tells_who_changed_what_from_what_to_what(changes, sign_in):
    text = sign_in(Role.AUDITOR).get("/audit/").content.decode()
    assert "mode secret.example" in text
    assert "Anna &lt;b&gt;Bold&lt;/b&gt;" in text
    assert "192.0.2.7" in text
    assert "mandatory</del>" in text
    assert "force</ins>" in text


def test_it_is_found_by_what_and_by_whom(changes, sign_in):
    browser = sign_in(Role.AUDITOR)

    def subjects(query: str) -> list[bool]:
        text = browser.get(f"/audit/?{query}").content.decode()
        return [name in text for name in ("<code>inside.example", "<code>mode secret.example")]

    assert subjects("q=INSIDE") == subjects("area=domains") == [True, False]
    assert subjects("actor=account:1&way=console&since=2020-01-01") == [True, True]
    assert subjects("actor=nobody") == subjects("until=2020-01-01") == [False, False]
    assert browser.get("/audit/?since=tomorrow").status_code == 422
    assert browser.get("/audit/?before=nonsense").status_code == 200


def test_pages_go_by_the_last_event(changes, sign_in, monkeypatch):
    monkeypatch.setattr("mailseal.web.console.audit.PAGE_ROWS", 2)
    browser = sign_in(Role.AUDITOR)
    first = browser.get("/audit/?actor=account:1").content.decode()
    assert ("mode secret" in first, "<code>inside.example" in first) == (True, False)
    (older,) = re.findall(r'href="([^"]+)" rel="next"', first)
    second = browser.get(html.unescape(older)).content.decode()
    assert ("mode secret" in second, "<code>inside.example" in second) == (False, True)
    assert re.findall(r'href="([^"]+)" rel="(next|prev)"', second) == [("/audit/?actor=account%3A1", "prev")]


def test_one_event_tells_all_and_what_else_was_done_with_the_same(changes, sign_in):
    browser = sign_in(Role.AUDITOR)
    newest = audit.list_events()[0]
    text = browser.get(f"/audit/{newest.id}/").content.decode()
    assert newest.digest in text
    assert f"/audit/{audit.list_events()[1].id}/" in text
    assert f"/audit/{audit.list_events()[2].id}/" not in text
    assert browser.get(f"/audit/{uuid7()}/").status_code == 404


@pytest.mark.parametrize("role", list(Role))
def test_only_who_may_sees_it(changes, sign_in, role):
    event = audit.list_events()[0].id
    browser = sign_in(role, domains=("secret.example",))
    paths = ("/audit/", f"/audit/{event}/", "/audit/export/", "/audit/verify/")
    assert {browser.get(path).status_code for path in paths} == {200 if role in MAY else 403}


def test_it_is_exported_as_it_is_filtered(changes, sign_in):
    answer = sign_in(Role.AUDITOR).get("/audit/export/?area=domains")
    lines = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
    assert [line["event"]["subject"] for line in lines] == ["inside.example"]
    assert answer.headers["Content-Disposition"].startswith("attachment")


@pytest.fixture
def worker(monkeypatch):
    """What the worker answers, without one: its own function, or an error."""
    answers: dict[str, object] = {}

    def call(action: str, arguments: object) -> object:
        found = answers[action]
        if isinstance(found, Exception):
            raise found
        return found() if callable(found) else found

    monkeypatch.setattr(console_jobs, "call", call)
    return answers


def test_it_is_verified_by_the_worker(changes, sign_in, worker):
    worker["audit-verify"] = lambda: audit_verify.facts_of(audit_verify.verify())
    browser = sign_in(Role.AUDITOR)
    assert "All 3 events are as they were recorded." in browser.post("/audit/verify/").content.decode()
    AuditEventRow.objects.filter(number=2).update(actor_name="Bert")
    assert "was changed after it was recorded" in browser.post("/audit/verify/").content.decode()


def test_a_worker_that_is_away_or_slow_is_told(changes, sign_in, worker):
    browser, job = sign_in(Role.AUDITOR), uuid7()
    worker["audit-verify"] = ActionFailed("the job worker does not answer", transient=True)
    answer = browser.post("/audit/verify/")
    assert (answer.status_code, "does not answer" in answer.content.decode()) == (503, True)
    worker["audit-verify"] = StillRunning(job)
    answer = browser.post("/audit/verify/")
    assert answer.headers["Location"] == f"/audit/verify/?job={job}"
    assert "is at it" in browser.get(answer.headers["Location"]).content.decode()
