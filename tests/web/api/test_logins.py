"""Logins of users who hand in mail, over the API."""

from mailseal.keys.password_hash import verify_password
from mailseal.store import logins
from mailseal.store.accounts.roles import Role

PASSWORD = "correct horse battery"


def test_a_login_is_made_changed_and_deleted(api):
    caller = api()
    made = caller("POST", "/logins", {"name": "Alice", "may_use": ["a@inside.example"], "password": PASSWORD})
    assert (made.status_code, made.json()["password"], made.json()["login"]["name"]) == (201, None, "alice")
    verify_password(PASSWORD.encode(), logins.find("alice").password)
    changed = caller("PATCH", "/logins/alice", {"enabled": False, "may_use": ["b@inside.example", "*.c.example"]})
    assert changed.json()["may_use"] == ["*.c.example", "b@inside.example"]
    assert changed.json()["enabled"] is False
    again = caller("PUT", "/logins/alice/password", {})
    verify_password(again.json()["password"].encode(), logins.find("alice").password)
    assert caller("DELETE", "/logins/alice").status_code == 204
    assert caller("GET", "/logins/alice").status_code == 404


def test_a_password_is_refused_if_it_is_short_and_never_told(api):
    caller = api()
    answer = caller("POST", "/logins", {"name": "alice", "may_use": [], "password": "hunter2"})
    assert answer.status_code == 422
    assert "hunter2" not in answer.content.decode()
    assert "hunter2" not in caller("POST", "/logins", {"name": "alice", "password": ["hunter2"]}).content.decode()


def test_an_administrator_of_domains_has_logins_of_those_alone(api):
    for name, may_use in (("mine", ["a.example"]), ("both", ["a.example", "b.example"]), ("none", [])):
        logins.add(name, "$argon2id$none", may_use)
    caller = api(Role.DOMAIN_ADMINISTRATOR, domains=("a.example",))
    assert [one["name"] for one in caller("GET", "/logins").json()["items"]] == ["mine"]
    for name in ("both", "none"):
        for method, path, body in (
            ("GET", f"/logins/{name}", None),
            ("PATCH", f"/logins/{name}", {"enabled": False}),
            ("PUT", f"/logins/{name}/password", {}),
            ("DELETE", f"/logins/{name}", None),
        ):
            assert caller(method, path, body).status_code == 404, (method, path)
    for may_use in ([], ["b.example"], ["a.example", "x@b.example"]):
        assert caller("POST", "/logins", {"name": "new", "may_use": may_use}).status_code == 403
        assert caller("PATCH", "/logins/mine", {"may_use": may_use}).status_code == 403
    assert caller("PATCH", "/logins/mine", {"may_use": ["x@a.example"]}).status_code == 200


def test_a_login_named_like_an_address_is_for_who_looks_after_its_domain(api):
    caller = api(Role.DOMAIN_ADMINISTRATOR, domains=("a.example",))
    for name, status in (("ceo@b.example", 403), ("CEO@B.example", 403), ("ceo@a.example", 201), ("ceo", 201)):
        assert caller("POST", "/logins", {"name": name, "may_use": ["a.example"]}).status_code == status
    assert api()("POST", "/logins", {"name": "ceo@b.example", "may_use": ["b.example"]}).status_code == 201
