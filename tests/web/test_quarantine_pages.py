"""The quarantine's pages: found by a filter, looked at through the worker, released, approved by a second person."""

import re
import time
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from django.test import Client

from held_mails import CARD, SECRET, held, message
from mailseal.keys.sealing import Kek
from mailseal.policy.held import WhyHeld
from mailseal.store import console_jobs, jobs, quarantine_actions, quarantine_events
from mailseal.store import quarantine as held_mails
from mailseal.store.accounts.roles import Role
from mailseal.store.acting import Acting, Way, acting
from mailseal.store.console_jobs import StillRunning
from mailseal.store.models import JobRow
from mailseal.store.quarantine import State, StoreQuarantine
from mailseal.store.quarantine_actions import RELEASE
from mailseal.store.quarantine_events import Actor
from mailseal.store.row import utc_now

KEK = Kek(b"k" * 32)
DAY = timedelta(days=1)


@pytest.fixture
def keep(web):
    """Hold one more mail."""
    numbers = iter(range(1000))

    def hold(sender="anna@alpha.example", to="x@out.example", kek=KEK, **more) -> UUID:
        one = held(to, number=next(numbers), sender=sender, **more)
        return UUID(StoreQuarantine(kek).hold(one, message()))

    return hold


def page(browser, url) -> str:
    answer = browser.get(url)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def do(browser, mail, name, **given):
    """As the form of the mail's page does it."""
    version = re.findall(r'name="version" value="([^"]*)"', browser.get(f"/quarantine/{mail}/").content.decode())
    return browser.post(f"/quarantine/{mail}/{name}/", {"version": version[0] if version else ""} | given)


def events(mail) -> list[str]:
    return [one.action for one in quarantine_events.list_events(mail)]


def test_what_is_held_the_newest_first_by_filter(sign_in, keep):
    old = keep(sender="bob@beta.example", why=WhyHeld.AMBIGUOUS, findings=())
    new = keep()
    gone = keep(to="gone@out.example")
    quarantine_actions.delete(gone, Actor("user:x", "X"))
    browser = sign_in(Role.AUDITOR)
    text = page(browser, "/quarantine/")
    assert text.index(str(new)) < text.index(str(old))
    assert str(gone) not in text
    assert "cards" in text
    assert str(gone) in page(browser, "/quarantine/?state=deleted")
    assert str(new) not in page(browser, "/quarantine/?sender=beta.example")
    assert str(old) not in page(browser, "/quarantine/?why=dlp")
    assert browser.get("/quarantine/?why=whim").status_code == 400
    assert browser.get("/quarantine/?sender=a@@").status_code == 400
    assert browser.get("/quarantine/?before=x").status_code == 404


def test_pages_by_the_last_row(sign_in, keep, monkeypatch):
    monkeypatch.setattr("mailseal.web.console.quarantine.PAGE_ROWS", 2)
    made = [str(keep(to=f"x{number}@out.example")) for number in range(5)]
    browser, url, seen = sign_in(), "/quarantine/?sender=alpha.example", []
    while url:
        text = page(browser, url)
        seen += re.findall(r'<td class="nowrap"><a href="/quarantine/([^/]+)/"', text)
        following = re.findall(r'href="(\?[^"]*before=[^"]*)"', text)
        url = "/quarantine/" + following[0].replace("&amp;", "&") if following else ""
    assert seen == made[::-1]


def test_a_mail_says_why_and_what_was_done_but_nothing_of_its_content(sign_in, keep):
    text = page(sign_in(Role.HELP_DESK), f"/quarantine/{keep()}/")
    assert "DLP: cards" in text
    assert SECRET not in text
    assert "numbers" not in text, "the subject is content"
    assert CARD.excerpt not in text
    assert "Look at its content" not in text
    assert "Delete for good" not in text


def test_the_safe_view_is_made_by_the_worker_and_recorded(sign_in, keep, worker):
    mail = keep(kek=worker.kek)
    browser = sign_in(Role.QUARANTINE_REVIEWER)
    assert browser.get(f"/quarantine/{mail}/content/").status_code == 405
    answer = browser.post(f"/quarantine/{mail}/content/")
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "My card is" in text
    assert CARD.excerpt in text
    assert answer.headers["Cache-Control"] == "no-store"
    assert events(mail)[0] == "shown"
    assert quarantine_events.list_events(mail)[0].actor.name == "quarantine-reviewer@inside.example"


def test_a_view_that_cannot_be_made_says_why(sign_in, keep, worker):
    mail = keep()  # with a KEK that the worker does not have
    answer = sign_in(Role.QUARANTINE_REVIEWER).post(f"/quarantine/{mail}/content/")
    assert answer.status_code == 503
    assert "cannot be shown" in answer.content.decode()
    assert worker.kek.id not in answer.content.decode()


def test_nobody_waits_long_for_a_worker_that_is_away(sign_in, keep, worker, monkeypatch):
    mail = keep(kek=worker.kek)
    monkeypatch.setattr(jobs, "claim", lambda *_, **__: None)
    monkeypatch.setattr(console_jobs, "call", partial(console_jobs.call, wait_seconds=0.2))
    answer = sign_in(Role.QUARANTINE_REVIEWER).post(f"/quarantine/{mail}/content/")
    assert answer.status_code == 503
    assert "the job worker does not answer" in answer.content.decode()
    assert events(mail) == ["held"], "it was called off"


def test_a_view_that_takes_long_is_fetched_later(sign_in, keep, worker, monkeypatch):
    mail = keep(kek=worker.kek)
    browser = sign_in(Role.QUARANTINE_REVIEWER)

    def call(action, arguments):
        raise StillRunning(console_jobs.ask(action, arguments))

    monkeypatch.setattr(console_jobs, "call", call)
    url = browser.post(f"/quarantine/{mail}/content/").headers["Location"]
    give_up_at = time.monotonic() + 20
    while "My card is" not in (text := page(browser, url)):
        assert "still at it" in text
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.HELP_DESK])
def test_who_may_not_see_content_does_not(sign_in, keep, role):
    mail = keep()
    browser = sign_in(role)
    assert browser.post(f"/quarantine/{mail}/content/").status_code == 403
    for name in ("release", "release-encrypted", "ask", "approve", "deny", "delete", "extend"):
        assert do(browser, mail, name, days="5").status_code == 403
    assert events(mail) == ["held"]


def test_released_by_a_job(sign_in, keep):
    mail = keep()
    answer = do(sign_in(Role.QUARANTINE_REVIEWER), mail, "release-encrypted", note="the customer waits")
    assert answer.status_code == 302
    found = held_mails.find(mail)
    assert (found.state, found.way) == (State.RELEASING, "encrypted")
    assert JobRow.objects.filter(kind=RELEASE).count() == 1
    event = quarantine_events.list_events(mail)[0]
    assert event.note == "encrypted; the customer waits"
    assert event.actor.key.startswith("account:")


def test_a_second_person_approves(sign_in, keep):
    mail = keep()
    first = sign_in(Role.QUARANTINE_REVIEWER, email="one@inside.example")
    second = sign_in(Role.QUARANTINE_REVIEWER, email="two@inside.example")
    assert do(first, mail, "ask", note="please").status_code == 302
    assert str(mail) in page(second, "/quarantine/?asked=on")
    text = page(first, f"/quarantine/{mail}/")
    assert "another person has to approve" in text
    assert "Send it as it came" not in text
    answer = do(first, mail, "approve")
    assert answer.status_code == 409
    assert held_mails.find(mail).state is State.HELD
    assert events(mail)[0] == "as-is-denied"
    text = page(second, f"/quarantine/{mail}/")
    assert "one@inside.example wants it released as it came" in text
    assert do(second, mail, "approve", note="fine").status_code == 302
    found = held_mails.find(mail)
    assert (found.state, found.way) == (State.RELEASING, "as-is")


def test_a_dlp_officer_asks_but_never_approves(sign_in, keep):
    mail = keep()
    do(sign_in(Role.QUARANTINE_REVIEWER), mail, "ask")
    assert do(sign_in(Role.DLP_OFFICER), mail, "approve").status_code == 403
    assert do(sign_in(Role.DLP_OFFICER), mail, "deny").status_code == 403
    assert held_mails.find(mail).asked_by


@pytest.mark.parametrize("by", ["the same", "another"])
def test_a_request_is_withdrawn_or_denied(sign_in, keep, by):
    mail = keep()
    asker = sign_in(Role.DLP_OFFICER)
    do(asker, mail, "ask")
    browser = asker if by == "the same" else sign_in(Role.QUARANTINE_REVIEWER)
    assert do(browser, mail, "deny", note="no").status_code == 302
    assert held_mails.find(mail).asked_by == ""
    assert do(sign_in(), mail, "approve").status_code == 409


def test_deleted_and_held_longer(sign_in, keep):
    mail = keep()
    browser = sign_in(Role.QUARANTINE_REVIEWER)
    for days in ("", "0", "3651", "x", "-1", "\u0665"):
        assert do(browser, mail, "extend", days=days).status_code == 409
    assert do(browser, mail, "extend", days="90").status_code == 302
    assert held_mails.find(mail).expires > utc_now() + 89 * DAY
    assert do(browser, mail, "delete").status_code == 302
    assert held_mails.find(mail).state is State.DELETED
    assert "Decide" not in page(browser, f"/quarantine/{mail}/")
    assert do(browser, mail, "release").status_code == 409


def test_a_form_of_before_does_nothing(sign_in, keep):
    mail = keep()
    browser, other = sign_in(Role.QUARANTINE_REVIEWER), sign_in(Role.ADMINISTRATOR)
    version = re.findall(r'name="version" value="([^"]*)"', page(browser, f"/quarantine/{mail}/"))[0]
    do(other, mail, "extend", days="9")
    answer = browser.post(f"/quarantine/{mail}/delete/", {"version": version})
    assert answer.status_code == 409
    assert "meanwhile" in answer.content.decode()
    assert held_mails.find(mail).state is State.HELD


def test_no_form_without_its_token(sign_in, keep):
    mail = keep()
    browser = Client(SERVER_NAME="localhost", enforce_csrf_checks=True)
    browser.defaults["wsgi.url_scheme"] = "https"
    browser.cookies = sign_in(Role.QUARANTINE_REVIEWER).cookies
    assert browser.get(f"/quarantine/{mail}/").status_code == 200
    assert browser.post(f"/quarantine/{mail}/delete/", {"version": ""}).status_code == 403
    assert browser.post(f"/quarantine/{mail}/content/").status_code == 403
    assert events(mail) == ["held"]


def test_a_domain_administrator_has_the_mails_of_his_senders(sign_in, keep, worker):
    own = keep(sender="anna@inside.example", kek=worker.kek)
    others = [
        keep(sender="bob@other.example", kek=worker.kek),
        keep(sender="bob@other.example", to="anna@inside.example", kek=worker.kek),
        keep(sender=None, kek=worker.kek),
        keep(sender="bob@notinside.example", kek=worker.kek),
        keep(sender="bob@sub.inside.example", kek=worker.kek),
    ]
    browser = sign_in(Role.DOMAIN_ADMINISTRATOR, domains=("inside.example",))
    text = page(browser, "/quarantine/?state=all")
    assert str(own) in text
    for mail in others:
        assert str(mail) not in text
        assert browser.get(f"/quarantine/{mail}/").status_code == 404
        assert browser.post(f"/quarantine/{mail}/content/").status_code == 404
        for name in ("release", "ask", "approve", "deny", "delete", "extend"):
            assert browser.post(f"/quarantine/{mail}/{name}/", {"days": "5"}).status_code == 404
        assert events(mail) == ["held"]
    assert browser.post(f"/quarantine/{own}/content/").status_code == 200
    assert do(browser, own, "approve").status_code == 403
    assert do(browser, own, "release").status_code == 302


def test_what_somebody_else_has_looked_at_is_not_shown(sign_in, keep, worker):
    mail = keep(kek=worker.kek)
    with acting(Acting(Actor("account:other", "Other"), Way.CONSOLE)):
        job = console_jobs.ask("quarantine-view", {"id": str(mail), "domains": None})
        while console_jobs.result(job) is None:
            time.sleep(0.01)
    answer = sign_in(Role.QUARANTINE_REVIEWER).get(f"/quarantine/{mail}/content/{job}/")
    assert "still at it" in answer.content.decode()
    assert "My card is" not in answer.content.decode()
