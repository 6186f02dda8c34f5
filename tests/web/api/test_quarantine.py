"""The quarantine over the API: who sees what, and what takes two people."""

from uuid import UUID, uuid4

import pytest

from held_mails import ANNA, SECRET, held, message
from mailseal.keys.sealing import Kek
from mailseal.store import quarantine_events
from mailseal.store.accounts.roles import Role
from mailseal.store.quarantine import StoreQuarantine


@pytest.fixture
def kek(tmp_path) -> Kek:
    return Kek.generate(tmp_path / "kek")


@pytest.fixture
def one(web, kek) -> UUID:
    return UUID(StoreQuarantine(kek).hold(held(), message()))


def test_a_mail_is_held_longer_released_or_deleted(api, one, kek):
    caller = api(Role.QUARANTINE_REVIEWER)
    (listed,) = caller("GET", "/quarantine").json()["items"]
    assert (listed["id"], listed["sender"], listed["state"]) == (str(one), ANNA, "held")
    assert listed["findings"] == [{"name": "cards", "action": "quarantine", "count": 2}]
    path = f"/quarantine/{one}"
    tag = caller("GET", path).headers["ETag"]
    assert caller("POST", path + "/extend", {"days": 90, "note": "until May"}).status_code == 200
    assert caller("POST", path + "/release", {"way": "encrypted"}, if_match=tag).status_code == 412
    assert caller("POST", path + "/release", {"way": "encrypted"}).json()["state"] == "releasing"
    assert caller("DELETE", path).status_code == 422
    other = StoreQuarantine(kek).hold(held(number=2), message())
    assert caller("DELETE", f"/quarantine/{other}?note=spam").json()["state"] == "deleted"
    assert caller("GET", "/quarantine?state=deleted").json()["items"][0]["id"] == other
    events = caller("GET", path + "/events").json()["items"]
    assert [event["action"] for event in events] == ["release-asked", "extended", "held"]
    assert events[0]["actor"] == f"account:{caller.account.pk}"


def test_as_it_is_takes_two_people(api, one):
    officer, reviewer = api(Role.DLP_OFFICER), api(Role.QUARANTINE_REVIEWER)
    path = f"/quarantine/{one}"
    assert officer("POST", path + "/approve", {}).status_code == 403
    assert reviewer("POST", path + "/approve", {}).status_code == 422
    asked = reviewer("POST", path + "/release", {"way": "as-is"}).json()
    assert (asked["state"], asked["asked_by"]) == ("held", f"account:{reviewer.account.pk}")
    assert reviewer("POST", path + "/approve", {}).status_code == 422
    assert officer("POST", path + "/deny", {}).status_code == 403
    assert reviewer("POST", path + "/deny", {}).json()["asked_by"] == ""
    assert officer("POST", path + "/release", {"way": "as-is"}).status_code == 200
    approved = reviewer("POST", path + "/approve", {"note": "ok"}).json()
    assert (approved["state"], approved["way"]) == ("releasing", "as-is")


def test_the_content_is_for_those_who_may_and_masked(api, worker):
    held_id = UUID(StoreQuarantine(worker.kek).hold(held(), message()))
    path = f"/quarantine/{held_id}/view"
    assert api(Role.AUDITOR)("POST", path).status_code == 403
    assert api(Role.HELP_DESK)("POST", path).status_code == 403
    caller = api(Role.QUARANTINE_REVIEWER)
    seen = caller("POST", path)
    assert seen.status_code == 200, seen.content
    assert ["subject", "numbers"] in seen.json()["header"]
    assert seen.json()["findings"][0]["excerpt"] == "4111 **** 1111"
    (event, _) = quarantine_events.list_events(held_id)
    assert (event.action, event.actor.key) == ("shown", f"account:{caller.account.pk}")


def test_held_mails_of_other_domains_are_not_there(api, worker):
    quarantine = StoreQuarantine(worker.kek)
    mine = quarantine.hold(held(), message())
    other = quarantine.hold(held("x@alpha.example", number=2, sender="eve@b.example"), message())
    caller = api(Role.DOMAIN_ADMINISTRATOR, domains=("alpha.example",))
    assert [one["id"] for one in caller("GET", "/quarantine").json()["items"]] == [mine]
    assert caller("GET", "/quarantine?sender=eve@b.example").json()["items"] == []
    for method, tail, body in (
        ("GET", "", None),
        ("GET", "/events", None),
        ("POST", "/view", None),
        ("POST", "/release", {}),
        ("POST", "/deny", {}),
        ("POST", "/extend", {"days": 1}),
        ("DELETE", "", None),
    ):
        assert caller(method, f"/quarantine/{other}{tail}", body).status_code == 404, (method, tail)
        assert caller(method, f"/quarantine/{uuid4()}{tail}", body).status_code == 404
    assert caller("POST", f"/quarantine/{mine}/approve", {}).status_code == 403
    assert caller("POST", f"/quarantine/{mine}/view").status_code == 200


def test_nothing_of_the_content_is_told_otherwise(api, one):
    caller = api()
    told = caller("GET", "/quarantine").content + caller("GET", f"/quarantine/{one}").content
    assert SECRET.encode() not in told
    assert b"4111" not in told
