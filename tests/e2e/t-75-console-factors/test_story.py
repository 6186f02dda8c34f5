"""A console that asks for second factors: codes, passkeys of Chromium's virtual authenticator, sessions that end."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from harness.browser import Browser
from harness.console import PASSWORD, Console, console

CARLA, PAUL, STEFAN = "carla@alpha.example", "paul@alpha.example", "stefan@alpha.example"
PASSKEYS = "/account/second-factor/passkeys/"
STEP_SECONDS = 30


@pytest.fixture(scope="module")
def strict(need_chromium: None) -> Iterator[Console]:
    people = (f"{CARLA} --role administrator", f"{PAUL} --role auditor", f"{STEFAN} --role auditor")
    with console("factors", *people, web={"second_factor": True}) as made:
        yield made


@pytest.fixture
def browser(strict: Console) -> Iterator[Browser]:
    yield strict.browser
    strict.browser.nothing_wrong()


def code(secret: str, *, later: int = 0) -> str:
    """What an app shows (RFC 6238), now or some steps later."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    totp = TOTP(key, 6, SHA1(), STEP_SECONDS, enforce_key_length=False)
    return totp.generate(int(time.time()) + later * STEP_SECONDS).decode()


def test_an_app_for_codes(browser: Browser) -> None:
    carla = browser.person()
    carla.open("/account/login/")
    carla.no_barriers()
    carla.sign_in(CARLA, PASSWORD)
    assert carla.path == "/account/second-factor/", "who has none sees nothing else"
    carla.open("/domains/")
    assert carla.path == "/account/second-factor/"
    carla.no_barriers()

    carla.press("Set up an app", "link")
    secret = carla.page.get_by_label("Secret").input_value()
    carla.page.get_by_role("textbox", name="Code").fill(code(secret))
    carla.no_barriers()
    carla.press("Set up")
    codes = carla.page.locator("ol li").all_inner_texts()
    assert len(set(codes)) == 10
    carla.no_barriers()
    carla.press("I have them", "link")
    assert carla.path == "/"

    carla.press("Sign out")
    carla.sign_in(CARLA, PASSWORD)
    assert carla.path == "/account/login/second-factor/"
    carla.no_barriers()
    carla.open("/")
    assert carla.path == "/account/login/second-factor/", "half of it lets nobody in"
    for wrong in ("000000", code(secret, later=-20)):
        carla.page.get_by_role("textbox", name="Code").fill(wrong)
        carla.press("Sign in")
        assert carla.path == "/account/login/second-factor/"
    # The one that set it up was used, so the next one, which is accepted already.
    carla.page.get_by_role("textbox", name="Code").fill(code(secret, later=1))
    carla.press("Sign in")
    assert carla.path == "/"

    other = browser.person()
    other.sign_in(CARLA, PASSWORD)
    other.page.get_by_role("textbox", name="Code").fill(codes[3])
    other.press("Sign in")
    assert other.path == "/"
    assert other.open("/account/second-factor/recovery/") == 200
    assert "9 codes are left" in other.text
    assert codes[3] not in other.text


def test_a_passkey_instead_of_a_password(browser: Browser) -> None:
    paul = browser.person()
    device = paul.authenticator()
    paul.sign_in(PAUL, PASSWORD)
    paul.press("Add a passkey", "link")
    paul.no_barriers()
    paul.fill(Name="laptop")
    paul.press("Add")
    assert paul.path == "/account/second-factor/recovery/"
    [kept] = device.credentials()
    assert (kept["rpId"], kept["isResidentCredential"]) == ("gate.alpha.example", True)

    paul.press("Sign out")
    paul.press("Sign in with a passkey")
    assert paul.path == "/", "no password, no address, no code"
    assert len(device.credentials()) == 1
    paul.open("/account/second-factor/passkeys/")
    assert "laptop" in paul.text
    assert "signs in alone" in paul.text
    paul.no_barriers()

    paul.press("Sign out")
    paul.sign_in(PAUL, PASSWORD)
    assert paul.path == "/account/login/second-factor/"
    paul.press("Use a passkey")
    assert paul.path == "/"

    paul.press("Sign out")
    device.knows_its_user(verified=False)
    paul.page.get_by_role("button", name="Sign in with a passkey").click()
    paul.page.get_by_text("No passkey was used. Try again.").wait_for()
    assert paul.path == "/account/login/"


def test_a_passkey_that_is_the_second_factor_alone(browser: Browser) -> None:
    stefan = browser.person()
    device = stefan.authenticator()
    stefan.sign_in(STEFAN, PASSWORD)
    stefan.press("Add a passkey", "link")
    stefan.page.get_by_label("Sign in with this passkey alone").uncheck()
    stefan.press("Add")
    [kept] = device.credentials()
    assert not kept["isResidentCredential"]
    stefan.press("Sign out")
    stefan.sign_in(STEFAN, PASSWORD)
    stefan.press("Use a passkey")
    assert stefan.path == "/"
    stefan.open(PASSKEYS)
    assert "second factor" in stefan.text
    stefan.press("Remove", "link")
    stefan.press("Remove")
    assert "A second factor is required" in stefan.text, "the last one stays"
    assert stefan.open("/") == 200
    assert stefan.path == "/"

    there = browser.person()
    there.authenticator()
    there.sign_in(STEFAN, PASSWORD)
    assert there.path == "/account/login/second-factor/"
    there.page.get_by_role("button", name="Use a passkey").click()
    there.page.get_by_text("No passkey was used. Try again.").wait_for()
    there.open("/")
    assert there.path == "/account/login/second-factor/"


def test_sessions_are_seen_and_ended(strict: Console, browser: Browser) -> None:
    made = strict.gateway.cli("admin", "create", "sina@alpha.example", "--role", "auditor", "--json")
    link = json.loads(made)["link"]
    here, there = browser.person(), browser.person(user_agent="Mozilla/5.0 (a phone that was lost)")
    here.open(link)
    here.fill(New_password=PASSWORD, New_password_once_more=PASSWORD)
    here.press("Set the password")
    here.sign_in("sina@alpha.example", PASSWORD)
    here.press("Set up an app", "link")
    secret = here.page.get_by_label("Secret").input_value()
    here.page.get_by_role("textbox", name="Code").fill(code(secret))
    here.press("Set up")
    there.sign_in("sina@alpha.example", PASSWORD)
    there.page.get_by_role("textbox", name="Code").fill(code(secret, later=1))
    there.press("Sign in")
    assert there.path == "/"

    here.open("/account/sessions/")
    rows = here.page.locator("tbody tr")
    assert rows.count() == 2
    assert rows.filter(has_text="This one").get_by_role("button").count() == 0
    [theirs] = [one["value"] for name, one in there.cookies().items() if name == "__Host-mailseal-console"]
    assert theirs not in here.page.content()
    lost = rows.filter(has_text="a phone that was lost")
    assert "127.0.0.1" in lost.inner_text()
    here.press("End", within=lost)
    assert rows.count() == 1
    there.open("/")
    assert there.path == "/account/login/"
    here.open("/")
    assert here.path == "/"
