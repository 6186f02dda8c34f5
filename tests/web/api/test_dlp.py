"""DLP over the API: patterns, groups, assignments, the library, and trials that the worker makes."""

import base64

from mailseal.store import dlp_patterns
from mailseal.store.accounts.roles import Role

CARDS = {"name": "Cards", "kind": "expression", "text": r"\b\d{16}\b", "action": "quarantine", "validator": "luhn"}
MAIL = b"From: x@a.example\r\nSubject: s\r\n\r\nMy card is 4111111111111111.\r\n"


def test_a_pattern_is_made_changed_assigned_and_deleted(api):
    caller = api(Role.DLP_OFFICER)
    made = caller("POST", "/dlp/patterns", CARDS | {"groups": ["Money"]})
    assert (made.status_code, made.json()["revision"], made.json()["groups"]) == (201, 1, ["Money"])
    assert caller("POST", "/dlp/patterns", CARDS).status_code == 422
    tag = caller("GET", "/dlp/patterns/cards").headers["ETag"]
    changed = caller("PATCH", "/dlp/patterns/Cards", {"threshold": 3}, if_match=tag).json()
    assert (changed["revision"], changed["pattern"]["threshold"], changed["pattern"]["action"]) == (2, 3, "quarantine")
    assert caller("PATCH", "/dlp/patterns/Cards", {"threshold": 4}, if_match=tag).status_code == 412
    assert caller("PATCH", "/dlp/patterns/Cards", {"text": "("}).status_code == 422
    assigned = caller("POST", "/dlp/assignments/assign", {"owner": "a.example", "groups": ["money"]}).json()
    assert [(one["owner"], one["group"], one["pattern"]) for one in assigned["assignments"]] == [
        ("a.example", "Money", "")
    ]
    counting = caller("GET", "/dlp/counting?address=x@a.example&address=y@b.example").json()
    assert [one["pattern"] for one in counting] == ["Cards"]
    assert caller("GET", "/dlp/counting?address=y@b.example").json() == []
    assert caller("DELETE", "/dlp/patterns/Cards").status_code == 409
    assert caller("DELETE", "/dlp/groups/Money").status_code == 409
    assert caller("GET", "/dlp/assignments?group=Money").json()["items"] == assigned["assignments"]
    assert caller("POST", "/dlp/assignments/unassign", {"owner": "a.example", "groups": ["Money"]}).status_code == 200
    assert caller("PATCH", "/dlp/groups/Money", {"patterns": [], "description": "d"}).json()["patterns"] == []
    assert caller("DELETE", "/dlp/groups/Money").status_code == 204
    assert caller("DELETE", "/dlp/patterns/Cards").status_code == 204
    assert dlp_patterns.list_patterns() == ()


def test_the_library_and_pages(api):
    caller = api()
    library = caller("GET", "/dlp/library").json()["patterns"]
    group = library[0]["group"]
    of_it = sorted(one["name"] for one in library if one["group"] == group)
    done = caller("POST", "/dlp/library/import", {"groups": [group], "action": "warn"}).json()
    assert sorted(done["added"]) == of_it
    assert done["groups"] == [group]
    found, after = [], ""
    while after is not None:
        page = caller("GET", f"/dlp/patterns?limit=2&after={after}").json()
        found += page["items"]
        after = page["next"]
    assert sorted(one["name"] for one in found) == of_it
    assert {one["pattern"]["action"] for one in found} == {"warn"}
    exported = [{"name": one["name"], **one["pattern"]} for one in found]
    assert caller("POST", "/dlp/patterns/import", {"patterns": exported}).status_code == 422
    again = caller("POST", "/dlp/patterns/import", {"patterns": exported, "replace": True}).json()
    assert sorted(again["unchanged"]) == of_it


def test_what_is_looked_at_and_found_is_told_by_the_worker(api, worker):
    caller = api(Role.DLP_OFFICER)
    caller("POST", "/dlp/patterns", CARDS)
    upload = {"file": base64.b64encode(MAIL).decode(), "read_as": "mail"}
    told = caller("POST", "/dlp/extract", upload).json()
    assert any("4111111111111111" in one["text"] for one in told["passages"])
    draft = {"kind": "keywords", "text": "card", "action": "warn", "threshold": 2}
    tried = caller("POST", "/dlp/test", upload | {"patterns": ["cards"], "draft": draft}).json()
    assert [(one["pattern"], one["found"], one["counts"]) for one in tried["patterns"]] == [
        ("Cards", 1, True),
        ("draft", 1, False),
    ]
    assert "4111111111111111" not in str(tried["patterns"])
    broken = upload | {"draft": draft | {"kind": "expression", "text": "("}}
    assert caller("POST", "/dlp/test", broken).status_code == 422
    assert caller("POST", "/dlp/test", upload).status_code == 422


def test_dlp_is_for_those_who_look_after_it(api):
    for role in (Role.HELP_DESK, Role.PKI, Role.QUARANTINE_REVIEWER):
        assert api(role)("GET", "/dlp/patterns").status_code == 403
    auditor = api(Role.AUDITOR)
    assert auditor("GET", "/dlp/patterns").status_code == 200
    assert auditor("POST", "/dlp/patterns", CARDS).status_code == 403
