"""A new gateway: from the link that `mailseal admin` prints to the first mail that went through and was found again."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from harness.browser import Browser, Person
from harness.client import send
from harness.console import HOST, PASSWORD, wait_for_certificate
from harness.folder import free_port, short_folder
from harness.gateway import Gateway
from harness.mail import mail
from harness.sink import Sink

ANNA, NORA = "anna@alpha.example", "nora@out.example"
AGAIN = "noch eine andere Kette von Worten"


@dataclass
class New:
    """A gateway on which nothing was done but `mailseal init`."""

    gateway: Gateway
    smtp: int
    outside: Sink
    browser: Browser


@pytest.fixture(scope="module")
def new(need_chromium: None) -> Iterator[New]:
    smtp, web = free_port(), free_port()
    with short_folder("first") as folder, Sink() as inside, Sink() as outside:
        tables = {
            "top": {"hostname": HOST, "workers": 1},
            "listen": {"smtp": f"127.0.0.1:{smtp}", "smtp_authorised_networks": ["127.0.0.1/32"]},
            "relay": {"inside": f"smtp://127.0.0.1:{inside.port}", "outside": f"smtp://127.0.0.1:{outside.port}"},
            "web": {"listen": f"127.0.0.1:{web}"},
            "metrics": {"listen": f"127.0.0.1:{free_port()}"},
        }
        with Gateway(folder / "node", **tables) as gateway, Browser(HOST, web) as browser:
            gateway.init()
            gateway.start()
            wait_for_certificate(gateway)
            yield New(gateway, smtp, outside, browser)


def use_link(person: Person, link: str, password: str) -> None:
    """Open it, and set a password by it."""
    person.open(link)
    assert person.page.url.endswith("/account/link/"), "the secret is still in the address bar"
    person.fill(New_password=password, New_password_once_more=password)
    person.press("Set the password")


def test_from_the_link_to_the_first_mail(new: New) -> None:
    made = json.loads(new.gateway.cli("admin", "create", ANNA, "--name", "Anna", "--json"))
    anna = new.browser.person()
    assert anna.open("/") == 200
    assert anna.path == "/account/login/"

    use_link(anna, made["link"], PASSWORD)
    anna.fill(Email=ANNA, Password=PASSWORD)
    anna.press("Sign in")
    assert anna.path == "/"
    assert "No domain is internal" in anna.text

    anna.attend_to("No domain is internal")
    anna.fill(Domain="Alpha.example")
    anna.press("Add")
    assert anna.path == "/domains/alpha.example/"
    assert "alpha.example was added." in anna.text

    anna.press("Simulator", "link")
    anna.fill(Sender=ANNA, Recipients=NORA)
    anna.press("What would happen?")
    assert "Would be sent on to the outside" in anna.text

    new.gateway.wait_until_noticed()
    assert send(new.smtp, ANNA, [NORA], mail(ANNA, NORA)).end[0].startswith("250")
    new.outside.wait_for(lambda kept: any(one.recipients == (NORA,) for one in kept), NORA)

    new.gateway.wait_for_log(1, "--recipient", NORA)
    with anna.at_home():
        assert "No domain is internal" not in anna.text
        anna.fill(**{"Where is a mail?": NORA})
        anna.press("Search")
        anna.follow(anna.page.locator("#rows tbody a"))
    assert f"{ANNA} → {NORA}" in anna.text
    assert "Delivered" in anna.text
    assert "250 2.0.0 kept" in anna.text
    new.browser.nothing_wrong()


def test_a_link_is_good_once_and_a_new_one_ends_what_was(new: New) -> None:
    made = json.loads(new.gateway.cli("admin", "create", "bert@alpha.example", "--role", "auditor", "--json"))
    bert = new.browser.person()
    use_link(bert, made["link"], PASSWORD)
    bert.fill(Email="bert@alpha.example", Password=PASSWORD)
    bert.press("Sign in")
    assert bert.path == "/"

    stranger = new.browser.person()
    use_link(stranger, made["link"], AGAIN)
    assert stranger.path == "/account/link/"
    assert "The link is not valid" in stranger.text
    assert bert.open("/") == 200
    assert bert.path == "/", "nobody's session ended"

    reset = json.loads(new.gateway.cli("admin", "reset", "bert@alpha.example", "--yes", "--json"))
    bert.open("/")
    assert bert.path == "/account/login/"
    use_link(bert, reset["link"], AGAIN)
    assert bert.path == "/account/login/"
    new.browser.nothing_wrong()


def test_nothing_secret_was_logged(new: New) -> None:
    said = new.gateway.said()
    assert "mslink_" not in said
    assert PASSWORD not in said
    assert AGAIN not in said
    assert "/account/" not in said
