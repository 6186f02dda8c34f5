"""Accounts over the API: for administrators, and read by auditors; one administrator is always left."""

from uuid import uuid4

import pytest

from mailseal.store.accounts import accounts, links
from mailseal.store.accounts.roles import Role


def test_an_account_is_made_changed_and_deactivated(api):
    call = api(Role.ADMINISTRATOR)
    made = call("POST", "/accounts", {"email": "Carl@inside.example", "name": "Carl", "roles": ["pki"]})
    assert made.status_code == 201
    url = f"/accounts/{made.json()['id']}"
    seen = call("GET", url)
    assert seen.json()["email"] == "carl@inside.example"
    change = {"name": "Carl C", "roles": ["auditor"], "domains": []}
    assert call("PUT", url, change, if_match=seen.headers["ETag"]).json()["roles"] == ["auditor"]
    assert call("PUT", url, change, if_match=seen.headers["ETag"]).status_code == 412
    made_link = call("POST", f"{url}/link")
    assert made_link.status_code == 201
    assert links.email_of(made_link.json()["link"].partition("#")[2]) == "carl@inside.example"
    assert call("POST", f"{url}/deactivate").json()["active"] is False
    assert call("POST", f"{url}/link").status_code == 422
    assert call("POST", f"{url}/activate").json()["active"] is True
    assert call("POST", f"{url}/reset").json()["has_password"] is False
    assert call("POST", f"{url}/end-sessions").status_code == 204
    assert [one["email"] for one in call("GET", "/accounts?search=carl").json()["items"]] == ["carl@inside.example"]
    assert call("POST", "/accounts", {"email": "carl@inside.example", "roles": []}).status_code == 422
    assert call("GET", f"/accounts/{uuid4()}").status_code == 404


def test_the_last_administrator_stays(api):
    call = api(Role.ADMINISTRATOR)
    (own,) = [one for one in accounts.list_accounts() if Role.ADMINISTRATOR in one.roles]
    answer = call("POST", f"/accounts/{own.id}/deactivate")
    assert answer.status_code == 422
    assert "last administrator" in answer.json()["detail"]


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATOR])
def test_only_who_may_does(api, role):
    call = api(role, domains=("inside.example",))
    other = accounts.create("other@inside.example", "", [Role.PKI])
    sees = 200 if role is Role.AUDITOR else 403
    assert {call("GET", f"/accounts{rest}").status_code for rest in ("", "/roles", f"/{other.id}")} == {sees}
    assert call("POST", "/accounts", {"email": "x@inside.example", "roles": ["administrator"]}).status_code == 403
    assert call("PUT", f"/accounts/{other.id}", {"roles": ["administrator"]}).status_code == 403
    for step in ("activate", "deactivate", "reset", "end-sessions", "link"):
        assert call("POST", f"/accounts/{other.id}/{step}").status_code == 403
