"""A notice as a message: whatever the facts are, its header, its parts and its HTML stay what they are."""

import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailseal.mail.address import Address
from mailseal.mail.mime import parse
from mailseal.notices import compose, mark, sample
from mailseal.notices.catalogue import load
from mailseal.notices.compose import Letter
from mailseal.notices.facts import Found, NoticeFacts, Told
from mailseal.notices.kinds import KINDS
from mailseal.notices.render import MAX_LISTED, render, summary_of, values_of
from mailseal.policy.model import Action
from mailseal.policy.notice_kind import NoticeKind, Role
from mailseal.policy.reason import ReasonCode, because

ALL = load(None)
ENGLISH = ALL.language("en")
KEY = b"k" * 32
NOW = datetime(2026, 3, 2, 9, 31, tzinfo=UTC)
GOLDEN = Path(__file__).parents[2] / "vectors" / "notice"


def letter(**changes):
    known = {
        "sender": Address.parse("postmaster@example.com"),
        "to": Address.parse("anna@example.com"),
        "message_id": "<0123456789abcdef@gateway.example.com>",
        "at": NOW,
    }
    return Letter(**known | changes)


def mail_of(one: Letter, words) -> bytes:
    content = compose.message(compose.header(one, words), compose.entity(one, words))
    return mark.mark(KEY, parse(content).root, NOW) + content


def words_of(told, language=ENGLISH):
    kind = told[0].kind
    return render(
        values_of(told, sample.READER, sample.GATEWAY, ALL, language), lambda part: ALL.template(kind, part, language)
    )


HEADER = [
    "X-Mailseal-Notice", "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References",
    "Auto-Submitted", "MIME-Version", "Content-Type",
]  # fmt: skip
TAGS = {"html", "head", "meta", "title", "body", "div", "p", "table", "tr", "td", "ul", "li", "code", "br"}


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes = set(), set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


NASTY = st.sampled_from(
    [
        "a\r\nBcc: eve@evil.example",
        "\r\n\r\n<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "{{ gateway }}{% for x in y %}",
        "--=_boundary\r\n",
        "\u202egnp.exe",
        "\ud800\udfff\0",
        "=?utf-8?q?=0D=0ABcc:?=",
        "x" * 5000,
        "\u0085\u2028\u2029\x0b\x0c",
        "@content@ &amp; &lt;",
        ".\r\n.\r\nQUIT",
        "From here",
    ]
)
TEXT = st.text(st.characters(), max_size=40) | NASTY
FACTS = st.builds(
    NoticeFacts,
    at=st.just(sample.AT),
    mail=TEXT,
    message_id=TEXT | st.just("<a@b>"),
    subject=TEXT,
    found=st.lists(st.builds(Found, TEXT, st.integers(0, 10**9), st.sampled_from(Action)), max_size=3).map(tuple),
    reasons=st.lists(st.builds(lambda text: because(ReasonCode.METHOD_FAILED, detail=text), TEXT), max_size=2).map(
        tuple
    ),
    quarantine=TEXT,
    expires=st.none() | st.just(sample.AT + timedelta(days=3)),
    detail=TEXT,
)


@st.composite
def told(draw):
    kind = draw(st.sampled_from([one for one in NoticeKind if one is not NoticeKind.SUMMARY]))
    role = draw(st.sampled_from(KINDS[kind].roles))
    one = st.builds(Told, st.just(kind), st.just(role), st.just(b"a"), TEXT, TEXT, FACTS)
    return draw(st.lists(one, min_size=1, max_size=3))


@given(told(), st.sampled_from(["en", "de"]), TEXT)
@settings(max_examples=100, deadline=None)
def test_hostile_facts_never_break_header_parts_or_html(facts, code, answers):
    words = words_of(facts, ALL.language(code))
    mail = mail_of(letter(answers=answers), words)
    assert mail.isascii()
    assert re.search(rb"[^\r]\n|\r[^\n]|\0", mail) is None
    assert max(map(len, mail.split(b"\r\n"))) <= 998
    read = message_from_bytes(mail, policy=policy.default)
    assert [name for name in HEADER if name in read] == list(read.keys())
    assert read["To"] == "anna@example.com"
    assert not read.defects
    text, html = read.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content().replace("\r\n", "\n") == words.text
    seen = Tags()
    seen.feed(html.get_content())
    assert seen.tags <= TAGS
    assert seen.attributes <= {"style", "lang", "charset"}
    assert mark.is_marked([KEY], parse(mail).root, NOW)


def test_what_is_not_to_be_seen_is_left_out_of_values():
    facts = NoticeFacts(sample.AT, subject="a\u202eb\u200b  c\r\nd" + "x" * 400)
    words = words_of([Told(NoticeKind.DELETED, Role.SENDER, b"a", "b@c.example", "", facts)])
    assert f"Subject:    ab c d{'x' * 294}…\n" in words.text
    assert "From:" not in words.text


def test_recipients_and_patterns_are_listed_once_and_within_limits():
    found = (Found("IBAN", 2, Action.WARN), Found("IBAN", 5, Action.WARN))
    facts = [
        Told(NoticeKind.DLP_WARN, Role.SENDER, b"a", f"r{number}@c.example", "", NoticeFacts(sample.AT, found=found))
        for number in [*range(MAX_LISTED + 7), 1, 2]
    ]
    words = words_of(facts)
    assert words.text.count("r1@c.example") == 1
    assert "… (+7)" in words.text
    assert words.text.count("IBAN") == 1
    assert "IBAN (5): a warning" in words.text


def test_a_summary_lists_so_many_and_counts_all():
    mails = [
        [Told(NoticeKind.DLP_BLOCK, Role.MANAGER, bytes([n]), "b@c.example", "", NoticeFacts(sample.AT))]
        for n in range(60)
    ]
    values = summary_of(mails, "m@example.com", sample.GATEWAY, ALL, ENGLISH)
    words = render(values, lambda part: ALL.template(NoticeKind.SUMMARY, part, ENGLISH))
    assert words.subject == "Mail refused for its content: Several notices in one (60)"
    assert words.text.count("b@c.example") == MAX_LISTED
    assert "… and 10 more" in words.text


@pytest.mark.parametrize("kind", [NoticeKind.DLP_QUARANTINE, NoticeKind.RELEASED])
@pytest.mark.parametrize("code", ["en", "de"])
def test_a_notice_to_the_octet(kind, code):
    told = sample.sample(kind)
    made = mail_of(letter(answers=told[0].facts.message_id), words_of(told, ALL.language(code)))
    assert made == (GOLDEN / f"{kind}.{code}.eml").read_bytes()


def test_own_accord_and_addresses_that_are_not_ascii():
    one = letter(to=Address.parse("änna@example.com"), sender=Address.parse('"post office"@example.com'))
    header = compose.header(one, words_of(sample.sample(NoticeKind.DELETED, Role.MANAGER)))
    assert b"\r\nTo: \xc3\xa4nna@example.com\r\n" in header
    assert b'From: Mailseal <"post office"@example.com>\r\n' in header
    assert b"Auto-Submitted: auto-generated\r\n" in header
    assert b"In-Reply-To" not in header
    assert b"Precedence" not in header


def test_text_alone_is_no_multipart():
    words = words_of(sample.sample(NoticeKind.DELETED))
    plain = compose.entity(letter(), type(words)(words.subject, words.text, ""))
    assert plain.startswith(b"Content-Type: text/plain; charset=utf-8\r\n")


MARKED = mail_of(letter(), words_of(sample.sample(NoticeKind.DLP_WARN)))


def is_ours(mail: bytes, keys=(KEY,), at=NOW) -> bool:
    return mark.is_marked(keys, parse(mail).root, at)


def test_a_mark_holds_for_a_day_and_by_any_known_key():
    assert is_ours(MARKED)
    assert is_ours(MARKED, keys=(b"n" * 32, KEY))
    assert is_ours(MARKED, at=NOW + timedelta(hours=24))
    assert is_ours(MARKED, at=NOW - timedelta(minutes=5))
    assert not is_ours(MARKED, at=NOW + timedelta(hours=24, seconds=1))
    assert not is_ours(MARKED, at=NOW - timedelta(minutes=6))
    assert not is_ours(MARKED, keys=(b"n" * 32,))
    assert not is_ours(MARKED, keys=())


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        (lambda mail: b"Received: from a by b\r\nDKIM-Signature: v=1\r\n" + mail, True),
        (lambda mail: mail + b"\r\n\r\n", True),
        (lambda mail: mail.rstrip(b"\r\n"), True),
        (lambda mail: mail.replace(b"; m=", b";\r\n m="), True),
        (lambda mail: b"Subject: another\r\n" + mail, False),
        (lambda mail: b"From: eve@evil.example\r\n" + mail, False),
        (lambda mail: mail.replace(b"Subject: ", b"Subject: Re: "), False),
        (lambda mail: mail.replace(b"To: anna@", b"To: bob@"), False),
        (lambda mail: mail.replace(b"\r\nDate: ", b"\r\nX-Date: "), False),
        (lambda mail: mail + b"4111 1111 1111 1111\r\n", False),
        (lambda mail: mail.replace(b"; t=1", b"; t=2"), False),
        (lambda mail: mail[: mail.index(b"\r\n") + 2] + mail, False),
        (lambda mail: mail.replace(b"X-Mailseal-Notice", b"X-Mailseal-Notise"), False),
    ],
)
def test_what_a_mark_covers(change, holds):
    assert change(MARKED) != MARKED
    assert is_ours(change(MARKED)) is holds
