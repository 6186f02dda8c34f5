"""Several people at one console: one approves what another one asks for; who looks after a domain sees that alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from harness.browser import Person
from harness.client import send
from harness.console import HOST, Caller, Console, console
from harness.folder import free_port
from harness.mail import CANARY, mail, without_trace
from harness.site import people
from harness.waiting import wait_until

ANNA, BELLA = "anna@alpha.example", "bella@beta.example"
OLAF, RALF, DORA = "olaf@alpha.example", "ralf@alpha.example", "dora@beta.example"
NILS, NORA = "nils@secret.example", "nora@out.example"


@dataclass
class House:
    """Of each of two senders one mail is held and one was delivered."""

    console: Console
    held: dict[str, str] = field(default_factory=dict)
    delivered: dict[str, str] = field(default_factory=dict)
    octets: dict[str, bytes] = field(default_factory=dict)


@pytest.fixture(scope="module")
def running(need_chromium: None) -> Iterator[House]:
    accounts = (
        f"{ANNA} --name Anna", f"{OLAF} --name Olaf --role dlp-officer",
        f"{RALF} --name Ralf --role quarantine-reviewer",
        f"{DORA} --name Dora --role domain-administrator --domain beta.example",
    )  # fmt: skip
    with console("people", *accounts, metrics={"listen": f"127.0.0.1:{free_port()}"}) as made:
        key = made.gateway.file("bella.pem", people().issue(BELLA, key="p256").pem)
        made.gateway.type("settings set on_failure quarantine", "domain add beta.example", f"cert import {key}")
        made.gateway.wait_until_noticed()
        house = House(made)
        for sender in (ANNA, BELLA):
            for to in (NILS, NORA):
                house.octets[sender] = octets = mail(sender, to, subject=f"From {sender}")
                assert send(made.smtp, sender, [to], octets).end[0].startswith("250")
            house.octets[sender] = octets
        made.gateway.wait_for_log(4)
        for sender in (ANNA, BELLA):
            [house.held[sender]] = [one["quarantine"] for one in made.gateway.log("--sender", sender, "--fate", "held")]
            [house.delivered[sender]] = [
                one["message"] for one in made.gateway.log("--sender", sender, "--recipient", NORA)
            ]
        yield house


@pytest.fixture
def house(running: House) -> Iterator[House]:
    yield running
    running.console.browser.nothing_wrong()


def test_released_as_it_came_once_a_second_person_approved(house: House) -> None:
    olaf, ralf = house.console.person(OLAF), house.console.person(RALF)
    to = "norbert@secret.example"
    octets = mail(ANNA, to, subject="For two people")
    assert "held" in send(house.console.smtp, ANNA, [to], octets).end[0]

    olaf.open("/")
    olaf.attend_to("mails are held")
    olaf.follow(olaf.page.locator("tbody tr").filter(has_text=to).get_by_role("link"))
    assert f"Mail to {to}" in olaf.text
    ralf.open(olaf.path)
    olaf.page.get_by_text("Ask for a release as it came", exact=True).click()
    asking = olaf.page.locator("form").filter(has=olaf.page.get_by_role("button", name="Ask a second person"))
    asking.get_by_label("Note for the record").fill("the partner has no certificate yet")
    olaf.press("Ask a second person")
    assert "Another person has to approve within 24 hours." in olaf.text
    assert olaf.page.get_by_text("Approve", exact=True).count() == 0

    # What Ralf has on his screen is from before: it does nothing, and shows what is so now.
    ralf.press("Release")
    assert "Something was done with it meanwhile. Look at it again." in ralf.text
    assert "Olaf wants it released as it came" in ralf.text
    ralf.no_barriers()
    assert not [one for one in house.console.outside.mails if to in one.recipients]

    ralf.press("Look at its content")
    if "still at it" in ralf.text:  # the page looks again by itself
        ralf.page.get_by_role("heading", name="Content").wait_for()
    assert CANARY.decode() in ralf.text
    ralf.no_barriers()
    ralf.press("Back to decide", "link")
    ralf.page.get_by_text("Approve", exact=True).click()
    ralf.press("Send it as it came")
    assert "Approved: it goes on as it came." in ralf.text

    kept = house.console.outside.wait_for(lambda kept: any(to in one.recipients for one in kept), to)
    [arrived] = [one for one in kept if to in one.recipients]
    assert without_trace(arrived.octets) == octets

    def told() -> bool:
        olaf.open(olaf.path)
        return "Released" in olaf.page.locator(".lead").inner_text()

    wait_until(told, lambda: olaf.text)
    done = olaf.page.locator("[aria-labelledby=events]").inner_text()
    assert re.findall(r"(?m)^(Olaf|Ralf)$", done) == ["Ralf", "Ralf", "Olaf"], "the newest first"
    assert "the partner has no certificate yet" in done


def test_who_has_asked_does_not_approve(house: House) -> None:
    """Anna may do both, but not alone, even if she sends the form that her page does not have."""
    anna = house.console.caller(ANNA)
    path = f"/quarantine/{house.held[ANNA]}/"
    page = anna.get(path)
    form = {"csrfmiddlewaretoken": page.token, "version": version(page.text)}
    assert anna.post(f"{path}ask/", form).status == 302
    page = anna.get(path)
    assert "Send it as it came" not in page.text
    form["version"] = version(page.text)
    refused = anna.post(f"{path}approve/", form)
    assert refused.status == 409
    assert "another person has to approve" in refused.text
    olaf = house.console.caller(OLAF)
    form = {"csrfmiddlewaretoken": olaf.get(path).token, "version": version(refused.text)}
    assert olaf.post(f"{path}approve/", form).status == 403
    assert not [one for one in house.console.outside.mails if NILS in one.recipients]


def version(page: str) -> str:
    found = re.search(r'name="version" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def pages(house: House, sender: str, domain: str) -> list[str]:
    """What there is about somebody's domain."""
    return [
        f"/mails/{house.delivered[sender]}/", f"/quarantine/{house.held[sender]}/", f"/settings/?owner={domain}",
        f"/settings/?owner={sender}", f"/domains/{domain}/", f"/addresses/{sender}/",
    ]  # fmt: skip


def operations(house: House, sender: str, domain: str, fingerprint: str) -> list[str]:
    """As `pages`, of the API."""
    return [
        f"/quarantine/{house.held[sender]}", f"/settings?owner={domain}",
        f"/settings/mode?owner={sender}", f"/domains/{domain}", f"/addresses/{sender}",
        f"/addresses/{sender}/abilities", f"/certificates/{fingerprint}",
    ]  # fmt: skip


def test_a_domain_administrator_sees_no_other_domain(house: House) -> None:
    dora = house.console.person(DORA)
    for page in pages(house, BELLA, "beta.example"):
        assert dora.open(page) == 200, page
    for page in pages(house, ANNA, "alpha.example"):
        assert dora.open(page) == 404, page
        assert "alpha.example" not in dora.text, page
    for page in ("/accounts/", "/audit/", "/audit/export/", "/checks/"):
        assert dora.open(page) in {403, 405}, page
    for page in ("/", "/mails/", f"/mails/?q={ANNA}", "/quarantine/", "/domains/", "/addresses/", "/keys/?days=3650"):
        assert dora.open(page) == 200
        assert ANNA not in dora.text.replace(f"?q={ANNA}", ""), page
        assert "secret.example" not in dora.page.content() or BELLA in dora.text, page
    dora.open("/")
    assert dora.page.locator("nav").get_by_role("link", name="Accounts").count() == 0
    assert dora.page.locator("nav").get_by_role("link", name="Audit").count() == 0


def test_what_she_sends_about_another_domain_does_nothing(house: House) -> None:
    dora = house.console.caller(DORA)
    token = dora.get("/account/").token
    held, anna = f"/quarantine/{house.held[ANNA]}", f"/addresses/{ANNA}"
    before = house.console.caller(ANNA).get(f"{held}/").text
    for path in (
        f"{held}/release/", f"{held}/ask/", f"{held}/delete/", f"{held}/extend/", f"{held}/content/",
        "/settings/?owner=alpha.example", "/domains/alpha.example/delete/", "/domains/alpha.example/change/",
        f"{anna}/delete/",
    ):  # fmt: skip
        form = {
            "csrfmiddlewaretoken": token,
            "version": version(before),
            "days": "1",
            "internal": "no",
            "owner": "alpha.example",
        }
        assert dora.post(path, form).status in {403, 404}, path
    refused = dora.post("/simulator/", {"csrfmiddlewaretoken": token, "sender": ANNA, "recipients": NORA})
    assert "Would be" not in refused.text
    assert re.sub(r'value="\w+"', "", house.console.caller(ANNA).get(f"{held}/").text) == re.sub(
        r'value="\w+"', "", before
    )


def test_nor_by_a_token(house: House) -> None:
    dora, anna = token_of(house.console.person(DORA)), token_of(house.console.person(ANNA))
    caller = house.console.caller()

    def ask(path: str, token: str) -> int:
        return caller.get(f"/api/v1{path}", Authorization=f"Bearer {token}").status

    hers, others = fingerprint(caller, anna, BELLA), fingerprint(caller, anna, ANNA)
    for path in operations(house, BELLA, "beta.example", hers):
        assert ask(path, dora) == 200, path
    for path in operations(house, ANNA, "alpha.example", others):
        assert ask(path, anna) == 200, path
        assert ask(path, dora) == 404, path
    for path in ("/log", "/quarantine", "/domains", "/addresses", "/certificates", "/settings/overrides"):
        answer = caller.get(f"/api/v1{path}", Authorization=f"Bearer {dora}")
        assert "alpha.example" not in answer.text.replace(HOST, ""), path
        assert "secret.example" not in answer.text or BELLA in answer.text, path
    for sender, there in ((ANNA, False), (BELLA, True)):
        for wanted in (f"message={house.delivered[sender]}", f"sender={sender}", f"party={sender}"):
            found = caller.get(f"/api/v1/log?{wanted}", Authorization=f"Bearer {dora}").json()
            assert bool(found["items"]) == there, wanted
    assert ask("/accounts", dora) == 403
    assert caller.get("/api/v1/domains").status == 401
    signed_in = house.console.caller(ANNA)
    assert signed_in.get("/api/v1/domains").status == 401, "a session counts for nothing there"


def token_of(person: Person) -> str:
    """Made in the console; it may do what they may."""
    person.open("/account/tokens/new/")
    person.fill(What_for="a story")
    person.page.get_by_label("All that I may").check()
    person.press("Make")
    return person.page.get_by_label("a story").input_value()


def fingerprint(caller: Caller, token: str, address: str) -> str:
    """Of the certificate of an address."""
    found = caller.get(f"/api/v1/certificates?address={address}", Authorization=f"Bearer {token}").json()
    [one] = found["items"]
    return one["fingerprint"]
