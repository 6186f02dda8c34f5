"""What administrators ask is answered within two clicks, and to everybody: WCAG 2.2 AA, as far as axe can tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from harness.browser import Person
from harness.client import send
from harness.console import Console, console
from harness.folder import free_port
from harness.mail import mail
from harness.waiting import wait_until

ANNA, NORA, NILS = "anna@alpha.example", "nora@out.example", "nils@secret.example"
FEW = 8
"""Of things of one kind on a page so many are opened for axe: the other ones are made by the same template."""


@pytest.fixture(scope="module")
def house(need_chromium: None) -> Iterator[Console]:
    """Two mails went in: one is delivered, one held."""
    with console("answers", f"{ANNA} --name Anna", metrics={"listen": f"127.0.0.1:{free_port()}"}) as made:
        made.gateway.type("settings set on_failure quarantine", "settings set log_subject on")
        made.gateway.wait_until_noticed()
        for to, subject in ((NORA, "Hello Nora"), (NILS, "Hello Nils")):
            assert send(made.smtp, ANNA, [to], mail(ANNA, to, subject=subject)).end[0].startswith("250")
        made.gateway.wait_for_log(2)
        yield made


@pytest.fixture
def anna(house: Console) -> Iterator[Person]:
    yield house.person(ANNA)
    house.browser.nothing_wrong()


def test_where_is_a_mail_and_why(anna: Person) -> None:
    with anna.at_home():
        anna.fill(**{"Where is a mail?": NILS})
        anna.press("Search")
        [row] = anna.page.locator("#rows tbody tr").all()
        assert "Held" in row.inner_text()
        anna.follow(row.get_by_role("link"))
    for said in ("Held", "The mode is mandatory: must be encrypted", "There is no certificate for the recipient"):
        assert said in anna.text
    anna.press("Open in the quarantine", "link")
    assert f"Mail to {NILS}" in anna.text


def test_who_changed_something(anna: Person) -> None:
    with anna.at_home():
        anna.fill(**{"Who changed something?": "log_subject"})
        anna.press("Search the audit")
        [row] = anna.page.locator("tbody tr").all()
        assert "root" in row.inner_text()
        assert "command line" in row.inner_text()
        anna.follow(row.get_by_role("link").first)
    assert anna.page.locator("ins").all_inner_texts() == ["no", "yes"]


def test_which_keys_expire(anna: Person) -> None:
    with anna.at_home():
        anna.attend_to("One key of a partner ends soon or has ended")
        [row] = anna.page.locator("tbody tr").all()
        assert "has ended" in row.inner_text()
        assert "expired@secret.example" in row.inner_text()


def test_what_happens_to_a_mail_and_by_which_setting(anna: Person) -> None:
    with anna.at_home():
        anna.fill(**{"What happens to mail to somebody?": NILS})
        anna.press("Simulate")
        anna.fill(Sender=ANNA)
        anna.press("What would happen?")
    assert "Would be held" in anna.text
    assert "The mode is mandatory: must be encrypted" in anna.text
    anna.no_barriers()
    anna.press("mode = mandatory", "link")
    assert anna.page.url.endswith("/settings/?owner=secret.example#mode")
    assert anna.page.locator("#mode select").input_value() == "mandatory"


SMUGGLED = """
<script>window.owned = true</script><img src="x" onerror="window.owned = true"><a id="a" href="javascript:owned=true">
</a><p id="styled" style="color: red"></p><iframe src="https://evil.example/"></iframe><base href="https://evil.example/">
<img src="https://evil.example/seen"><form action="https://evil.example/" id="away"></form>
"""


def test_what_somebody_smuggled_in_does_nothing(house: Console, anna: Person) -> None:
    """A mail's subject in a page without escaping, say: the policy stops it, and the stories would notice it."""
    anna.open("/")
    anna.page.evaluate("html => document.body.append(document.createRange().createContextualFragment(html))", SMUGGLED)
    anna.page.evaluate("document.getElementById('a').click(); document.getElementById('away').submit()")
    anna.page.evaluate("fetch('https://evil.example/').catch(() => undefined)")
    anna.page.evaluate("setTimeout('window.owned = true')")
    ways = ("script-src", "style-src", "img-src", "connect-src", "form-action", "base-uri", "frame-src")
    wait_until(lambda: anna.page.evaluate("1") and all(one in "".join(house.browser.wrong) for one in ways))
    assert anna.page.evaluate("window.owned") is None
    assert anna.page.evaluate("getComputedStyle(document.getElementById('styled')).color") != "rgb(255, 0, 0)"
    assert anna.path == "/"
    with pytest.raises(AssertionError, match="securitypolicyviolation"):
        house.browser.nothing_wrong()


PAGES = (
    "/", "/mails/", "/mails/?q=nobody", "/mails/{message}/", "/quarantine/", "/quarantine/{held}/", "/simulator/",
    "/settings/", "/settings/?owner=secret.example", "/domains/", "/domains/{domain}/", "/domains/{domain}/delete/",
    "/addresses/", "/addresses/{address}/", "/addresses/{address}/delete/", "/keys/", "/keys/?whose=partners&days=365",
    "/accounts/", "/accounts/new/", "/accounts/{account}/", "/accounts/{account}/link/",
    "/accounts/{account}/deactivate/", "/accounts/{account}/reset/", "/accounts/{account}/end-sessions/",
    "/accounts/providers/new/", "/audit/", "/audit/{event}/", "/audit/verify/",
    "/api/docs/", "/account/", "/account/password/", "/account/second-factor/", "/account/second-factor/app/",
    "/account/second-factor/passkeys/add/", "/account/sessions/", "/account/tokens/", "/account/tokens/new/",
    "/account/logout/", "/nothing/", "/mails/nothing/",
)  # fmt: skip
NO_PAGES = {"/audit/export/", "/api/v1/openapi.json", "/account/reauthenticate/"}
"""Files; and what is asked a while after signing in, which a story cannot wait for."""


@pytest.fixture(scope="module")
def names(house: Console) -> dict[str, str]:
    """What stands in PAGES for what is different each time."""
    [row] = house.gateway.log("--recipient", NILS)
    audit = house.caller(ANNA).get("/audit/").text
    people = house.caller(ANNA).get("/accounts/").text
    return {
        "message": row["message"],
        "held": row["quarantine"],
        "domain": "alpha.example",
        "address": ANNA,
        "event": re.findall(r'href="/audit/([0-9a-f-]{36})/"', audit)[0],
        "account": re.findall(r'href="/accounts/([0-9a-f-]{36})/"', people)[0],
    }


def shape(path: str) -> str:
    """A page by its kind: the names in its path are left out."""
    return re.sub(r"(?<=/)([0-9a-f-]{16,}|[^/]+(@|%40|\.example)[^/]*)(?=/)", "*", path)


@pytest.mark.parametrize("page", PAGES)
def test_nothing_stands_in_anybodys_way(page: str, anna: Person, names: dict[str, str]) -> None:
    anna.open(page.format(**names))
    anna.unfold(FEW)
    anna.no_barriers()


def test_nor_on_the_way_of_a_change(anna: Person) -> None:
    """What forms say back: what they cannot take, what would change, that it has."""
    anna.open("/domains/")
    anna.fill(Domain="-.example")
    anna.press("Add")
    assert anna.page.locator(".errorlist").count() == 1
    anna.no_barriers()
    anna.open("/settings/?owner=alpha.example")
    anna.page.locator("#mode select").select_option("force")
    anna.press("Review changes")
    assert anna.page.locator("ins, .added").count() >= 1
    anna.no_barriers()
    anna.press("Save")
    anna.no_barriers()
    assert anna.page.locator("#mode select").input_value() == "force"


def test_these_are_all_pages_and_no_link_is_dead(house: Console, names: dict[str, str]) -> None:
    caller = house.caller(ANNA)
    known = {shape(urlsplit(page.format(**names)).path) for page in PAGES} | NO_PAGES
    found: dict[str, str] = {}
    for page in PAGES:
        answer = caller.get(page.format(**names))
        assert answer.status == (404 if "nothing" in page else 200), page
        for link in re.findall(r'<a [^>]*href="([^"#]*)', answer.text):
            parts = urlsplit(link.replace("&amp;", "&"))
            if parts.path.startswith("/"):
                found[shape(parts.path)] = parts.path + (f"?{parts.query}" if parts.query else "")
    assert found.keys() <= known, found.keys() - known
    for link in found.values():
        assert caller.get(link).status == 200, link
