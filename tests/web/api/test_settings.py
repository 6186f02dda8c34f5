"""Settings over the API."""

from mailseal.store import overrides
from mailseal.store.accounts.roles import Role


def test_where_a_value_comes_from_is_told(api):
    caller = api()
    assert caller("PUT", "/settings/mode", {"value": "mandatory", "locked": True}).status_code == 200
    assert caller("PUT", "/settings/mode?owner=a@inside.example", {"value": "allow"}).status_code == 200
    told = caller("GET", "/settings/mode?owner=a@inside.example").json()
    assert told["effective"] == {"value": "mandatory", "level": "global", "owner": "", "locked": True}
    assert told["own"] == {"value": "allow", "locked": False, "counts": False}
    assert told["inherited"]["value"] == "mandatory"
    assert told["kind"] == "choice"
    assert "mandatory" in told["choices"]
    assert len(caller("GET", "/settings").json()["settings"]) > 50


def test_values_come_in_their_type_or_as_text(api):
    caller = api()
    for name, value, told in (
        ("smime", False, False),
        ("smime", "yes", True),
        ("quarantine_days", 7, 7),
        ("quarantine_days", "8", 8),
        ("dlp_managers", ["a@inside.example", "b@inside.example"], ["a@inside.example", "b@inside.example"]),
        ("notice_language", "de", "de"),
    ):
        answer = caller("PUT", f"/settings/{name}", {"value": value})
        assert answer.status_code == 200, answer.content
        assert answer.json()["own"]["value"] == told


def test_what_is_no_value_is_refused_and_nothing_is_changed(api):
    caller = api()
    assert caller("PUT", "/settings/mode", {"value": "perhaps"}).status_code == 422
    assert caller("PUT", "/settings/nothing", {"value": "x"}).status_code == 404
    changes = {"settings": {"smime": {"value": False}, "quarantine_days": {"value": 0}}}
    assert caller("PATCH", "/settings", changes).status_code == 422
    assert overrides.list_overrides() == ()


def test_several_are_changed_at_once_as_they_were_seen(api):
    caller = api()
    seen = caller("GET", "/settings").headers["ETag"]
    changes = {"settings": {"smime": {"value": False}, "pgp": {"value": False}}}
    assert caller("PATCH", "/settings", changes, if_match=seen).status_code == 200
    assert caller("PATCH", "/settings", {"settings": {"smime": None}}, if_match=seen).status_code == 412
    assert caller("PATCH", "/settings", {"settings": {"smime": None}}).status_code == 200
    assert [one.name for one in overrides.list_overrides()] == ["pgp"]
    one = caller("GET", "/settings/pgp").headers["ETag"]
    caller("PUT", "/settings/pgp", {"value": True})
    assert caller("DELETE", "/settings/pgp", if_match=one).status_code == 412
    assert caller("DELETE", "/settings/pgp").status_code == 200
    assert caller("DELETE", "/settings/pgp").status_code == 404


def test_an_administrator_of_domains_sees_and_changes_those_alone(api):
    for owner in ("", "a.example", "b.example", "x@a.example", "x@b.example"):
        overrides.set_override(owner, "smime", "no")
    caller = api(Role.DOMAIN_ADMINISTRATOR, domains=("a.example",))
    assert [one["owner"] for one in caller("GET", "/settings/overrides").json()["items"]] == [
        "a.example",
        "x@a.example",
    ]
    for owner, status in (
        ("a.example", 200),
        ("x@a.example", 200),
        ("", 404),
        ("b.example", 404),
        ("x@b.example", 404),
    ):
        assert caller("GET", f"/settings?owner={owner}").status_code == status, owner
        assert caller("GET", f"/settings/smime?owner={owner}").status_code == status, owner
        assert caller("PUT", f"/settings/smime?owner={owner}", {"value": True}).status_code == status, owner
        assert caller("PATCH", f"/settings?owner={owner}", {"settings": {"pgp": None}}).status_code == status, owner
        assert caller("DELETE", f"/settings/smime?owner={owner}").status_code == status, owner


def test_locks_are_not_for_administrators_of_domains(api):
    overrides.set_override("a.example", "smime", "yes", locked=True)
    caller = api(Role.DOMAIN_ADMINISTRATOR, domains=("a.example",))
    for method, body in (("PUT", {"value": False}), ("DELETE", None)):
        answer = caller(method, "/settings/smime?owner=a.example", body)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:mailseal:problem:locked")
    assert caller("PUT", "/settings/pgp?owner=a.example", {"value": False, "locked": True}).status_code == 403


def test_overrides_come_in_pages(api):
    names = ("mode", "pgp", "smime")
    for owner in ("", '"a b"@a.example', "a.example"):
        for name in names:
            overrides.set_override(owner, name, "allow" if name == "mode" else "no")
    caller, found, after = api(), [], ""
    while after is not None:
        answer = caller("GET", "/settings/overrides?limit=2&after=" + after.replace(" ", "%20").replace('"', "%22"))
        found += [(one["owner"], one["name"]) for one in answer.json()["items"]]
        after = answer.json()["next"]
    assert found == [(owner, name) for owner in ("", '"a b"@a.example', "a.example") for name in names]
