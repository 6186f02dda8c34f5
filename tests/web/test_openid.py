"""Signing in by an OpenID Connect provider, which is a web server with TLS of the test's own."""

import base64
import json
import re
import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.test import Client

from harness.web import Web
from mailseal.store.accounts import accounts, providers
from mailseal.store.accounts.providers import Provider
from mailseal.store.accounts.roles import Role
from mailseal.store.audit_models import AuditEventRow
from mailseal.web import secrets
from mailseal.web.accounts import openid
from mailseal.web.accounts.providers import PURPOSE

SECRET = "client-secret-of-the-test"


def _jwt(**claims: object) -> str:
    parts = ({"alg": "RS256", "kid": "1"}, claims)
    texts = [base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in parts]
    return ".".join((*texts, "c2ln"))


class Idp:
    """What the provider says."""

    def __init__(self, server: Web) -> None:
        self.server = server
        self.issuer = f"https://127.0.0.1:{server.port}"
        self.email, self.verified, self.subject = "anna@inside.example", True, "s-1"

    def publish(self, below: str = "") -> None:
        found = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }
        now = int(time.time())
        token = _jwt(iss=self.issuer, aud="mailseal", sub=self.subject, iat=now, exp=now + 60)
        person = {"sub": self.subject, "email": self.email, "email_verified": self.verified}
        answers = {
            f"GET {below}/.well-known/openid-configuration": found,
            f"POST {below}/token": {"access_token": "at", "token_type": "Bearer", "id_token": token},
            f"GET {below}/userinfo": person,
        }
        self.server.fields["Content-Type"] = "application/json"
        self.server.answers = {start: (200, json.dumps(body).encode()) for start, body in answers.items()}


@pytest.fixture
def idp(web, tmp_path, monkeypatch):
    with Web(tmp_path, name="127.0.0.1") as server:
        monkeypatch.setattr(settings, "MAILSEAL_OPENID_ROOTS", server.ca)
        found = Idp(server)
        found.publish()
        _save(found)
        yield found


def _save(idp: Idp, *, asks: bool = False, domains: tuple[str, ...] = ("inside.example",)) -> None:
    provider = Provider("company", "Company", idp.issuer, "mailseal", frozenset(domains), asks)
    providers.save(provider, secrets.seal(SECRET, purpose=PURPOSE))


def _go(client: Client):
    """To the provider and back; the answer of the callback."""
    page = client.post("/account/openid/company/", secure=True)
    assert page.status_code == 200
    target = re.search(r'url=(https://[^"]+)"', page.content.decode().replace("&amp;", "&"))
    assert target is not None
    asked = parse_qs(urlsplit(target[1]).query)
    assert asked["redirect_uri"] == ["https://localhost/account/openid/company/callback/"]
    assert asked["code_challenge_method"] == ["S256"]
    back = {"code": "c", "state": asked["state"][0], "_redir": ""}
    return client.get("/account/openid/company/callback/", back, secure=True)


def test_who_has_an_account_gets_in(idp):
    accounts.create("anna@inside.example", "Anna", [Role.AUDITOR])
    client = Client(SERVER_NAME="localhost")
    assert "Sign in with Company" in client.get("/account/login/", secure=True).content.decode()
    assert _go(client).headers["Location"] == "/"
    assert client.get("/", secure=True).status_code == 200
    sent = next(body for line, body in zip(idp.server.asked, idp.server.bodies, strict=True) if line == "POST /token")
    assert SECRET in sent.decode()
    idp.email = "renamed@inside.example"
    idp.publish()
    assert _go(Client(SERVER_NAME="localhost")).headers["Location"] == "/"
    assert AuditEventRow.objects.filter(action="link-provider", subject="anna@inside.example").count() == 1


@pytest.mark.parametrize(
    ("email", "verified"),
    [("anna@inside.example", False), ("nobody@inside.example", True), ("anna@other.example", True), ("", True)],
)
def test_who_has_none_or_is_not_vouched_for_does_not(idp, email, verified):
    accounts.create("anna@inside.example", "Anna", [Role.AUDITOR])
    accounts.create("anna@other.example", "Anna", [Role.AUDITOR])
    idp.email, idp.verified = email, verified
    idp.publish()
    client = Client(SERVER_NAME="localhost")
    assert "No account" in _go(client).content.decode()
    assert client.get("/", secure=True).status_code == 302
    assert len(accounts.list_accounts()) == 2


def test_a_deactivated_account_does_not_get_in(idp):
    accounts.create("b@inside.example", "", [Role.ADMINISTRATOR])
    made = accounts.create("anna@inside.example", "Anna", [Role.AUDITOR])
    client = Client(SERVER_NAME="localhost")
    _go(client)
    accounts.set_active(made.id, active=False)
    other = Client(SERVER_NAME="localhost")
    _go(other)
    assert (client.get("/", secure=True).status_code, other.get("/", secure=True).status_code) == (302, 302)


def test_an_answer_that_nobody_asked_for_lets_nobody_in(idp):
    accounts.create("anna@inside.example", "Anna", [Role.AUDITOR])
    client = Client(SERVER_NAME="localhost")
    back = {"code": "c", "state": "made-up", "_redir": ""}
    assert client.get("/account/openid/company/callback/", back, secure=True).status_code == 401
    assert client.get("/", secure=True).status_code == 302


def test_a_provider_connects_nothing_to_who_has_signed_in(idp, sign_in):
    client = sign_in(Role.ADMINISTRATOR)
    page = client.post("/account/openid/company/?process=connect", secure=True)
    state = re.search(r"state=(\w+)", page.content.decode())
    assert state is not None
    back = {"code": "c", "state": state[1], "_redir": ""}
    assert client.get("/account/openid/company/callback/", back, secure=True).status_code == 403


@pytest.mark.parametrize("asks", [True, False])
def test_a_provider_that_asks_for_a_second_factor_does_where_one_is_required(idp, monkeypatch, asks):
    monkeypatch.setattr(settings, "MAILSEAL_SECOND_FACTOR", True)
    _save(idp, asks=asks)
    accounts.create("anna@inside.example", "Anna", [Role.AUDITOR])
    client = Client(SERVER_NAME="localhost")
    _go(client)
    assert client.get("/", secure=True).status_code == (200 if asks else 302)


def test_whom_a_provider_has_named_is_asked_for_anew_when_it_is_believed_no_longer(idp):
    accounts.create("anna@inside.example", "Anna", [Role.AUDITOR])
    accounts.create("b@other.example", "", [Role.AUDITOR])
    assert _go(Client(SERVER_NAME="localhost")).headers["Location"] == "/"
    _save(idp)  # as it was: nobody is forgotten
    idp.email = ""
    idp.publish()
    assert _go(Client(SERVER_NAME="localhost")).headers["Location"] == "/"
    _save(idp, domains=("other.example",))
    assert "No account" in _go(Client(SERVER_NAME="localhost")).content.decode()
    idp.email = "b@other.example"
    idp.publish()
    assert _go(Client(SERVER_NAME="localhost")).headers["Location"] == "/"
    idp.issuer += "/realm"  # the same subject there is somebody else
    _save(idp, domains=("other.example",))
    idp.email = ""
    idp.publish("/realm")
    assert "No account" in _go(Client(SERVER_NAME="localhost")).content.decode()


def test_a_provider_that_is_away_is_a_page(idp):
    idp.server.answers = {}
    answer = Client(SERVER_NAME="localhost").post("/account/openid/company/", secure=True)
    assert answer.status_code == 502
    assert "That did not work" in answer.content.decode()


def test_a_provider_that_says_too_much_or_is_asked_by_too_many_is_the_same_page(idp, monkeypatch):
    place = next(name for name in idp.server.answers if "configuration" in name)
    idp.server.answers = {place: (200, b" " * (2 << 20))}
    assert Client(SERVER_NAME="localhost").post("/account/openid/company/", secure=True).status_code == 502
    idp.publish()
    monkeypatch.setattr(openid, "TURN_SECONDS", 0.01)
    monkeypatch.setattr(openid, "_turns", threading.BoundedSemaphore(1))
    with openid._turns:
        assert Client(SERVER_NAME="localhost").post("/account/openid/company/", secure=True).status_code == 502
    assert Client(SERVER_NAME="localhost").post("/account/openid/company/", secure=True).status_code == 200


def test_an_administrator_sets_a_provider_up_and_its_secret_is_not_shown(idp, sign_in):
    client = sign_in(Role.ADMINISTRATOR)
    fields = {"name": "Firm", "issuer": idp.issuer, "client_id": "mailseal", "domains": "inside.example"}
    assert client.post("/accounts/providers/company/", fields).status_code == 302
    assert providers.list_providers()[0].name == "Firm"
    assert SECRET not in client.get("/accounts/providers/company/").content.decode()
    assert _go(Client(SERVER_NAME="localhost")).status_code == 200
    bad = fields | {"issuer": "http://127.0.0.1/"}
    assert "https://" in client.post("/accounts/providers/company/", bad).content.decode()
    client.post("/accounts/providers/company/remove/")
    assert providers.list_providers() == ()
    assert Client(SERVER_NAME="localhost").post("/account/openid/company/", secure=True).status_code == 404
