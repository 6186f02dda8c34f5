"""Addresses, routes, jobs and the caller over the API."""

import pytest

from mailseal.mail.address import Address
from mailseal.policy.dlp.library import starters
from mailseal.store import addresses, dlp_assignments, dlp_import, domains, jobs, overrides, routes
from mailseal.store.accounts.roles import Role
from mailseal.store.credentials import open_password


def test_addresses_are_remembered_and_forgotten(api):
    caller = api()
    for one in ("x@a.example", "a/b@a.example", "y@b.example"):
        assert caller("PUT", f"/addresses/{one}").status_code == 200
    assert [one["key"] for one in caller("GET", "/addresses?domain=a.example").json()["items"]] == [
        "a/b@a.example",
        "x@a.example",
    ]
    assert caller("GET", "/addresses/X@A.example").json()["key"] == "x@a.example"
    assert caller("DELETE", "/addresses/x@a.example").status_code == 204
    assert caller("DELETE", "/addresses/x@a.example").status_code == 404


def test_what_could_be_done_for_an_address_is_told_with_reasons(api):
    domains.add("a.example")
    told = api()("GET", "/addresses/x@a.example/abilities").json()
    assert told["internal"] is True
    assert {one["method"] for one in told["methods"]} == {"smime", "pgp"}
    for one in told["methods"]:
        assert one["why_not"]["code"]
        assert one["why_not"]["text"]


def test_an_administrator_of_domains_sees_addresses_of_those_alone(api):
    for one in ("x@a.example", "y@b.example", "z@sub.a.example"):
        addresses.add(Address.parse(one))
    caller = api(Role.DOMAIN_ADMINISTRATOR, domains=("a.example",))
    assert [one["key"] for one in caller("GET", "/addresses").json()["items"]] == ["x@a.example"]
    assert caller("GET", "/addresses?domain=b.example").json()["items"] == []
    for one in ("y@b.example", "z@sub.a.example", "nobody@b.example"):
        for method in ("GET", "PUT", "DELETE"):
            assert caller(method, f"/addresses/{one}").status_code == 404
        assert caller("GET", f"/addresses/{one}/abilities").status_code == 404
    assert caller("PUT", "/addresses/new@a.example").status_code == 200


def test_deleting_an_address_takes_nothing_away_that_others_have_set(api):
    anna = Address.parse("anna@a.example")
    caller, changing = api(Role.DOMAIN_ADMINISTRATOR, domains=("a.example",)), ("addresses:see", "addresses:change")
    overrides.set_override("anna@a.example", "sign", "yes")
    assert api(scopes=changing)("DELETE", "/addresses/anna@a.example").status_code == 403
    assert caller("DELETE", "/addresses/anna@a.example").status_code == 204
    overrides.set_override("anna@a.example", "sign", "yes", locked=True)
    assert caller("DELETE", "/addresses/anna@a.example").status_code == 403
    overrides.set_override("anna@a.example", "sign", "yes")
    dlp_import.put([dlp_import.Entry(starters()[0].pattern)])
    dlp_assignments.assign("anna@a.example", [starters()[0].pattern.name], [])
    assert caller("DELETE", "/addresses/anna@a.example").status_code == 403
    assert overrides.list_overrides("anna@a.example")
    assert [one.pattern for one in dlp_assignments.counting_for(anna)]
    assert api()("DELETE", "/addresses/anna@a.example").status_code == 204
    assert not dlp_assignments.counting_for(anna)


def test_domains_of_others_are_not_there_for_an_administrator_of_domains(api):
    domains.add("a.example")
    domains.add("b.example")
    caller = api(Role.DOMAIN_ADMINISTRATOR, domains=("a.example",))
    assert [one["name"] for one in caller("GET", "/domains").json()["items"]] == ["a.example"]
    assert caller("GET", "/domains/b.example").status_code == 404
    assert caller("PUT", "/domains/a.example", {}).status_code == 403


def test_routes_are_set_and_unset(api):
    caller = api()
    domains.add("in.b.example")
    answer = caller("PUT", "/routes/*.b.example", {"next_hops": ["smtp://hop.example:587?tls=verified&user=me"]})
    assert answer.status_code == 200, answer.content
    assert answer.json()["no_password_for"] == ["me@hop.example:587"]
    assert answer.json()["takes_internal"] == ["in.b.example"]
    assert caller("PUT", "/routes/c.example", {"next_hops": ["ftp://x"]}).status_code == 422
    assert [one["domain"] for one in caller("GET", "/routes").json()["items"]] == ["*.b.example"]
    seen = caller("GET", "/routes/*.b.example").headers["ETag"]
    routes.set_route("*.b.example", ["smtp://other.example:25"])
    assert caller("DELETE", "/routes/*.b.example", if_match=seen).status_code == 412
    assert caller("DELETE", "/routes/*.b.example").status_code == 204


def test_a_password_for_a_next_hop_is_stored_by_the_worker_and_told_nobody(api, worker):
    caller = api()
    name, password = "me@hop.example:587", "a secret of the tests"
    assert caller("PUT", f"/routes/passwords/{name}", {"password": password}).status_code == 204
    assert open_password(name, worker.kek) == password.encode()
    told = caller("GET", "/routes/passwords")
    assert [one["name"] for one in told.json()["items"]] == [name]
    assert password not in told.content.decode()
    assert caller("PUT", "/routes/passwords/nobody", {"password": password}).status_code == 422
    assert password not in caller("PUT", f"/routes/passwords/{name}", {"password": [password]}).content.decode()
    assert caller("DELETE", f"/routes/passwords/{name}").status_code == 204
    assert caller("DELETE", f"/routes/passwords/{name}").status_code == 404


@pytest.mark.parametrize("path", ["/routes", "/routes/a.example", "/routes/passwords", "/jobs"])
def test_what_is_nobodys_domain_is_not_for_administrators_of_domains(api, path):
    assert api(Role.DOMAIN_ADMINISTRATOR, domains=("a.example",))("GET", path).status_code == 403


def test_jobs_come_the_newest_first_and_tell_nothing_of_mails(api):
    made = [jobs.enqueue("revalidate", {"secret": "x"}) for _ in range(3)]
    caller = api()
    first = caller("GET", "/jobs?state=waiting&limit=2").json()
    rest = caller("GET", f"/jobs?limit=2&after={first['next']}").json()
    found = [one["id"] for one in first["items"] + rest["items"]]
    assert found[:3] == [str(one) for one in reversed(made)]
    assert "secret" not in str(first)
    assert caller("GET", f"/jobs/{made[0]}").json()["kind"] == "revalidate"
    assert caller("GET", "/jobs?state=lost").status_code == 422
    assert caller("GET", "/jobs?after=x").status_code == 422


def test_the_caller_is_told_what_their_token_may(api):
    caller = api(Role.AUDITOR, scopes=("log:see", "settings:change"))
    told = caller("GET", "/me").json()
    assert told["may"] == ["log:see"]
    assert told["email"] == "auditor@inside.example"


def test_a_token_with_scopes_revokes_itself_alone(api):
    other, caller = api(), api(scopes=("log:see",))
    (own,) = caller("GET", "/me/tokens").json()["items"]
    assert own["id"] == caller("GET", "/me").json()["token"]["id"]
    assert caller("DELETE", f"/me/tokens/{other('GET', '/me').json()['token']['id']}").status_code == 404
    assert other("GET", "/me").status_code == 200
    assert caller("DELETE", f"/me/tokens/{own['id']}").status_code == 204
    assert caller("GET", "/me").status_code == 401


def test_a_token_is_revoked_by_its_account_alone(api):
    mine, others = api(), api(Role.AUDITOR)
    (one,) = mine("GET", "/me/tokens").json()["items"]
    assert others("DELETE", f"/me/tokens/{one['id']}").status_code == 404
    assert mine("DELETE", f"/me/tokens/{one['id']}").status_code == 204
    assert mine("GET", "/me").status_code == 401
