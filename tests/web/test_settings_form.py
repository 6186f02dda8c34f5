"""Settings in one form: inherited or set, shown before saved, by whom, and what two people do at once."""

import re

import pytest

from mailseal.policy.settings import SETTINGS
from mailseal.store import audit, overrides
from mailseal.store.accounts.roles import Role
from mailseal.web.console.setting_groups import LABELS

URL = "/settings/"


def inputs(page) -> dict[str, str]:
    """What a browser would send of a page without touching anything: hidden and text inputs, and what is chosen."""
    html = page.content.decode()
    form = html[html.index('<form method="post" action="/settings/"') :]
    found = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
    found |= dict(re.findall(r'<input name="(v-[^"]+)" [^>]*value="([^"]*)"', form))
    found |= dict(re.findall(r'<textarea name="(v-[^"]+)"[^>]*>([^<]*)</textarea>', form))
    found |= dict(re.findall(r'<input type="checkbox" id="[^"]+" name="([^"]+)" value="([^"]*)" checked', form))
    for name, options in re.findall(r'<select name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        found[name] = re.findall(r'<option value="([^"]*)" selected', options)[0]
    found.pop("csrfmiddlewaretoken", None)
    return found


def review(browser, owner="", **changed):
    given = inputs(browser.get(URL, {"owner": owner})) | {f"v-{name}": text for name, text in changed.items()}
    return browser.post(URL, given)


def save(browser, page, **more):
    return browser.post(URL, inputs(page) | {"save": "1"} | more)


def test_every_setting_stands_in_one_group():
    assert list(LABELS) == sorted(LABELS, key=list(LABELS).index)
    assert set(LABELS) == {one.name for one in SETTINGS}


def test_the_form_has_every_setting_with_where_it_comes_from(sign_in):
    overrides.set_override("", "mode", "mandatory", locked=True)
    overrides.set_override("inside.example", "smime_max_bytes", "20M")
    text = sign_in().get(URL, {"owner": "anna@inside.example"}).content.decode()
    assert all(f'id="{one.name}"' in text for one in SETTINGS)
    assert "from: everybody" in text
    assert "from: inside.example" in text
    assert "Locked above" in text
    assert 'placeholder="20M"' in text


def test_nothing_touched_changes_nothing(sign_in):
    overrides.set_override("", "mode", "mandatory", locked=True)
    overrides.set_override("", "dlp_managers", "a@inside.example, b@inside.example")
    browser = sign_in()
    before = overrides.list_overrides()
    answer = review(browser)
    assert answer.status_code == 302
    assert "Nothing was changed" in browser.get(answer.headers["Location"]).content.decode()
    assert overrides.list_overrides() == before


def test_a_change_is_shown_before_it_is_saved(sign_in):
    overrides.set_override("", "mode", "mandatory")
    overrides.set_override("b@inside.example", "mode", "never")
    browser = sign_in()
    page = review(browser, mode="allow", pgp_max_bytes="10M")
    text = page.content.decode()
    assert page.status_code == 200
    assert "<del>mandatory</del>" in text
    assert "<ins>allow</ins>" in text
    assert "<del>50M</del>" in text
    assert "Protects less" in text
    assert "b@inside.example" in text
    assert overrides.shown()["mode"][0] == "mandatory", "nothing is saved yet"
    answer = save(browser, page)
    assert answer.status_code == 302
    assert {one.name: str(one.value) for one in overrides.list_overrides("")} == {
        "mode": "allow",
        "pgp_max_bytes": str(10 * 1024 * 1024),
    }
    recorded = audit.list_events(limit=10)
    assert {one.actor.name for one in recorded[:2]} == {"administrator@inside.example"}
    assert {one.subject for one in recorded[:2]} == {"mode", "pgp_max_bytes"}


def test_back_to_inheriting_and_locking(sign_in):
    overrides.set_override("inside.example", "mode", "force")
    overrides.set_override("inside.example", "encrypt_subject_trigger", "geheim")
    browser = sign_in()
    given = inputs(browser.get(URL, {"owner": "inside.example"}))
    del given["own-encrypt_subject_trigger"]
    given |= {"v-mode": "mandatory", "lock-mode": "1"}
    page = browser.post(URL, given)
    assert "locked for all levels below" in page.content.decode()
    save(browser, page)
    (left,) = overrides.list_overrides("inside.example")
    assert (left.name, left.value, left.locked) == ("mode", "mandatory", True)


def test_an_empty_text_can_be_set(sign_in):
    browser = sign_in()
    given = inputs(browser.get(URL, {"owner": ""})) | {"own-encrypt_subject_trigger": "1"}
    save(browser, browser.post(URL, given))
    assert overrides.shown()["encrypt_subject_trigger"][0] == ""


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("smime_max_bytes", "many", "is not a number"),
        ("encrypt_header_trigger", "X Y: z", "is not the name of a header field"),
        ("additional_certificates", "abc", "is not a SHA-256 fingerprint"),
        ("subject_trigger_is_pattern", "yes", "as a pattern"),
    ],
)
def test_what_is_wrong_stands_beside_its_setting(sign_in, name, text, what):
    page = review(sign_in(), **{name: text})
    assert page.status_code == 422
    assert what in page.content.decode()
    assert overrides.list_overrides() == ()


def test_what_is_locked_above_is_not_weakened(sign_in):
    overrides.set_override("", "mode", "mandatory", locked=True)
    page = review(sign_in(), "anna@inside.example", mode="allow")
    assert page.status_code == 422
    assert "everybody has locked this at mandatory" in page.content.decode()


def test_a_stale_form_comes_back_with_both_values(sign_in):
    browser = sign_in()
    given = inputs(browser.get(URL, {"owner": ""})) | {"v-mode": "force"}
    overrides.set_override("", "mode", "never")
    overrides.set_override("", "pgp", "no")
    page = browser.post(URL, given)
    text = page.content.decode()
    assert page.status_code == 409
    assert "Meanwhile somebody has made this:" in text
    assert '<option value="force" selected>' in text
    assert inputs(page)["v-pgp"] == "no", "what nobody touched here is as the other one made it"
    review_again = browser.post(URL, inputs(page))
    save(browser, review_again)
    assert {one.name: str(one.value) for one in overrides.list_overrides("")} == {"mode": "force", "pgp": "False"}


def test_a_review_that_is_stale_is_not_saved(sign_in):
    browser = sign_in()
    page = review(browser, mode="force")
    overrides.set_override("", "mode", "mandatory")
    assert save(browser, page).status_code == 409
    assert overrides.shown()["mode"][0] == "mandatory"


def test_settings_are_found_by_words(sign_in):
    text = sign_in().get(URL, {"owner": "", "q": "wkd publish"}).content.decode()
    assert 'id="pgp_trust_wkd"' in text
    assert 'id="mode"' not in text


@pytest.mark.parametrize("owner", ["", "other.example", "x@other.example", "*.example"])
def test_a_domain_administrator_sees_no_other_domain(sign_in, owner):
    browser = sign_in(Role.DOMAIN_ADMINISTRATOR, domains=("inside.example",))
    assert browser.get(URL, {"owner": owner}).status_code == 404
    assert browser.post(URL, {"owner": owner, "v-mode": "never", "save": "1"}).status_code == 404
    assert overrides.list_overrides() == ()


def test_a_domain_administrator_changes_his_own_but_no_lock(sign_in):
    overrides.set_override("inside.example", "mode", "mandatory", locked=True)
    browser = sign_in(Role.DOMAIN_ADMINISTRATOR, domains=("inside.example",))
    assert 'href="?owner=inside.example"' in browser.get(URL).content.decode()
    page = browser.get(URL, {"owner": "inside.example"})
    given = inputs(page)
    assert "v-mode" not in given
    assert not any(name.startswith("lock-") for name in given)
    forged = given | {"v-mode": "never", "was-mode": "!mandatory", "save": "1"}
    assert browser.post(URL, forged).status_code == 409
    assert browser.post(URL, given | {"v-pgp": "no", "lock-pgp": "1", "save": "1"}).status_code == 409
    assert overrides.shown("inside.example")["mode"][0] == "mandatory"
    save(browser, browser.post(URL, given | {"v-pgp": "no"}))
    assert overrides.shown("a@inside.example")["pgp"][0] is False


def test_who_may_only_look_has_no_form(sign_in):
    browser = sign_in(Role.HELP_DESK)
    assert 'name="v-mode"' not in browser.get(URL).content.decode()
    assert browser.post(URL, {"owner": "", "v-mode": "never", "save": "1"}).status_code == 403


def test_what_is_no_owner_is_said(sign_in):
    answer = sign_in().get(URL, {"owner": "<script>@"})
    assert answer.status_code == 400
    assert "<script>" not in answer.content.decode().replace("<script src", "")
