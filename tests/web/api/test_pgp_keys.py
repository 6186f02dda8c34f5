"""OpenPGP and DKIM keys over the API: made and read by the worker, and whose they are."""

import base64

import pytest

from mailseal.openpgp.certificate import PgpTrust
from mailseal.store import dkim_keys, pgp_admin
from mailseal.store.accounts.roles import Role
from mailseal.store.pgp_import import PgpImport
from mailseal.store.pgp_keep import Arrival
from mailseal.store.pgp_rows import Provenance
from pgp_keys import pgp_key


def given(octets: bytes, **more) -> dict[str, object]:
    return {"file": base64.b64encode(octets).decode(), **more}


def stored(*user_ids, keys=False, kek=None) -> str:
    identity = pgp_key(*user_ids)
    arrival = Arrival(
        identity.octets, identity.certificate, Provenance.IMPORT.value, keys=identity.keys if keys else ()
    )
    importing = PgpImport(lambda: kek)
    importing.add([arrival])
    importing.finish()
    return identity.fingerprint


def test_a_key_is_imported_trusted_and_deleted(api, worker):
    caller, anna = api(), pgp_key("Anna <anna@a.example>")
    told = caller("POST", "/pgp-keys/import", given(anna.octets)).json()
    assert (told["imported"], told["waiting"], told["keys"]) == (1, 1, 0)
    path = f"/pgp-keys/{anna.fingerprint}"
    assert caller("GET", path).json()["trust"] == "candidate"
    assert caller("POST", path + "/trust").json()["trust"] == "trusted"
    locked = caller("POST", "/pgp-keys/import", given(anna.locked("locked well"), password="locked well"))
    assert (locked.json()["known"], locked.json()["keys"]) == (1, 2)
    one = caller("GET", path)
    assert one.json()["has_key"] is True
    assert b"BEGIN PGP PUBLIC KEY BLOCK" in one.content
    assert b"PRIVATE" not in one.content
    assert caller("POST", path + "/distrust").json()["trust"] == "distrusted"
    assert caller("DELETE", path).status_code == 409
    assert caller("DELETE", path + "?with_key=true").status_code == 204
    assert caller("GET", path).status_code == 404


def test_the_worker_signs_what_changes(api, worker):
    caller = api()
    made = caller(
        "POST", "/pgp-keys/generate", {"user_ids": ["Bob <bob@a.example>"], "expires": None, "use": "a.example"}
    )
    path = f"/pgp-keys/{made.json()['fingerprint']}"
    assert {"owner": "a.example", "use": "selected"} in caller("GET", path).json()["uses"]
    assert caller("POST", path + "/user-ids", {"user_id": "Robert <robert@a.example>"}).status_code == 200
    assert caller("PUT", path + "/expiry", {"expires": "2100-01-01T00:00:00Z"}).status_code == 200
    one = caller("GET", path).json()
    assert {id_["address"] for id_ in one["identities"]} == {"bob@a.example", "robert@a.example"}
    assert one["expires"].startswith("2100-01-01")
    assert caller("POST", path + "/revoke", {"text": "why"}).status_code == 422
    assert caller("POST", path + "/revoke", {"user_id": "Robert <robert@a.example>"}).status_code == 200
    assert caller("POST", path + "/revoke", {"reason": "superseded"}).status_code == 200
    assert caller("GET", path).json()["revocation"] == "superseded"


def test_keys_of_other_domains_are_not_there(api, web):
    caller = api(Role.DOMAIN_ADMINISTRATOR, domains=("a.example",))
    mine, other = stored("X <x@a.example>"), stored("Y <y@b.example>")
    both = stored("B <b@a.example>", "B <b@b.example>")
    assert {one["fingerprint"] for one in caller("GET", "/pgp-keys").json()["items"]} == {mine, both}
    user_id, expiry = {"user_id": "X <x@a.example>"}, {"expires": None}
    for method, tail, body in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "/trust", None),
        ("POST", "/distrust", None),
        ("PUT", "/subkey", {"subkey": ""}),
        ("PUT", "/selected/x@a.example", None),
        ("DELETE", "/selected/x@a.example", None),
        ("POST", "/revoke", {"reason": "retired"}),
        ("PUT", "/expiry", expiry),
        ("POST", "/user-ids", user_id),
        ("POST", "/certify", expiry),
        ("POST", "/publish", {}),
    ):
        assert caller(method, f"/pgp-keys/{other}{tail}", body).status_code == 404, (method, tail)
        if tail not in ("", "/selected/x@a.example") or (method == "DELETE" and not tail):
            assert caller(method, f"/pgp-keys/{both}{tail}", body).status_code == 403, (method, tail)
    # Chosen for one domain it would become trusted for the other as well.
    assert caller("PUT", f"/pgp-keys/{both}/selected/a.example").status_code == 403
    assert caller("PUT", f"/pgp-keys/{mine}/selected/b.example").status_code == 403
    assert caller("PUT", f"/pgp-keys/{mine}/selected/a.example").status_code == 200
    assert pgp_admin.show(both).trust is PgpTrust.CANDIDATE
    assert caller("POST", "/pgp-keys/lookup", {"address": "x@a.example"}).status_code == 403


def test_who_looks_after_a_domain_makes_keys_for_it_alone(api, worker):
    caller = api(Role.DOMAIN_ADMINISTRATOR, domains=("a.example",))
    other = {"user_ids": ["X <x@a.example>", "Y <y@b.example>"], "expires": None}
    assert caller("POST", "/pgp-keys/generate", other).status_code == 422
    mine = {"user_ids": ["X <x@a.example>"], "expires": None}
    assert caller("POST", "/pgp-keys/generate", mine | {"use": "b.example"}).status_code == 403
    made = caller("POST", "/pgp-keys/generate", mine).json()["fingerprint"]
    added = caller("POST", f"/pgp-keys/{made}/user-ids", {"user_id": "Y <y@b.example>"})
    assert added.status_code == 422
    two = pgp_key("X <x@a.example>").octets + pgp_key("Y <y@b.example>").octets
    told = caller("POST", "/pgp-keys/import", given(two, trust=True)).json()
    assert (told["imported"], len(told["problems"])) == (1, 1)


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_dkim_key_signs_when_it_is_enabled(api, worker, kind):
    caller = api()
    made = caller("POST", "/dkim/generate", {"domain": "A.example", "selector": "s1", "kind": kind})
    assert made.json() == {"domain": "a.example", "selector": "s1"}
    one = caller("GET", "/dkim/a.example/s1").json()
    assert (one["name"], one["active"]) == ("s1._domainkey.a.example", False)
    assert "".join(one["strings"]) == one["record"]
    assert caller("POST", "/dkim/a.example/s1/enable", {"unchecked": True}).status_code == 200
    assert caller("GET", "/dkim/a.example/s1").json()["active"] is True
    assert caller("DELETE", "/dkim/a.example/s1").status_code == 409
    assert caller("POST", "/dkim/a.example/s1/disable").json()["active"] is False
    assert caller("DELETE", "/dkim/a.example/s1").status_code == 204


def test_dkim_keys_of_other_domains_are_not_there(api, worker):
    for domain in ("a.example", "b.example"):
        dkim_keys.generate(domain, "s1", dkim_keys.DkimKind.ED25519, worker.kek)
    caller = api(Role.DOMAIN_ADMINISTRATOR, domains=("a.example",))
    assert [one["domain"] for one in caller("GET", "/dkim").json()["items"]] == ["a.example"]
    assert caller("GET", "/dkim?domain=b.example").json()["items"] == []
    assert caller("POST", "/dkim/generate", {"domain": "b.example"}).status_code == 404
    for method, tail, body in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "/check", None),
        ("POST", "/enable", {"unchecked": True}),
        ("POST", "/disable", None),
    ):
        assert caller(method, f"/dkim/b.example/s1{tail}", body).status_code == 404, (method, tail)
    assert caller("POST", "/dkim/a.example/s1/enable", {"unchecked": True}).status_code == 200
