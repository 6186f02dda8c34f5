"""The message log in the browser: found by what one knows, told why, and only to whom it belongs."""

import html
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from logged import keep, logged
from mailseal.policy.model import Fate, MethodName
from mailseal.store.accounts.roles import Role
from mailseal.store.log import LogFilter
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


def test_pages_follow_each_other(sign_in, web, monkeypatch):
    monkeypatch.setattr("mailseal.web.console.mails.ROWS", 3)
    keep(*(at(n, "anna@one.example", "bob@out.example") for n in range(7)))
    browser, url, seen = sign_in(), "/mails/?sender=one.example", []
    while url:
        page = browser.get(url, secure=True)
        seen.append(shown(page))
        older = re.search(r'href="(\?[^"]+)" rel="next"', page.content.decode())
        url = older and f"/mails/{html.unescape(older[1])}"
    assert seen == [["m6", "m5", "m4"], ["m3", "m2", "m1"], ["m0"]]


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


def test_there_is_no_mail_of_that_name(sign_in, some):
    assert sign_in().get("/mails/m77/", secure=True).status_code == 404


def test_who_looks_after_a_domain_sees_the_mail_of_that_alone(sign_in, some):
    browser = sign_in(Role.DOMAIN_ADMINISTRATOR, domains=("two.example",))
    assert shown(browser.get("/mails/", secure=True)) == ["m3", "m2"]
    assert shown(browser.get("/mails/?q=anna@one.example", secure=True)) == ["m3"]
    for query in ("q=m1", "sender=one.example&recipient=out.example", "q=%3C1@one.example%3E", "q=4ABCDEF01"):
        assert shown(browser.get(f"/mails/?{query}", secure=True)) == []
    assert browser.get("/mails/m3/", secure=True).status_code == 200
    for message in ("m1", "m4"):
        assert browser.get(f"/mails/{message}/", secure=True).status_code == 404


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
