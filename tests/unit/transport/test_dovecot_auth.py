"""Dovecot's authentication protocol as Postfix's smtpd speaks it (xsasl_dovecot_server.c)."""

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.transport.callers import BadCallError
from mailseal.transport.dovecot_auth import (
    MAX_EXCHANGES,
    MAX_LINE_BYTES,
    Attempt,
    AuthDialogue,
    accepted,
    failed,
)
from mailseal.transport.sasl import Credentials

HELLO = b"VERSION\t1\t0\nCPID\t4711\n"
POSTFIX = "service=smtp\tnologin\tlip=192.0.2.1\trip=198.51.100.7\tsecured"
ANNA = Credentials("anna", b"secret")


def b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def turns(*lines: str | bytes, hello: bytes = HELLO):
    """What becomes of each line after the introduction."""
    dialogue = AuthDialogue()
    dialogue.feed(hello)
    while dialogue.turn() is not None:
        pass
    found = []
    for line in lines:
        dialogue.feed(line if isinstance(line, bytes) else f"{line}\n".encode())
        found.append(dialogue.turn())
    return found


def test_the_greeting_is_what_postfix_waits_for():
    lines = AuthDialogue().greeting.decode().splitlines()
    assert lines[0].split("\t")[:2] == ["VERSION", "1"]
    assert lines[1:3] == ["MECH\tPLAIN\tplaintext", "MECH\tLOGIN\tplaintext"]
    assert [line.split("\t")[0] for line in lines[3:]] == ["SPID", "CUID", "COOKIE", "DONE"]
    assert AuthDialogue().greeting != AuthDialogue().greeting, "each connection has an ID and a cookie of its own"


def test_plain_with_its_response():
    [found] = turns(f"AUTH\t1\tPLAIN\t{POSTFIX}\tresp={b64(b'%canna%csecret' % (0, 0))}")
    assert found == Attempt(1, ANNA, "198.51.100.7", "smtp", secured=True)
    assert "secret" not in repr(found)


def test_plain_without_and_login():
    response = b64(b"\0anna\0secret")
    assert turns(f"AUTH\t1\tPLAIN\t{POSTFIX}", f"CONT\t1\t{response}")[0] == b"CONT\t1\t\n"
    assert turns("AUTH\t7\tPLAIN\tservice=smtp\tresp=") == [b"FAIL\t7\treason=malformed response\n"]
    names = [f"CONT\t2\t{b64(b'anna')}", f"CONT\t2\t{b64(b'secret')}"]
    first, second, last = turns(f"AUTH\t2\tlogin\t{POSTFIX}", *names)
    assert (first, second) == (f"CONT\t2\t{b64(b'Username:')}\n".encode(), f"CONT\t2\t{b64(b'Password:')}\n".encode())
    assert last == Attempt(2, ANNA, "198.51.100.7", "smtp", secured=True)
    asked, last = turns(f"AUTH\t3\tLOGIN\tresp={b64(b'anna')}", f"CONT\t3\t{b64(b'secret')}")
    assert asked == f"CONT\t3\t{b64(b'Password:')}\n".encode()
    assert last == Attempt(3, ANNA)


@pytest.mark.parametrize(
    "line",
    [
        "AUTH\t1\tCRAM-MD5\tservice=smtp",
        "AUTH\t1\tPLAIN\tresp=!!",
        "AUTH\t1\tPLAIN\tresp==",
        f"AUTH\t1\tPLAIN\tresp={b64(b'anna')}",
        f"AUTH\t1\tPLAIN\tresp={b64(b'ceo%canna%csecret' % (0, 0))}",
        f"AUTH\t1\tPLAIN\tresp={b64(b'%canna%csecret' % (0, 0))} ",
    ],
)
def test_what_cannot_be_right_fails_at_once(line):
    [found] = turns(line)
    assert found.startswith(b"FAIL\t1\treason=")
    assert b"secret" not in found


def test_after_a_failure_the_number_is_free():
    assert turns("AUTH\t1\tPLAIN\tresp=!!", f"AUTH\t1\tPLAIN\t{POSTFIX}")[1] == b"CONT\t1\t\n"
    assert turns(f"AUTH\t1\tPLAIN\t{POSTFIX}", "CANCEL\t1", f"AUTH\t1\tPLAIN\t{POSTFIX}")[1:] == [b"", b"CONT\t1\t\n"]


@pytest.mark.parametrize(
    "lines",
    [
        ["AUTH\t1"],
        ["AUTH\t\tPLAIN"],
        ["AUTH\tx\tPLAIN"],
        ["AUTH\t-1\tPLAIN"],
        ["AUTH\t4294967296\tPLAIN"],
        ["AUTH\t٣\tPLAIN"],
        ["AUTH\t1\tPLAIN", "AUTH\t1\tPLAIN"],
        [f"AUTH\t{one}\tPLAIN" for one in range(MAX_EXCHANGES + 1)],
        ["CONT\t1\tAAAA"],
        ["AUTH\t1\tPLAIN", "CONT\t1"],
        ["AUTH\t1\tPLAIN", "CONT\t1\tAAAA\tmore"],
        ["VERSION\t2\t0"],
        ["VERSION"],
        ["REQUEST\t1\t2\t3"],
        [""],
        [b"AUTH\t1\t\xff\n"],
        [b"A" * MAX_LINE_BYTES],
        [b"A" * MAX_LINE_BYTES + b"\n"],
    ],
)
def test_what_is_not_the_protocol_ends_the_connection(lines):
    with pytest.raises(BadCallError):
        turns(*lines)


@pytest.mark.parametrize("hello", [b"", b"VERSION\t1\t0\n", b"CPID\t1\n"])
def test_nothing_goes_before_the_introduction(hello):
    with pytest.raises(BadCallError):
        turns("AUTH\t1\tPLAIN", hello=hello)


def test_the_client_of_postfix_cannot_say_who_it_is():
    """Its response is the last parameter; what stands there does not count for what Postfix has said before."""
    [found] = turns(f"AUTH\t1\tPLAIN\t{POSTFIX}\tresp={b64(b'%canna%csecret' % (0, 0))}\trip=192.0.2.9")
    assert found.client == "198.51.100.7"


def test_answers():
    assert accepted(3, "anna") == b"OK\t3\tuser=anna\n"
    assert failed(3) == b"FAIL\t3\n"
    assert failed(3, user="a\tb\nc", reason="no\r\n\0") == b"FAIL\t3\tuser=a?b?c\treason=no???\n"


@given(st.binary(max_size=300), st.lists(st.integers(0, 30), max_size=6))
def test_any_octets_end_in_turns_or_in_the_one_error(octets, sizes):
    dialogue = AuthDialogue()
    dialogue.feed(HELLO)
    pieces = []
    for size in sizes:
        pieces.append(octets[:size])
        octets = octets[size:]
    with suppress(BadCallError):
        for piece in (*pieces, octets):
            dialogue.feed(piece)
            while dialogue.turn() is not None:
                pass


_WORDS = st.sampled_from(
    [
        "AUTH",
        "CONT",
        "CANCEL",
        "VERSION",
        "CPID",
        "1",
        "2",
        "PLAIN",
        "LOGIN",
        "resp=",
        "rip=x",
        "AGEAYg==",
        "YW5uYQ==",
        "",
    ]
)


@given(st.lists(st.lists(_WORDS, max_size=5), max_size=8))
def test_any_lines_of_its_words_do_too(lines):
    with suppress(BadCallError):
        for found in turns(*("\t".join(line) for line in lines)):
            assert isinstance(found, bytes | Attempt)
