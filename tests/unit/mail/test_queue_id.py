"""What an MTA says to have queued a mail as; and what may be handed to its commands as an ID."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.mail.queue_id import MAX_CHARS, is_queue_id, queued_as


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ok: queued as 4dJmVf1Bqmz9sTz", "4dJmVf1Bqmz9sTz"),
        ("from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 0123456789A", "0123456789A"),
        ("OK Queued as 4dJm-x_1.", "4dJm-x_1"),
        ("unqueued as ABCDEF", ""),
        ("queued as", ""),
        ("queued as <x>", ""),
        ("queued as " + "A" * 64, "A" * 64),
        ("queued as " + "A" * 65, ""),
        ("Message accepted for delivery", ""),
        ("", ""),
    ],
)
def test_queued_as(text, expected):
    assert queued_as(text) == expected


@given(st.text())
def test_whatever_is_said_it_is_a_short_word(text):
    found = queued_as(f"queued as {text}")
    assert len(found) <= MAX_CHARS
    assert found == "" or (found.isascii() and found.isprintable() and " " not in found)


@pytest.mark.parametrize("text", ["4dJmVf1Bqmz9sTz", "ABCDE", "A1b2C3d4E5", "x" * 32])
def test_ids(text):
    assert is_queue_id(text)


@pytest.mark.parametrize(
    "text",
    ["", "ALL", "-d", "-", "ABCD", "x" * 33, "ABCDE\n", "ABC DE", "../ABCDE", "ABCDE/x", "ÄBCDE", "ABCDE\0", "٣٤٥٦٧"],
)
def test_what_is_no_id(text):
    assert not is_queue_id(text)
