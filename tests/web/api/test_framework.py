"""What holds for every operation of the API."""

import json
import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import uuid4

import pytest
from django.test import Client
from ninja import Router
from pydantic import create_model

from mailseal.store import audit, domains
from mailseal.store.accounts import tokens
from mailseal.store.accounts.roles import Role
from mailseal.store.acting import Way
from mailseal.store.audit import AuditFilter
from mailseal.store.trouble import StoreUnavailable
from mailseal.web.access import Area, Verb
from mailseal.web.api.application import Api
from mailseal.web.api.application import api as application
from mailseal.web.api.authentication import BearerToken
from mailseal.web.api.body import MAX_BODY_BYTES, MAX_VALUES
from mailseal.web.api.description import refs
from mailseal.web.visitor import principal_of

PROBLEM = "application/problem+json"


def test_every_operation_has_a_guard(web):
    operations = list(application.operations())
    assert operations
    assert [one.path for one in operations if not all(isinstance(a, BearerToken) for a in one.auth_callbacks)] == []
    assert [one.path for one in operations if len(one.auth_callbacks) != 1] == []


def test_every_operation_says_what_it_is(web):
    schema = application.get_openapi_schema()
    said = [one for methods in schema["paths"].values() for one in methods.values()]
    assert [one["operationId"] for one in said if not one.get("description")] == []
    assert len({one["operationId"] for one in said}) == len(said)


def test_shapes_of_one_name_do_not_take_each_other_s_place(web):
    def router_of(words):
        inner = StrEnum("Way", words)
        shown = create_model("WayShown", way=(inner, ...))
        made = Router()
        made.get("", response=shown, operation_id=words[0])(lambda request: None)
        return made

    both = Api(urls_namespace="both")
    for area, words in (("here", ["near", "by"]), ("over/there", ["far", "away"])):
        both.add_router(f"/{area}", router_of(words), tags=[area])
    shapes = both.get_openapi_schema(path_prefix="/")["components"]["schemas"]
    assert shapes["Way"]["enum"] == ["near", "by"]
    assert shapes["OverThereWay"]["enum"] == ["far", "away"]
    assert list(refs(shapes["OverThereWayShown"])) == ["OverThereWay"]


def test_every_shape_that_is_named_is_there(web):
    schema = application.get_openapi_schema()
    assert set(refs(schema)) <= schema["components"]["schemas"].keys()


def test_without_a_token_nothing_is_told(api):
    caller = api()
    for secret in ("", "nonsense", tokens.PREFIX + "nonsense", "\u00fc"):
        answer = Client(SERVER_NAME="localhost").get(
            "/api/v1/domains", secure=True, **({"HTTP_AUTHORIZATION": f"Bearer {secret}"} if secret else {})
        )
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.headers["Content-Type"] == PROBLEM
    assert caller("GET", "/domains").status_code == 200


def test_a_session_is_no_token(sign_in):
    assert sign_in().get("/api/v1/domains", secure=True).status_code == 401


def test_a_token_ends(api, monkeypatch):
    caller = api()
    later = datetime.now(UTC) + timedelta(hours=2)
    monkeypatch.setattr("mailseal.store.accounts.tokens.utc_now", lambda: later)
    assert caller("GET", "/domains").status_code == 401


def test_a_token_may_no_more_than_its_scopes_nor_than_its_account(api):
    domains.add("inside.example")
    narrow = api(scopes=("domains:see",))
    assert narrow("GET", "/domains").status_code == 200
    assert narrow("PUT", "/domains/b.example", {"internal": True}).status_code == 403
    auditor = api(Role.AUDITOR, scopes=("domains:see", "domains:change"))
    assert auditor("GET", "/domains").status_code == 200
    assert auditor("PUT", "/domains/b.example", {"internal": True}).status_code == 403


def test_who_may_not_is_told_before_anything_is_read(api):
    answer = api(Role.AUDITOR)("PUT", "/domains/b.example", b"no JSON")
    assert (answer.status_code, answer.headers["Content-Type"]) == (403, PROBLEM)


def test_what_cannot_be_read_is_a_problem(api):
    caller = api()
    for body, status in ((b"{", 400), (b'{"internal": NaN}', 400), (b"[" * 100_000, 400), (b"\xff", 400), (b"[]", 422)):
        answer = caller("PUT", "/domains/b.example", body)
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, PROBLEM), body[:20]
    answer = caller("PUT", "/domains/b.example", {"internal": "a secret"})
    assert answer.json()["errors"][0]["place"] == "body.internal"
    assert caller("PUT", "/domains/b.example", {"external": True}).json()["errors"][0]["place"] == "body.external"
    assert "secret" not in answer.content.decode()


def test_a_long_body_and_one_that_is_no_json_are_refused(api):
    caller = api()
    assert caller("PUT", "/domains/b.example", b" " * (MAX_BODY_BYTES + 1)).status_code == 413
    answer = Client(SERVER_NAME="localhost").generic(
        "PUT", "/api/v1/domains/b.example", "internal=1", "application/x-www-form-urlencoded",
        secure=True, HTTP_AUTHORIZATION=f"Bearer {caller.secret}",
    )  # fmt: skip
    assert answer.status_code == 415


def test_a_body_of_very_many_values_is_not_parsed(api):
    many = b'{"sender": "", "recipients": [' + b",".join([b"[]"] * MAX_VALUES) + b"]}"
    assert api()("POST", "/explain", many).status_code == 400
    text = b'{"sender": "", "recipients": ["x"], "mail": "' + b"A" * (4 << 20) + b'"}'
    assert api()("POST", "/explain", text).status_code == 422


def test_what_is_not_there_is_a_problem(api):
    caller = api()
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("GET", "/", 404),
        ("GET", "/domains/b.example", 404),
        ("POST", "/domains/b.example", 405),
        ("GET", "/domains/b..example", 422),
        ("GET", "/domains?limit=201", 422),
        ("GET", "/domains?after_=a", 422),
        ("PUT", "/domains/b.example?x=1", 422),
    ):
        answer = caller(method, path)
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, PROBLEM), path
        told = answer.json()
        assert told["status"] == status
        assert told["instance"].startswith("urn:uuid:")
    assert "GET" in caller("POST", "/domains/b.example").headers["Allow"]


def test_a_host_that_is_not_ours_is_a_problem(web):
    answer = Client(SERVER_NAME="evil.example").get("/api/v1/domains", secure=True)
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, PROBLEM)


def test_an_unexpected_failure_is_named_and_not_told(api, monkeypatch, caplog):
    def fail(**_):
        raise RuntimeError("a secret")

    monkeypatch.setattr("mailseal.store.domains.page", fail)
    answer = api()("GET", "/domains")
    assert answer.status_code == 500
    assert "secret" not in answer.content.decode()
    assert answer.json()["instance"] in [getattr(one, "instance", "") for one in caplog.records]


def test_a_database_that_is_away_is_a_problem(api, monkeypatch):
    def fail(**_):
        raise StoreUnavailable("the database cannot be used now")

    monkeypatch.setattr("mailseal.store.domains.page", fail)
    answer = api()("GET", "/domains")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")


def test_what_is_known_is_not_sent_again(api):
    caller = api()
    first = caller("GET", "/domains")
    again = caller("GET", "/domains", if_none_match=first.headers["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    domains.add("inside.example")
    assert caller("GET", "/domains", if_none_match=first.headers["ETag"]).status_code == 200


def test_what_somebody_has_changed_meanwhile_is_not_overwritten(api):
    caller = api()
    domains.add("inside.example")
    seen = caller("GET", "/domains/inside.example").headers["ETag"]
    changed = caller("PUT", "/domains/inside.example", {"internal": False}, if_match=seen)
    assert changed.status_code == 200
    assert changed.headers["ETag"] == caller("GET", "/domains/inside.example").headers["ETag"] != seen
    for method, body in (("PUT", {"internal": True}), ("DELETE", None)):
        answer = caller(method, "/domains/inside.example", body, if_match=seen)
        assert (answer.status_code, answer.json()["type"]) == (412, "urn:mailseal:problem:stale")
    assert not domains.find("inside.example").internal


def test_a_list_comes_in_pages(api):
    for number in range(5):
        domains.add(f"d{number}.example")
    caller, found, after = api(), [], ""
    while after is not None:
        told = caller("GET", f"/domains?limit=2&after={after}").json()
        found += [one["name"] for one in told["items"]]
        after = told["next"]
    assert found == [f"d{number}.example" for number in range(5)]


def test_the_description_is_published(web):
    answer = Client(SERVER_NAME="localhost").get("/api/v1/openapi.json", secure=True)
    assert answer.status_code == 200
    assert json.loads(answer.content)["openapi"].startswith("3.1")


def test_the_page_that_describes_it_is_for_who_has_signed_in(sign_in):
    assert Client(SERVER_NAME="localhost").get("/api/docs/", secure=True).status_code == 302
    page = sign_in(Role.AUDITOR).get("/api/docs/")
    assert page.status_code == 200
    for operation in application.operations():
        assert f'id="{application.get_openapi_operation_id(operation)}"' in page.content.decode()
    assert "settings:change" in page.content.decode()


@pytest.mark.parametrize("role", Role)
def test_what_a_role_may_not_do_it_is_told_so_before_anything_else(api, role):
    caller = api(role, domains=("a.example",))
    who, asked = principal_of(caller.account), 0
    for path, methods in application.get_openapi_schema(path_prefix="/")["paths"].items():
        for method, one in methods.items():
            (scopes,) = one["security"][0].values()
            pairs = [scope.split(":") for scope in scopes]
            if all(who.may(Area(area), Verb(verb)) for area, verb in pairs):
                continue
            answer = caller(method.upper(), re.sub(r"{[^}]*}", str(uuid4()), path), b"no JSON")
            assert (answer.status_code, answer.json()["type"]) == (403, "urn:mailseal:problem:forbidden"), path
            asked += 1
    assert asked or role is Role.ADMINISTRATOR


def test_reading_changes_nothing(web):
    """What may be read by GET is guarded by what lets somebody see."""
    reading = [one for one in application.operations() if "GET" in one.methods]
    verbs = {guard.guarded_by for one in reading for guard in one.auth_callbacks}
    assert {verb for area, verb in verbs if area is not None} <= {Verb.SEE, Verb.CONTENT}


def test_a_change_is_recorded_as_its_caller_s(api):
    caller = api()
    assert caller("PUT", "/domains/b.example", {"internal": True}).status_code == 200
    event = audit.list_events(AuditFilter(), limit=1)[0]
    assert (event.way, event.actor.key, event.place) == (Way.API, f"account:{caller.account.pk}", "127.0.0.1")
    assert (event.area, event.subject) == ("domains", "b.example")


def test_a_token_is_in_no_line_of_the_log(api, caplog, monkeypatch):
    caplog.set_level("DEBUG")
    caller = api()

    def fail(**_):
        raise RuntimeError("unexpected")

    monkeypatch.setattr("mailseal.store.domains.page", fail)
    for method, path in (("GET", "/domains"), ("GET", "/nothing"), ("PUT", "/domains/x"), ("DELETE", "/log")):
        caller(method, path, {})
    assert caplog.records
    assert caller.secret not in caplog.text
