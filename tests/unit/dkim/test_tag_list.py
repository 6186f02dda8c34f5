"""Tag lists: what is read, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.dkim.tag_list import MAX_CHARS, TagError, base64_of, number_of, parse_tags, required, words_of


def test_white_space_and_the_last_semicolon_count_for_nothing():
    assert parse_tags(" a = 1 ;\r\n\tb=2 3;\t") == {"a": "1", "b": "2 3"}
    assert parse_tags("p=") == {"p": ""}
    assert parse_tags("d=b\u00fccher.example") == {"d": "b\u00fccher.example"}


@pytest.mark.parametrize("text", [
    "", ";", " ", "a", "a=1;;b=2", "=1", "1a=1", "a-b=1", "a=1;a=2", "a=1; A", "a=\0", "a=\x7f", "a=\udcff",
    "\u00e4=1", "a=1;" * 60, "a=" + "x" * MAX_CHARS,
])  # fmt: skip
def test_what_is_no_tag_list(text):
    with pytest.raises(TagError):
        parse_tags(text)


def test_tag_names_differ_by_case():
    assert parse_tags("a=1;A=2") == {"a": "1", "A": "2"}


def test_values():
    tags = parse_tags("b=QUJ\r\n\t D; n=12; h=From : to:x; e=; w=x=y")
    assert base64_of(tags, "b") == b"ABC"
    assert number_of(tags, "n") == 12
    assert number_of(tags, "none") is None
    assert words_of(tags, "h") == ("From", "to", "x")
    assert words_of(tags, "none") == ()
    assert tags["w"] == "x=y"
    for wrong in (lambda: required(tags, "e"), lambda: required(tags, "none"), lambda: base64_of(tags, "n")):
        with pytest.raises(TagError):
            wrong()


@pytest.mark.parametrize("value", ["-1", "1.0", "", "1 2", "1" * 13, "\u0661"])
def test_what_is_no_number(value):
    with pytest.raises(TagError):
        number_of({"t": value}, "t")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        tags = parse_tags(text)
    except TagError:
        return
    assert tags
