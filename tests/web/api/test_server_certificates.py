"""Certificates of our own servers over the API."""

import base64
from datetime import UTC, datetime

from mailseal.keys.tls_certificate import key_pem, new_key, self_signed
from mailseal.store.accounts.roles import Role


def _file(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def test_a_servers_certificate_is_made_requested_imported_and_given_up(api, worker):
    caller = api(Role.PKI)
    assert caller("GET", "/server-certificates").json() == {"items": []}
    assert caller("POST", "/server-certificates/console/self-signed", {"names": ["a b"]}).status_code == 422
    made = caller("POST", "/server-certificates/console/self-signed", {"names": ["gw.example"]})
    assert (made.status_code, made.json()) == (200, {"purpose": "console", "asked": False})
    assert caller("POST", "/server-certificates/console/request", {"names": ["gw.example"]}).status_code == 200
    shown, asked = caller("GET", "/server-certificates").json()["items"]
    assert (shown["source"], shown["names"], shown["asked"]) == ("self-signed", ["gw.example"], False)
    assert asked["pem"].startswith("-----BEGIN CERTIFICATE REQUEST-----")

    key = new_key()
    chain = self_signed(key, ["gw.example"], datetime.now(UTC)).pem
    refused = caller("POST", "/server-certificates/console/accept", {"chain": _file(chain)})
    assert (refused.status_code, "belongs to the private key" in refused.json()["detail"]) == (422, True)
    pair = {"chain": _file(chain), "key": key_pem(key).decode()}
    assert caller("POST", "/server-certificates/mail/import", pair).status_code == 200
    text = caller("GET", "/server-certificates").content.decode()
    assert "PRIVATE KEY" not in text
    assert caller("DELETE", "/server-certificates/console/request").status_code == 204
    assert caller("DELETE", "/server-certificates/console/request").status_code == 404


def test_acme_needs_a_word_of_agreement_and_an_administrator_of_keys(api, worker):
    asked = {"names": ["gw.example"], "directory": "https://ca.example/directory", "agreed": False}
    path = "/server-certificates/console/acme"
    assert api(Role.PKI)("POST", path, asked).status_code == 422
    assert api(Role.HELP_DESK)("POST", path, asked | {"agreed": True}).status_code == 403
    assert api(Role.DOMAIN_ADMINISTRATOR, domains=("a.example",))("GET", "/server-certificates").status_code == 403
    assert api(Role.PKI)("POST", path, asked | {"agreed": True}).json() == {"purpose": "console", "asked": True}
