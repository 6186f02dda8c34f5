"""Passkeys, by an authenticator made of software: alone, as second factor, and what is no passkey of ours."""

import json
import re
import secrets
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from fido2.cose import ES256
from fido2.utils import sha256, websafe_decode, websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

from mailseal.keys import password_hash
from mailseal.store.accounts import accounts, factors, passwords
from mailseal.store.accounts.models import Account
from mailseal.store.accounts.roles import Role
from mailseal.store.audit_models import AuditEventRow
from mailseal.store.row import utc_now

ORIGIN = "https://localhost"
PASSWORD = "vier gruene Wolken im Regal"
FLAG = AuthenticatorData.FLAG


@dataclass
class Authenticator:
    """With a key for one account. `origin`: of the page that it believes to be asked by."""

    origin: str = ORIGIN
    verifies: bool = True
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    user: str = ""

    def create(self, options: dict) -> str:
        self.user = options["user"]["id"]
        public = AttestedCredentialData.create(bytes(16), self.id, ES256.from_cryptography_key(self.key.public_key()))
        data = AuthenticatorData.create(sha256(b"localhost"), self._flags() | FLAG.AT, 0, public)
        client = self._client("webauthn.create", options)
        response = {
            "clientDataJSON": websafe_encode(client),
            "attestationObject": websafe_encode(AttestationObject.create("none", data, {})),
        }
        return self._credential(response, {"credProps": {"rk": True}})

    def get(self, options: dict) -> str:
        data = AuthenticatorData.create(sha256(b"localhost"), self._flags(), 1)
        client = self._client("webauthn.get", options)
        signature = self.key.sign(data + client.hash, ec.ECDSA(SHA256()))
        response = {
            "clientDataJSON": websafe_encode(client),
            "authenticatorData": websafe_encode(data),
            "signature": websafe_encode(signature),
            "userHandle": self.user,
        }
        return self._credential(response, {})

    def _client(self, kind: str, options: dict) -> CollectedClientData:
        return CollectedClientData.create(kind, websafe_decode(options["challenge"]), self.origin)

    def _flags(self) -> int:
        return FLAG.UP | (FLAG.UV if self.verifies else 0)

    def _credential(self, response: dict, results: dict) -> str:
        own = {"id": websafe_encode(self.id), "rawId": websafe_encode(self.id), "type": "public-key"}
        return json.dumps({**own, "response": response, "clientExtensionResults": results})


@pytest.fixture
def anna(web, monkeypatch) -> Account:
    cache.clear()  # requests of one network
    monkeypatch.setattr(password_hash, "MEMORY_KIB", 64)
    monkeypatch.setattr(password_hash, "PASSES", 1)
    made = accounts.create("anna@inside.example", "Anna", [Role.ADMINISTRATOR])
    passwords.set_password(made.id, PASSWORD)
    return Account.objects.get(pk=made.id)


def _password(client: Client):
    fields = {"login": "anna@inside.example", "password": PASSWORD}
    return client.post("/account/login/", fields, secure=True)


def _options(page: str) -> dict:
    found = re.search(r'<script id="passkey-options" type="application/json">(.*?)</script>', page)
    assert found is not None
    return json.loads(found[1])


def _add(client: Client, device: Authenticator, **fields: str):
    url = "/account/second-factor/passkeys/add/"
    options = _options(client.get(url, secure=True).content.decode())["creation_options"]["publicKey"]
    assert options["rp"]["id"] == "localhost"
    return client.post(url, {"name": "mine", "credential": device.create(options), **fields}, secure=True)


def _alone(client: Client, device: Authenticator):
    url = "/account/login/passkey/"
    options = client.get(url, secure=True, headers={"Accept": "application/json"}).json()["request_options"]
    assert options["publicKey"]["userVerification"] == "required"
    return client.post(url, {"credential": device.get(options["publicKey"])}, secure=True)


@pytest.fixture
def browser() -> Client:
    return Client(SERVER_NAME="localhost")


@pytest.fixture
def device(anna) -> Authenticator:
    owner, made = Client(SERVER_NAME="localhost"), Authenticator()
    _password(owner)
    assert _add(owner, made, passwordless="on").headers["Location"] == "/account/second-factor/recovery/"
    return made


def test_a_passkey_lets_in_alone(device, browser, monkeypatch):
    monkeypatch.setattr(settings, "MAILSEAL_SECOND_FACTOR", True)
    assert _alone(browser, device).headers["Location"] == "/"
    assert browser.get("/", secure=True).status_code == 200


def test_a_passkey_is_a_second_factor(device, browser):
    assert _password(browser).headers["Location"] == "/account/login/second-factor/"
    page = browser.get("/account/login/second-factor/", secure=True).content.decode()
    credential = device.get(_options(page)["request_options"]["publicKey"])
    answer = browser.post("/account/login/second-factor/", {"credential": credential}, secure=True)
    assert answer.headers["Location"] == "/"


def test_strangers_leave_so_much_behind_and_no_more(web):
    cache.clear()
    answers = []
    for _ in range(32):
        client = Client(SERVER_NAME="localhost")
        answers.append(client.get("/account/login/passkey/", secure=True, headers={"Accept": "application/json"}))
    assert [one.status_code for one in answers[-2:]] == [429, 429]
    assert Session.objects.count() == 30
    assert Session.objects.filter(expire_date__gt=utc_now() + timedelta(minutes=16)).count() == 0


def test_what_another_site_had_signed_lets_nobody_in(device, browser):
    device.origin = "https://localhost.evil.example"
    assert _alone(browser, device).headers["Location"] == "/account/login/"
    assert browser.get("/", secure=True).status_code == 302


def test_alone_it_has_to_know_who_holds_it(device, browser):
    device.verifies = False
    assert _alone(browser, device).headers["Location"] == "/account/login/"
    assert browser.get("/", secure=True).status_code == 302


def test_another_key_lets_nobody_in(device, browser):
    device.key = ec.generate_private_key(ec.SECP256R1())
    assert _alone(browser, device).headers["Location"] == "/account/login/"


def test_an_answer_counts_once(device, browser):
    url = "/account/login/passkey/"
    options = browser.get(url, secure=True, headers={"Accept": "application/json"}).json()["request_options"]
    credential = device.get(options["publicKey"])
    assert browser.post(url, {"credential": credential}, secure=True).headers["Location"] == "/"
    other = Client(SERVER_NAME="localhost")
    other.get(url, secure=True, headers={"Accept": "application/json"})
    assert other.post(url, {"credential": credential}, secure=True).headers["Location"] == "/account/login/"


def test_a_deactivated_account_has_no_use_of_it(device, browser, anna):
    accounts.create("b@inside.example", "", [Role.ADMINISTRATOR])
    accounts.set_active(anna.pk, active=False)
    _alone(browser, device)
    assert browser.get("/", secure=True).status_code == 302


FIELDS = ("clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle")
NONSENSE = (
    "", "null", "{}", "[]", "7", '"x"', "x", '{"response": {"userHandle": 7}}', '{"response": "x"}',
    *(
        json.dumps({**dict.fromkeys(("id", "rawId"), "AA"), "response": response, "clientExtensionResults": more})
        for response, more in (
            (dict.fromkeys(FIELDS, "AA"), {}),
            (dict.fromkeys(FIELDS, "e30") | {"attestationObject": "oA", "userHandle": "____"}, 7),
            (dict.fromkeys(FIELDS, ""), {}),
        )
    ),
)  # fmt: skip


def test_nonsense_is_refused(device):
    url, second = "/account/login/passkey/", "/account/login/second-factor/"
    for credential in NONSENSE:
        cache.clear()
        client = Client(SERVER_NAME="localhost")
        client.get(url, secure=True, headers={"Accept": "application/json"})
        answer = client.post(url, {"credential": credential}, secure=True)
        assert answer.headers["Location"] == "/account/login/", credential
        _password(client)
        client.get(second, secure=True)
        assert client.post(second, {"credential": credential}, secure=True).status_code == 200, credential
        assert client.get("/", secure=True).status_code == 302


def test_nonsense_is_not_added(anna, browser):
    url = "/account/second-factor/passkeys/add/"
    _password(browser)
    for credential in NONSENSE:
        browser.get(url, secure=True)
        fields = {"name": "x", "credential": credential}
        assert browser.post(url, fields, secure=True).status_code == 200, credential
    assert not factors.has_any(anna.pk)


def test_a_removed_passkey_lets_nobody_in(device, browser):
    owner = Client(SERVER_NAME="localhost")
    _alone(owner, device)
    page = owner.get("/account/second-factor/passkeys/", secure=True).content.decode()
    remove = re.search(r'href="(/account/second-factor/passkeys/\d+/remove/)"', page)
    assert remove is not None
    assert owner.post(remove[1], secure=True).status_code == 302
    assert _alone(browser, device).headers["Location"] == "/account/login/"
    assert {"add-passkey", "remove-passkey"} <= set(AuditEventRow.objects.values_list("action", flat=True))


def test_the_last_one_stays_where_a_second_factor_is_required(device, anna, monkeypatch):
    monkeypatch.setattr(settings, "MAILSEAL_SECOND_FACTOR", True)
    owner = Client(SERVER_NAME="localhost")
    _alone(owner, device)
    page = owner.get("/account/second-factor/passkeys/", secure=True).content.decode()
    remove = re.search(r'href="(/account/second-factor/passkeys/\d+/remove/)"', page)
    assert remove is not None
    assert "A second factor is required" in owner.post(remove[1], secure=True).content.decode()
    assert _add(owner, Authenticator(), passwordless="on").status_code == 302
    assert owner.post(remove[1], secure=True).status_code == 302
    assert factors.count(anna.pk) == 1


def test_nobody_touches_the_passkeys_of_others(device, sign_in):
    client = sign_in(Role.ADMINISTRATOR, email="other@inside.example")
    for step in ("", "remove/"):
        assert client.get(f"/account/second-factor/passkeys/1/{step}", secure=True).status_code == 404
