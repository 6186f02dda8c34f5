"""What a rule is for, and the forms in which Postfix asks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.config.next_hop import next_hop
from mailseal.postfix.tls_destination import (
    DestinationError,
    Place,
    UnknownKeyError,
    place_of,
    read_destination,
    read_key,
    wildcards_above,
)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Example.COM", "example.com"),
        (" bücher.example ", "xn--bcher-kva.example"),
        ("*.Example.com", "*.example.com"),
        ("[MX.example.com]:587", "[mx.example.com]:587"),
        ("[mx.example.com]", "[mx.example.com]:25"),
        ("[mx.example.com]:submission", "[mx.example.com]:587"),
        ("mx.example.com:smtps", "[mx.example.com]:465"),
        ("192.0.2.1:25", "[192.0.2.1]:25"),
        ("[192.0.2.1]", "[192.0.2.1]:25"),
        ("[2001:DB8:0::1]:25", "[2001:db8::1]:25"),
        ("[IPv6:2001:db8::1]:25", "[2001:db8::1]:25"),
        ("localhost", "localhost"),
    ],
)
def test_a_destination_is_stored_in_one_form(text, key):
    found = read_destination(text)
    assert found.key == key
    assert found.wildcard is key.startswith("*.")
    assert read_destination(found.key) == found


@pytest.mark.parametrize(
    "text",
    [
        "", "*.", "*", ".example.com", "a b.example", "example.com,other", "example.com\nsecure", "[mx.example.com",
        "[mx.example.com]25", "[mx.example.com]:0", "[mx.example.com]:65536", "[mx.example.com]:", "[]:25",
        "mx.example.com:x", "2001:db8::1:25", "[a b]:25", "[mx{}]:25", "[mx.example.com]:25 none", "x" * 400,
        "[mx.example.com]:٢٥",
    ],
)  # fmt: skip
def test_what_is_no_destination(text):
    with pytest.raises(DestinationError):
        read_destination(text)


@pytest.mark.parametrize(
    ("key", "destinations", "domain", "place"),
    [
        ("example.com", ("example.com", "*.com"), "example.com", None),
        ("a.b.example", ("a.b.example", "*.b.example", "*.example"), "a.b.example", None),
        ("a.b.example.", ("a.b.example", "*.b.example", "*.example"), "a.b.example", None),
        ("A.Example", ("a.example", "*.example"), "a.example", None),
        ("bücher.example", ("xn--bcher-kva.example", "*.example"), "xn--bcher-kva.example", None),
        ("_a.example", ("_a.example", "*.example"), "_a.example", None),
        (".b.example", ("*.b.example", "*.example"), "", None),
        ("[mx.example]:587", ("[mx.example]:587",), "", Place("mx.example", 587)),
        ("[mx.example]", ("[mx.example]:25",), "", Place("mx.example", 25)),
        ("[mx.example]:smtp", ("[mx.example]:25",), "", Place("mx.example", 25)),
        ("[1.2.3.4]:25", ("[1.2.3.4]:25",), "", Place("1.2.3.4", 25)),
        ("[1.2.3.4]", ("[1.2.3.4]:25",), "", Place("1.2.3.4", 25)),
        ("[ipv6:2001:db8::1]", ("[2001:db8::1]:25",), "", Place("2001:db8::1", 25)),
        ("mx.example:2525", ("[mx.example]:2525", "mx.example", "*.example"), "", Place("mx.example", 2525)),
        ("1.2.3.4:24", ("[1.2.3.4]:24",), "", Place("1.2.3.4", 24)),
    ],
)
def test_what_may_answer_a_question(key, destinations, domain, place):
    asked = read_key(key)
    assert (asked.destinations, asked.domain, asked.place) == (destinations, domain, place)
    assert asked.parent is key.startswith(".")
    assert not asked.local


def test_a_unix_socket_is_of_this_machine():
    assert read_key("/run/dovecot/lmtp").local


@pytest.mark.parametrize(
    "key", ["", ".", "..", "a..b", "a b", "[x", "a:b:c", "x:y", "[a]b", "straße.example", "x" * 301]
)
def test_what_cannot_be_asked_for(key):
    with pytest.raises(UnknownKeyError):
        read_key(key)


@given(st.text(max_size=320))
def test_any_question_is_read_or_refused(key):
    try:
        asked = read_key(key)
    except UnknownKeyError:
        return
    assert asked.local or asked.destinations
    for one in asked.destinations:
        assert read_destination(one).key == one


@given(st.text(max_size=320))
def test_any_destination_is_read_or_refused(text):
    try:
        found = read_destination(text)
    except DestinationError:
        return
    assert read_destination(found.key) == found
    assert not set(found.key) & set(" ,\t\r\n{}=\0")


def test_where_a_next_hop_is():
    assert place_of(next_hop("smtps://MX.example:465")) == Place("mx.example", 465)
    assert place_of(next_hop("smtp://[2001:DB8::1]:25")) == Place("2001:db8::1", 25)
    assert place_of(next_hop("lmtp:///run/x")) is None
    assert Place("10.0.0.1", 25).is_address
    assert not Place("mx.example", 25).is_address


def test_wildcards():
    assert wildcards_above("a.b.c") == ("*.b.c", "*.c")
    assert wildcards_above("c") == ()
