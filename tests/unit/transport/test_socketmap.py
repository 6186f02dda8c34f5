"""Postfix's questions: whatever is said, there are questions within bounds, or the connection ends."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.transport.callers import BadCallError
from mailseal.transport.socketmap import (
    MAX_REPLY_BYTES,
    MAX_REQUEST_BYTES,
    NOT_FOUND,
    Kind,
    Question,
    Reply,
    ReplyTooLongError,
    SocketmapDialogue,
    netstring,
)


def read(octets: bytes, sizes=()):
    """The questions in octets that come in pieces of these sizes."""
    dialogue, found = SocketmapDialogue(), []
    pieces = []
    for size in sizes:
        pieces.append(octets[:size])
        octets = octets[size:]
    for piece in (*pieces, octets):
        dialogue.feed(piece)
        while (turn := dialogue.turn()) is not None:
            found.append(turn)
    return found, dialogue


@pytest.mark.parametrize(
    ("octets", "found"),
    [
        (b"", []),
        (b"1", []),
        (b"11:tls a.exam", []),
        (b"13:tls a.example,", [Question("tls", "a.example")]),
        (b"13:tls a.example,5:x y z,", [Question("tls", "a.example"), Question("x", "y z")]),
        (b"4:tls ,", [Question("tls", "")]),
        (b"6:t \xc3\xbc@a,", [Question("t", "ü@a")]),
        (b"4:t \xff\xfe,", [Question("t", "\udcff\udcfe")]),
        (b"1: ,", [Question("", "")]),
    ],
)
def test_questions(octets, found):
    assert read(octets)[0] == found


@pytest.mark.parametrize(
    "octets",
    [
        b"x", b":", b",", b"-1:", b" 1:a b,", b"01:a b,", b"00", b"999999", b"99999:", b"3:a b;", b"3:a,b,", b"3:abc,",
        b"0:,", b"+3:a b,", "٣:a b,".encode(), b"GET / HTTP/1.1\r\n", b"%d:" % (MAX_REQUEST_BYTES + 1),
    ],
)  # fmt: skip
def test_what_is_no_question_ends_the_connection(octets):
    with pytest.raises(BadCallError):
        read(octets)


def test_a_question_may_be_as_long_as_it_may():
    key = "k" * (MAX_REQUEST_BYTES - 2)
    assert read(netstring(f"t {key}".encode()))[0] == [Question("t", key)]


@given(st.lists(st.binary(max_size=60)), st.lists(st.integers(0, 20)))
def test_questions_come_whole_however_they_are_cut(keys, sizes):
    sent = b"".join(netstring(b"table " + key) for key in keys)
    found, dialogue = read(sent, sizes)
    assert [one.key.encode("utf-8", "surrogateescape") for one in found] == keys
    assert not dialogue.unfinished


@given(st.binary(max_size=200), st.lists(st.integers(0, 20), max_size=8))
def test_any_octets_end_in_questions_or_in_the_one_error(octets, sizes):
    with suppress(BadCallError):
        read(octets, sizes)


@pytest.mark.parametrize(
    ("reply", "octets"),
    [
        (NOT_FOUND, b"9:NOTFOUND ,"),
        (Reply(Kind.OK, "relay:[h]:25"), b"15:OK relay:[h]:25,"),
        (Reply(Kind.TEMP, "a\r\nb\0c\x7f"), b"12:TEMP a??b?c?,"),
        (Reply(Kind.PERM, "ü \ud800"), b"9:PERM \xc3\xbc ?,"),
    ],
)
def test_replies(reply, octets):
    assert reply.encode() == octets


def test_a_reply_that_postfix_would_not_take_is_not_made():
    assert Reply(Kind.OK, "x" * (MAX_REPLY_BYTES - 3)).encode()
    with pytest.raises(ReplyTooLongError):
        Reply(Kind.OK, "x" * (MAX_REPLY_BYTES - 2)).encode()
