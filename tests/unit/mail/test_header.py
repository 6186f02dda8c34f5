import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.mail.header import HeaderError, addresses, authors, decoded_subject, encode_value, seen_names
from mailseal.mail.mime import parse

VALUES = st.text(st.characters(blacklist_characters="\r\n\0", blacklist_categories=["Cs"]), max_size=300)


@given(VALUES)
def test_encoded_values_read_back(value):
    field = encode_value("Subject", value)
    assert field.startswith(b"Subject: ")
    assert field.isascii()
    lines = field.split(b"\r\n")
    assert lines.pop() == b""
    assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)
    assert all(len(line) <= 998 and line.strip(b" \t") for line in lines)
    assert all(line[:1] in b" \t" for line in lines[1:])
    parsed = parse(field + b"\r\n")
    assert [found.name for found in parsed.root.fields] == ["subject"]
    controls = [character for character in value if ord(character) < 32 or 127 <= ord(character) < 160]
    if not controls and not set("\u2028\u2029") & set(value):
        assert decoded_subject(parsed.root) == value.strip(" \t")


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("Subject", "plain", b"Subject: plain\r\n"),
        ("Subject", "", b"Subject: \r\n"),
        ("Subject", " Grüße an alle ", b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_an_alle?=\r\n"),
        ("Subject", "äöü", b"Subject: =?utf-8?b?w6TDtsO8?=\r\n"),
        ("Subject", "=?utf-8?q?x?=", b"Subject: =?utf-8?b?PT91dGYtOD9xP3g/PQ==?=\r\n"),
        ("X-A", "w " * 40 + "w", b"X-A: " + b"w " * 36 + b"w\r\n w w w w\r\n"),
    ],
)
def test_encode_value(name, value, field):
    assert encode_value(name, value) == field


def test_long_words_are_encoded_not_broken():
    field = encode_value("X-A", "x" * 2000)
    assert max(map(len, field.split(b"\r\n"))) <= 78
    assert decoded_subject(parse(field.replace(b"X-A", b"Subject") + b"\r\n").root) == "x" * 2000


@pytest.mark.parametrize(
    ("name", "value"),
    [("A", "b\r\nBcc: c"), ("A", "b\n"), ("A", "\0"), ("A:", "b"), ("", "b"), ("A b", "c"), ("Ä", "b"), ("A\r\n", "b")],
)
def test_header_injection_is_an_error(name, value):
    with pytest.raises(HeaderError):
        encode_value(name, value)


def test_all_from_fields_count():
    root = parse(b"From: a@x.example\r\nTo: t@x.example\r\nfrom: B <b@x.example>\r\n\r\n").root
    assert [str(address) for address in authors(root)] == ["a@x.example", "b@x.example"]
    assert [str(address) for address in addresses(root, "to")] == ["t@x.example"]
    assert addresses(root, "cc") == ()


def test_a_folded_from():
    root = parse(b"From: =?utf-8?q?boss=40x?=\r\n =?utf-8?q?_y?=\r\n\t<a@x.example>\r\n\r\n").root
    assert [str(address) for address in authors(root)] == ["a@x.example"]


def test_several_subjects_are_one_line():
    root = parse(b"Subject: a\r\nSubject: =?utf-8?q?=0Ab?=\r\n\r\n").root
    assert decoded_subject(root) == "a  b"


PIECES = [b"\r", b"\r\n ", b" ", b"x", b":", b"x-name", b"X-NAME", b"x-nam", b"\xff", b"\0"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
def test_where_a_name_is_seen(raw):
    """Told anew, by an expression that takes quadratic time."""
    seen = re.finditer(rb"(?:\A[^!-~]*+|\r[^!-~]*+)x-name", raw, re.IGNORECASE)
    assert seen_names(raw, b"x-name") == [one.end() for one in seen]


@pytest.mark.parametrize("piece", [b"\r", b" \r", b"\rx-name", b"x-name", b"\rx-nam"])
def test_names_are_looked_for_in_linear_time(piece):
    found = seen_names(b"X: " + piece * (250_000 // len(piece)), b"x-name")
    assert bool(found) is (piece == b"\rx-name")
