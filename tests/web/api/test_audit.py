"""The audit over the API: read page by page, verifiable by whoever has read it; only who may sees it."""

import hashlib

import pytest

from mailseal.keys.sealing import Kek
from mailseal.store import audit, audit_signing, audit_verify, console_jobs, domains, overrides
from mailseal.store.accounts.roles import Role
from mailseal.store.audit_models import AuditEventRow
from mailseal.store.console_jobs import ActionFailed, StillRunning, uuid7

MAY = {Role.ADMINISTRATOR, Role.AUDITOR}


@pytest.fixture
def changes(web) -> None:
    domains.add("inside.example")
    overrides.set_override("secret.example", "mode", "mandatory")
    overrides.set_override("secret.example", "mode", "force", locked=True)


def test_programs_read_it_page_by_page_and_can_verify_it(changes, api):
    audit_signing.sign_heads(Kek(b"k" * 32))
    call = api(Role.AUDITOR)
    events, after = [], ""
    while after is not None:
        page = call("GET", f"/audit?limit=2&after={after}").json()
        events += page["items"]
        after = page["next"]
    assert [one["number"] for one in events] == list(range(len(events), 0, -1))
    assert all(hashlib.sha256(one["hashed"].encode()).hexdigest() == one["digest"] for one in events)
    (setting,) = [one for one in events if one["before"] and "mode" in one["before"]]
    assert setting["before"] == {"mode": "mandatory", "locked": False}
    assert setting["after"] == {"mode": "force", "locked": True}
    (signature,) = call("GET", "/audit/signatures").json()["items"]
    assert signature["digest"] in {one["digest"] for one in events if one["number"] == signature["number"]}
    assert call("GET", f"/audit/{events[0]['id']}").json() == events[0]
    assert call("GET", "/audit?way=nonsense").status_code == 422
    assert call("GET", "/audit?since=2020-01-01T00:00:00Z&area=domains").json()["items"][0]["action"] == "add"


@pytest.mark.parametrize("role", list(Role))
def test_only_who_may_sees_it(changes, api, role):
    event = audit.list_events()[0].id
    call = api(role, domains=("secret.example",))
    found = {call("GET", path).status_code for path in ("/audit", f"/audit/{event}", "/audit/signatures")}
    assert found == {200 if role in MAY else 403}
    assert call("POST", "/audit/verify").status_code in ({503} if role in MAY else {403})


def test_the_worker_verifies_it(changes, api, monkeypatch):
    monkeypatch.setattr(console_jobs, "call", lambda action, arguments: audit_verify.facts_of(audit_verify.verify()))
    call = api(Role.AUDITOR)
    assert call("POST", "/audit/verify").json()["intact"] is True
    AuditEventRow.objects.filter(number=2).update(actor_name="Bert")
    said = call("POST", "/audit/verify").json()
    assert (said["intact"], said["findings"][0]["fault"], said["findings"][0]["number"]) == (False, "changed", 2)


def test_a_worker_that_is_away_is_told(changes, api, monkeypatch):
    def away(action: str, arguments: object) -> object:
        raise ActionFailed("the job worker does not answer", transient=True)

    monkeypatch.setattr(console_jobs, "call", away)
    assert api(Role.AUDITOR)("POST", "/audit/verify").status_code == 503


def test_a_worker_that_takes_long_is_told_and_documented(changes, api, monkeypatch):
    def slow(action: str, arguments: object) -> object:
        raise StillRunning(uuid7())

    monkeypatch.setattr(console_jobs, "call", slow)
    call = api(Role.AUDITOR)
    assert call("POST", "/audit/verify").status_code == 202
    described = call("GET", "/openapi.json").json()["paths"]["/api/v1/audit/verify"]["post"]["responses"]
    assert {"200", "202"} <= described.keys()


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_time_that_cannot_be_meant_is_refused(changes, api, time):
    call = api(Role.AUDITOR)
    assert call("GET", f"/audit?since={time}").status_code == 422
    assert call("GET", f"/audit?until={time}").status_code == 422
