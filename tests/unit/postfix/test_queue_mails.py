"""A line of postqueue -j becomes a mail or an error of ours, whatever strangers have written into it."""

import contextlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.postfix.queue_mails import MAX_TEXT_CHARS, Awaiting, ListingError, QueuedMail, parse_mail

LINE = (
    b'{"queue_name": "deferred", "queue_id": "4jd7Yb0kbdzPvlq", "arrival_time": 1796006451, "message_size": 214, '
    b'"forced_expire": false, "sender": "anna@alpha.example", "recipients": [{"address": "bob@out.example", '
    b'"delay_reason": "connect to 127.0.0.1[127.0.0.1]:2: Connection refused"}, {"address": "x@alpha.example"}]}\n'
)


def changed(**values) -> bytes:
    found = json.loads(LINE) | values
    return json.dumps({name: value for name, value in found.items() if value is not ...}).encode()


def test_a_line():
    assert parse_mail(LINE) == QueuedMail(
        "deferred",
        "4jd7Yb0kbdzPvlq",
        datetime(2026, 11, 30, 2, 40, 51, tzinfo=UTC),
        214,
        "anna@alpha.example",
        (
            Awaiting("bob@out.example", "connect to 127.0.0.1[127.0.0.1]:2: Connection refused"),
            Awaiting("x@alpha.example"),
        ),
    )


def test_what_later_releases_add_is_ignored_and_what_earlier_ones_lack_is_not_missed():
    assert parse_mail(changed(new={"x": 1}, forced_expire=...)) == parse_mail(LINE)
    assert parse_mail(changed(forced_expire=True)).expiring


def test_the_null_sender_and_long_and_broken_texts():
    assert parse_mail(changed(sender="MAILER-DAEMON")).sender == ""
    long = parse_mail(changed(recipients=[{"address": "a" * 9999, "delay_reason": "r" * 9999}]))
    assert [len(long.recipients[0].address), len(long.recipients[0].reason)] == [MAX_TEXT_CHARS] * 2
    assert "\ufffd" in parse_mail(LINE.replace(b"bob@", b"b\xffb@")).recipients[0].address


@pytest.mark.parametrize(
    "line",
    [
        b"", b"\n", b"{}", b"[]", b"null", b"{", b"[" * 100_000,
        changed(queue_id=...), changed(queue_id=5), changed(arrival_time="now"), changed(arrival_time=10**18),
        changed(arrival_time=True), changed(message_size=None), changed(recipients=None), changed(recipients=["x"]),
        changed(recipients=[{}]), changed(sender=["a"]),
    ],
)  # fmt: skip
def test_what_tells_of_no_mail(line):
    with pytest.raises(ListingError):
        parse_mail(line)


values = st.none() | st.integers() | st.text() | st.lists(st.dictionaries(st.sampled_from(["address", "x"]), st.text()))


@given(st.binary() | st.dictionaries(st.sampled_from([*json.loads(LINE)]), values).map(lambda some: changed(**some)))
def test_only_the_typed_error(line):
    with contextlib.suppress(ListingError):
        parse_mail(line)
