"""The simulator: the worker says what would happen; the page leads to the settings behind it, for who may see them."""

import re

from django.core.files.uploadedfile import SimpleUploadedFile

from mailseal.policy.causes import CAUSES, causes, sides
from mailseal.policy.reason import ReasonCode, because
from mailseal.policy.settings import setting
from mailseal.store import domains, log, overrides
from mailseal.store.accounts.roles import Role
from mailseal.store.log import LogFilter
from mailseal.web.console.simulator import Question

URL = "/simulator/"
MAIL = b"From: anna@one.example\nTo: bob@out.example\nSubject: [secret] hello\n\nHello\n"


def settings_of(page) -> set[str]:
    return set(re.findall(r'href="(/settings/[^"]+)"', page.content.decode().replace("&amp;", "&")))


def ask(browser, sender="anna@one.example", recipients="bob@out.example", **more):
    return browser.post(URL, {"sender": sender, "recipients": recipients, **more}, secure=True)


def test_what_would_happen_and_because_of_which_settings(sign_in, worker):
    domains.add("one.example")
    overrides.set_override("out.example", "mode", "mandatory")
    overrides.set_override("", "on_failure", "refuse")
    page = ask(sign_in(), recipients="bob@out.example\nanna@one.example, eve@else.example")
    text = page.content.decode()
    assert page.status_code == 200
    assert "The mode is mandatory: must be encrypted" in text
    assert "Would be refused" in text
    assert "Would be sent on to the internal mail server" in text
    assert {"/settings/?owner=out.example#mode", "/settings/?owner=#on_failure"} <= settings_of(page)
    assert log.search(LogFilter()) == (), "nothing is done, so nothing is logged"


def test_the_mail_itself_counts(sign_in, worker):
    domains.add("one.example")
    overrides.set_override("one.example", "encrypt_subject_trigger", "secret")
    browser = sign_in()
    assert "asks for encryption" not in ask(browser).content.decode()
    page = ask(browser, mail=SimpleUploadedFile("mail.eml", MAIL))
    assert "asks for encryption by secret" in page.content.decode()
    assert "/settings/?owner=one.example#encrypt_subject_trigger" in settings_of(page)


def test_who_looks_after_a_domain_asks_for_that_and_sees_no_setting_of_others(sign_in, worker):
    for name in ("one.example", "two.example"):
        domains.add(name)
    overrides.set_override("out.example", "mode", "mandatory")
    browser = sign_in(Role.DOMAIN_ADMINISTRATOR, domains=("one.example",))
    page = ask(browser)
    assert page.status_code == 200
    assert all(url.startswith("/settings/?owner=one.example") for url in settings_of(page))
    assert ask(browser, "x@two.example", "bob@out.example").status_code == 403
    assert ask(browser, "x@two.example", "anna@one.example\nbob@out.example").status_code == 403
    assert ask(browser, "x@two.example", "anna@one.example").status_code == 200


def test_who_looks_after_a_domain_is_told_of_other_settings_by_name_alone(sign_in, worker):
    for name in ("one.example", "two.example"):
        domains.add(name)
    overrides.set_override("bob@out.example", "mode", "mandatory")
    overrides.set_override("", "on_failure", "refuse")
    text = ask(sign_in(Role.DOMAIN_ADMINISTRATOR, domains=("one.example",))).content.decode()
    assert "<code>mode</code>" in text
    assert "not yours to see" in text
    assert "mode = mandatory" not in text
    assert "set for bob@out.example" not in text
    assert "<code>on_failure = refuse</code>" in text, "what counts for his own domain he may see, though all have it"
    assert "mode = mandatory" in ask(sign_in()).content.decode()


def test_what_is_no_question_is_not_asked(sign_in, web):
    for wrong in (
        {"recipients": ""},
        {"recipients": "bob"},
        {"sender": "not an address"},
        {"recipients": "\n".join(f"u{n}@out.example" for n in range(51))},
    ):
        assert ask(sign_in(), **wrong).status_code == 422, wrong


def test_a_worker_that_is_away_is_said(sign_in, worker, monkeypatch):
    monkeypatch.setattr("mailseal.store.jobs.claim", lambda *_, **__: None)
    monkeypatch.setattr("mailseal.store.console_jobs.call.__kwdefaults__", {"blob": b"", "wait_seconds": 0.2})
    page = ask(sign_in())
    assert page.status_code == 503
    assert "the job worker does not answer" in page.content.decode()


def test_a_role_without_it_has_none(sign_in, web):
    assert sign_in(Role.QUARANTINE_REVIEWER).get(URL, secure=True).status_code == 403


def test_addresses_are_read_as_people_write_them():
    form = Question({"recipients": "A@x.example; b@x.example,\n a@x.example", "sender": "<>"})
    assert form.is_valid()
    assert form.cleaned_data["sender"] == ""
    assert form.cleaned_data["recipients"] == ["A@x.example", "b@x.example", "a@x.example"]


def test_every_cause_is_a_setting():
    for code in CAUSES:
        for method in ("smime", "pgp"):
            for name in causes(because(code, method=method)):
                assert setting(name)
                assert sides(name)
    assert causes(because(ReasonCode.METHOD_OFF)) == ()
