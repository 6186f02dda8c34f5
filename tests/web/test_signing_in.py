"""Signing in as a browser without script does it: password, second factor, delays, links, sessions."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret, hotp_value, yield_hotp_counters_from_time
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client

from mailseal.keys import password_hash
from mailseal.store.accounts import accounts, links, lockout, passwords, sessions
from mailseal.store.accounts.models import Account
from mailseal.store.accounts.roles import Role
from mailseal.store.audit_models import AuditEventRow

EMAIL = "anna@inside.example"
PASSWORD = "vier gruene Wolken im Regal"
HERE = "192.0.2.1"


class Browser(Client):
    """By HTTPS, and with a token for each form."""

    def generic(self, *arguments, **more):
        return super().generic(*arguments, **{**more, "secure": True})


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch):
    """A thousandth of the cost. What is counted by network in memory begins anew."""
    cache.clear()
    monkeypatch.setattr(password_hash, "MEMORY_KIB", 64)
    monkeypatch.setattr(password_hash, "PASSES", 1)


@pytest.fixture
def anna(web) -> Account:
    made = accounts.create(EMAIL, "Anna", [Role.ADMINISTRATOR])
    passwords.set_password(made.id, PASSWORD)
    return Account.objects.get(pk=made.id)


@pytest.fixture
def browser(web) -> Callable[..., Client]:
    def new(place: str = HERE) -> Client:
        return Browser(SERVER_NAME="localhost", REMOTE_ADDR=place, enforce_csrf_checks=True)

    return new


def send(client: Client, url: str, **fields: object):
    """Fill in the form of a page and send it, with its token against forgery."""
    page = client.get(url)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode())
    assert token is not None, page
    data = {"csrfmiddlewaretoken": token[1], **fields}
    return client.post(url, data, headers={"Origin": "https://localhost"})


def sign_in(client: Client, password: str = PASSWORD, email: str = EMAIL, url: str = "/account/login/"):
    return send(client, url, login=email, password=password)


def code_for(secret: str) -> str:
    counter = next(iter(yield_hotp_counters_from_time()))
    return str(hotp_value(secret, counter)).zfill(6)


def test_a_password_lets_in_and_gives_the_session_another_key(anna, browser):
    client = browser()
    client.get("/account/login/")
    before = client.cookies.get(settings.SESSION_COOKIE_NAME)
    answer = sign_in(client, email="ANNA@Inside.example")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, True, "Strict", "")
    assert before is None or before.value != cookie.value
    assert client.get("/").status_code == 200
    assert AuditEventRow.objects.filter(action="sign-in", actor=f"account:{anna.pk}", place=HERE).count() == 1


def test_a_planted_session_key_is_not_taken_over(anna, browser):
    client = browser()
    client.cookies[settings.SESSION_COOKIE_NAME] = "a" * 32
    sign_in(client)
    assert client.cookies[settings.SESSION_COOKIE_NAME].value != "a" * 32


def test_nobody_learns_which_addresses_have_accounts(anna, browser):
    wrong = sign_in(browser(), "not this one at all").content.decode()
    unknown = sign_in(browser(), "not this one at all", "nobody@inside.example").content.decode()
    text = re.compile(r'class="notice bad".*?</div>\s*</div>', re.DOTALL)
    assert text.search(wrong) is not None
    assert text.search(wrong)[0] == text.search(unknown)[0]  # type: ignore[index]


def test_after_failures_there_is_a_delay_here_and_none_elsewhere(anna, browser):
    for _ in range(lockout.PAIR_FREE + 1):
        lockout.failed(EMAIL, HERE)
    assert "Too many failed tries" in sign_in(browser()).content.decode()
    assert sign_in(browser("198.51.100.7")).status_code == 302


def test_the_second_factor_is_asked_for_and_its_codes_are_counted(anna, browser):
    secret = generate_totp_secret()
    TOTP.activate(anna, secret)
    assert secret not in str(list(Authenticator.objects.values()))
    client = browser()
    assert sign_in(client).headers["Location"] == "/account/login/second-factor/"
    assert client.get("/").headers["Location"].startswith("/account/login/")
    for _ in range(lockout.PAIR_FREE + 1):
        assert send(client, "/account/login/second-factor/", code="000000").status_code == 200
    assert (
        "Too many failed tries" in send(client, "/account/login/second-factor/", code=code_for(secret)).content.decode()
    )
    lockout.forget([str(anna.pk)])
    lockout.succeeded(str(anna.pk), HERE)
    assert send(client, "/account/login/second-factor/", code=code_for(secret)).headers["Location"] == "/"
    assert client.get("/").status_code == 200


def test_a_code_does_not_let_in_twice_whatever_the_memory_of_a_process_has_forgotten(anna, browser):
    secret = generate_totp_secret()
    TOTP.activate(anna, secret)
    code = code_for(secret)
    for location in ("/", None):
        client = browser()
        sign_in(client)
        answer = send(client, "/account/login/second-factor/", code=code)
        assert answer.headers.get("Location") == location
        cache.clear()  # as after a restart, on another node, or when it was full


def test_who_needs_a_second_factor_sets_one_up_before_anything_else(anna, browser, monkeypatch):
    monkeypatch.setattr(settings, "MAILSEAL_SECOND_FACTOR", True)
    client = browser()
    sign_in(client)
    for path in ("/", "/account/", "/account/tokens/new/", "/accounts/"):
        assert client.get(path).headers["Location"] == "/account/second-factor/", path
    page = client.get("/account/second-factor/app/").content.decode()
    assert "<svg" in page
    assert "style=" not in page
    secret = re.search(r'id="totp-secret"[^>]*value="(\w+)"', page)
    assert secret is not None
    assert secret[1] not in str(list(Session.objects.values()))
    answer = client.post(
        "/account/second-factor/app/",
        {"csrfmiddlewaretoken": _token(page), "code": code_for(secret[1])},
        headers={"Origin": "https://localhost"},
    )
    assert answer.headers["Location"] == "/account/second-factor/recovery/"
    codes = re.findall(
        r'<li class="mono">(\d{10})</li>', client.get("/account/second-factor/recovery/").content.decode()
    )
    assert len(codes) == 10
    made = AuditEventRow.objects.get(action="add-authenticator-app")
    assert (made.subject, made.actor_name, made.way) == (EMAIL, "Anna", "console")
    assert codes[0] not in str(list(AuditEventRow.objects.values()))
    assert codes[0] not in client.get("/account/second-factor/recovery/").content.decode()
    assert client.get("/").status_code == 200
    assert "A second factor is required" in send(client, "/account/second-factor/app/remove/").content.decode()
    assert Authenticator.objects.filter(type="totp").count() == 1
    other = browser()
    sign_in(other)
    assert send(other, "/account/login/second-factor/", code=codes[0]).headers["Location"] == "/"
    again = browser()
    sign_in(again)
    assert send(again, "/account/login/second-factor/", code=codes[0]).status_code == 200


def _token(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert found is not None
    return found[1]


def test_a_link_sets_the_first_password(web, browser):
    made = accounts.create(EMAIL, "Anna", [Role.ADMINISTRATOR])
    secret, _ = links.make(made.id)
    client = browser()
    again = send(client, "/account/link/", code=secret, password=PASSWORD, again="another one of mine")
    assert "This is another password" in again.content.decode()
    weak = send(client, "/account/link/", code=secret, password="password1234", again="password1234").content.decode()
    assert "well known" in weak
    assert "password1234" not in weak
    answer = send(client, "/account/link/", code=secret, password=PASSWORD, again=PASSWORD)
    assert answer.headers["Location"] == "/account/login/"
    assert sign_in(client).status_code == 302
    used = AuditEventRow.objects.get(action="use-link")
    assert (used.way, used.place) == ("console", HERE), "who uses it has not signed in, and comes from somewhere"


def test_a_changed_password_ends_other_sessions_and_not_this_one(anna, browser):
    here, there = browser(), browser()
    sign_in(here)
    sign_in(there)
    new = "eine ganz andere Wortkette"
    answer = send(here, "/account/password/", oldpassword=PASSWORD, password1=new, password2=new)
    assert answer.status_code == 302, answer.content.decode()
    assert here.get("/").status_code == 200
    assert there.get("/").status_code == 302
    assert len(sessions.list_sessions(anna.pk, "")) == 1


def test_a_deactivated_account_is_out_at_once(anna, browser):
    accounts.create("b@inside.example", "", [Role.ADMINISTRATOR])
    client = browser()
    sign_in(client)
    accounts.set_active(anna.pk, active=False)
    assert client.get("/").status_code == 302
    assert sign_in(browser()).status_code == 200


def test_a_session_ends_by_idleness_and_by_age(anna, browser, monkeypatch):
    idle, old = browser(), browser()
    sign_in(idle)
    sign_in(old)
    with monkeypatch.context() as patch:
        patch.setattr(settings, "MAILSEAL_IDLE_SECONDS", -1)
        assert idle.get("/").status_code == 302
    monkeypatch.setattr(settings, "SESSION_COOKIE_AGE", -1)
    assert old.get("/").status_code == 302


def test_sessions_are_listed_without_their_keys_and_ended(anna, browser):
    here, there = browser(), browser("198.51.100.7")
    sign_in(here)
    sign_in(there)
    page = here.get("/account/sessions/").content.decode()
    assert "198.51.100.7" in page
    assert there.cookies[settings.SESSION_COOKIE_NAME].value not in page
    send(here, "/account/sessions/", session="others")
    assert (here.get("/").status_code, there.get("/").status_code) == (200, 302)


def test_signing_out_needs_a_post_and_ends_the_session(anna, browser):
    client = browser()
    sign_in(client)
    key = client.cookies[settings.SESSION_COOKIE_NAME].value
    assert client.get("/account/logout/").status_code == 200
    assert client.get("/").status_code == 200
    send(client, "/account/logout/")
    client.cookies[settings.SESSION_COOKIE_NAME] = key
    assert client.get("/").status_code == 302


@pytest.mark.parametrize(
    "place", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_nobody_is_sent_elsewhere_after_signing_in(anna, browser, place):
    client = browser()
    page = client.get("/account/login/", {"next": place})
    answer = client.post(
        "/account/login/",
        {"csrfmiddlewaretoken": _token(page.content.decode()), "login": EMAIL, "password": PASSWORD, "next": place},
        headers={"Origin": "https://localhost"},
    )
    assert answer.headers["Location"] == "/"


def test_forms_without_their_token_are_refused(anna, browser):
    client = browser()
    client.get("/account/login/")
    assert client.post("/account/login/", {"login": EMAIL, "password": PASSWORD}).status_code == 403


@pytest.mark.parametrize(
    "path",
    ["/account/signup/", "/account/password/reset/", "/account/email/", "/account/login/code/", "/account/3rdparty/"],
)
def test_what_allauth_could_do_besides_is_not_there(anna, browser, path):
    assert browser().get(path).status_code == 404


def test_what_a_password_protects_asks_for_it_again_after_a_while(anna, browser, monkeypatch):
    client = browser()
    sign_in(client)
    monkeypatch.setattr("mailseal.web.accounts.adapter.REAUTHENTICATION_SECONDS", -1)
    answer = send(client, "/account/tokens/new/", name="x", days="7", reach="all")
    assert answer.headers["Location"].startswith("/account/reauthenticate/")
    made = send(client, answer.headers["Location"], password=PASSWORD, next="/account/tokens/new/")
    assert made.status_code == 200, made
    assert "mailseal_" in made.content.decode()


def test_the_language_is_the_accounts_own(anna, browser):
    client = browser()
    assert client.get("/account/login/", headers={"Accept-Language": "de"}).headers["Content-Language"] == "de"
    sign_in(client)
    accounts.set_profile(anna.pk, name="Anna", language="de")
    assert client.get("/account/").headers["Content-Language"] == "de"


def test_delays_end(anna):
    assert timedelta(0) == lockout.wait(EMAIL, HERE)


def test_a_link_from_elsewhere_leads_to_the_page_for_who_has_signed_in(anna, browser):
    client = browser()
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    answer = client.get("/account/login/?next=/account/", headers=elsewhere)
    assert '<meta http-equiv="refresh" content="0;url=/account/">' in answer.content.decode()
    for query, header in (("https://evil.example/", elsewhere), ("/account/", {"Sec-Fetch-Site": "same-origin"})):
        page = client.get("/account/login/", {"next": query}, headers=header).content.decode()
        assert 'name="password"' in page
        assert 'http-equiv="refresh"' not in page
