"""The message log in the browser: found by what one knows, told why, and only to whom it belongs."""

import html
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.test.utils import CaptureQueriesContext

from held_mails import ANNA, held, message
from logged import keep, logged
from mailseal.keys.sealing import Kek
from mailseal.policy.model import Fate, MethodName
from mailseal.store import log, quarantine_actions
from mailseal.store import quarantine as quarantine_store
from mailseal.store.accounts.roles import Role
from mailseal.store.log import LogFilter
from mailseal.store.quarantine import StoreQuarantine
from mailseal.store.quarantine_events import Actor
from mailseal.store.transaction import connection
from mailseal.web.console import mail_filter

NOW = datetime.now(UTC).replace(microsecond=0)
AGO = NOW - timedelta(minutes=50)


def at(number: int, *rest, **more):
    return logged(number, *rest, start=AGO, **more)


def shown(page) -> list[str]:
    """Mailseal's IDs of the mails in the table."""
    return re.findall(r'href="/mails/(m\d+)/"', page.content.decode())


@pytest.fixture
def some(web):
    keep(
        at(1, "anna@one.example", "bob@out.example", message_id="<1@one.example>", queue_id="4ABCDEF01"),
        at(2, "eve@out.example", "dora@two.example", Fate.HELD, subject="Quarterly <b>numbers</b>"),
        at(3, "anna@one.example", "dora@two.example", method=MethodName.PGP),
        at(4, "", "anna@one.example", Fate.REFUSED),
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["m4", "m3", "m2", "m1"]),
        ("q=anna@one.example", ["m4", "m3", "m1"]),
        ("q=out.example", ["m2", "m1"]),
        ("q=%3C1@one.example%3E", ["m1"]),
        ("q=1@one.example", ["m1"]),
        ("q=4ABCDEF01", ["m1"]),
        ("q=quarterly", ["m2"]),
        ("q=%3C%3E", ["m4"]),
        ("fate=held", ["m2"]),
        ("method=pgp&period=24h", ["m3"]),
        ("sender=one.example&recipient=two.example", ["m3"]),
        ("reason=protected-by", ["m3"]),
        ("q=nobody@nowhere.example", []),
        ("since=2020-01-01T00:00&until=2020-02-01T00:00", []),
    ],
)
def test_a_mail_is_found_by_what_one_knows_of_it(sign_in, some, query, found):
    assert shown(sign_in().get(f"/mails/?{query}", secure=True)) == found


@pytest.mark.parametrize("query", ["sender=a@b@", "since=yesterday", "fate=lost", "q=" + "x" * 500])
def test_what_cannot_be_meant_is_said(sign_in, some, query):
    page = sign_in().get(f"/mails/?{query}", secure=True)
    assert page.status_code == 422
    assert shown(page) == []


def followed(browser, url) -> list[list[str]]:
    """What each page shows, as long as there is an older one."""
    seen = []
    while url:
        page = browser.get(url, secure=True)
        seen.append(shown(page))
        older = re.search(r'href="(\?[^"]+)" rel="next"', page.content.decode())
        url = older and f"/mails/{html.unescape(older[1])}"
    return seen


def test_pages_follow_each_other(sign_in, web, monkeypatch):
    monkeypatch.setattr("mailseal.web.console.mails.ROWS", 3)
    keep(*(at(n, "anna@one.example", "bob@out.example") for n in range(7)))
    seen = followed(sign_in(), "/mails/?sender=one.example")
    assert seen == [["m6", "m5", "m4"], ["m3", "m2", "m1"], ["m0"]]


@pytest.fixture
def in_a_hurry(monkeypatch):
    """Each page looks at a few rows."""
    for name in ("WINDOW", "KEY_WINDOW", "MIN_WINDOW"):
        monkeypatch.setattr(f"mailseal.store.log_search.{name}", 2)
    monkeypatch.setattr("mailseal.web.console.mails.BUDGET_SECONDS", 0)


def test_older_mail_is_found_by_the_same_meaning(sign_in, web, in_a_hurry):
    keep(at(0, "eve@else.example", "bob@out.example", Fate.HELD, subject="About one.example"))
    keep(*(at(n, "anna@one.example", "bob@out.example", Fate.HELD if n == 8 else Fate.RELAYED) for n in range(1, 9)))
    keep(*(at(n, "eve@else.example", "bob@out.example", Fate.HELD) for n in range(9, 14)))
    pages = followed(sign_in(), "/mails/?q=one.example&fate=held")
    assert [one for page in pages for one in page] == ["m8"]


def test_where_nothing_was_found_by_one_meaning_the_next_one_begins_with_the_newest(sign_in, web, in_a_hurry):
    subjects = {0: "About one.example", 13: "Again one.example"}
    keep(at(0, "eve@else.example", "bob@out.example", Fate.HELD, subject=subjects[0]))
    keep(*(at(n, "anna@one.example", "bob@out.example") for n in range(1, 9)))
    keep(*(at(n, "eve@else.example", "b@out.example", Fate.HELD, subject=subjects.get(n, "")) for n in range(9, 14)))
    pages = followed(sign_in(), "/mails/?q=one.example&fate=held")
    assert [one for page in pages for one in page] == ["m13", "m0"]


def test_a_meaning_that_no_link_has_is_not_there(sign_in, some):
    url = "/mails/?q=one.example&before=0198f1f0-0000-7000-8000-000000000000&as="
    assert [sign_in().get(url + name, secure=True).status_code for name in ("party", "fate")] == [200, 404]


def test_all_that_a_word_may_mean_has_the_time_of_one_search(sign_in, some, monkeypatch):
    given, search = [], log.page

    def page(*asked, budget_seconds, **more):
        given.append(budget_seconds)
        found = search(*asked, budget_seconds=budget_seconds, **more)
        time.sleep(0.02)
        return found

    monkeypatch.setattr("mailseal.store.log.page", page)
    sign_in().get("/mails/?q=a0a0a0a0a0a0a0a0", secure=True)
    assert len(given) == 3
    assert given[0] >= given[1] + 0.02 >= given[2] + 0.04


def test_a_mail_tells_its_way_and_why(sign_in, some):
    page = sign_in().get("/mails/m3/", secure=True).content.decode()
    assert "Encrypted by S/MIME" in page
    assert "dora@two.example" in page
    page = sign_in().get("/mails/m2/", secure=True).content.decode()
    assert "Quarterly &lt;b&gt;numbers&lt;/b&gt;" in page, "what strangers write is text"


def test_what_happens_again_and_again_is_told_once(sign_in, web):
    again = [at(n, "anna@one.example", "bob@out.example", Fate.DEFERRED) for n in range(5)]
    keep(*(replace(one, message="m0") for one in again))
    page = sign_in().get("/mails/m0/", secure=True).content.decode()
    assert page.count("<strong>Deferred</strong>") == 1
    assert "and 4 times more" in page


def test_what_was_done_with_held_copies_is_one_question(sign_in, web):
    quarantine = StoreQuarantine(Kek(b"k" * 32))
    copies = [held(f"x{number}@out.example") for number in range(5)]
    ids = [UUID(quarantine.hold(copy, message())) for copy in copies]
    for one in ids:
        quarantine_actions.extend(one, Actor("account:1", "Anna"), NOW + timedelta(days=9), "wait")
    mail = quarantine_store.find(ids[0]).mail
    keep(*(replace(at(n, ANNA, f"x{n}@out.example", Fate.HELD), message=mail) for n in range(5)))
    browser = sign_in()
    with CaptureQueriesContext(connection()) as queries:
        text = browser.get(f"/mails/{mail}/", secure=True).content.decode()
    assert text.count("wait") == text.count("Open in the quarantine") == 5
    assert sum("store_quarantine_event" in one["sql"] for one in queries) == 1


def test_there_is_no_mail_of_that_name(sign_in, some):
    assert sign_in().get("/mails/m77/", secure=True).status_code == 404


def test_who_looks_after_a_domain_sees_the_mail_of_that_alone(sign_in, some):
    browser = sign_in(Role.DOMAIN_ADMINISTRATOR, domains=("two.example",))
    assert shown(browser.get("/mails/", secure=True)) == ["m3", "m2"]
    assert shown(browser.get("/mails/?q=anna@one.example", secure=True)) == ["m3"]
    for query in ("q=m1", "sender=one.example&recipient=out.example", "q=%3C1@one.example%3E", "q=4ABCDEF01"):
        assert shown(browser.get(f"/mails/?{query}", secure=True)) == []
    assert browser.get("/mails/m3/", secure=True).status_code == 200
    for other in ("m1", "m4"):
        assert browser.get(f"/mails/{other}/", secure=True).status_code == 404


def test_of_a_mail_to_many_only_the_own_copies_are_shown(sign_in, web):
    keep(
        at(0, "eve@out.example", "a@one.example"),
        replace(at(1, "eve@out.example", "b@two.example"), message="m0"),
    )
    browser = sign_in(Role.DOMAIN_ADMINISTRATOR, domains=("two.example",))
    page = browser.get("/mails/m0/", secure=True).content.decode()
    assert "b@two.example" in page
    assert "a@one.example" not in page


def test_a_word_is_taken_for_what_it_looks_like():
    assert list(mail_filter.meanings("<a@b>")) == [{"message_id": "<a@b>"}]
    assert list(mail_filter.meanings("b.example")) == [{"party": "b.example"}, {"subject": "b.example"}]
    assert next(mail_filter.meanings("0123456789abcdef")) == {"message": "0123456789abcdef"}
    assert [LogFilter(**one) for one in mail_filter.meanings("Hello there")] == [LogFilter(subject="Hello there")]
