import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.policy.pattern import MAX_PATTERN_LENGTH, PatternError, compile_pattern


def test_a_pattern_is_searched_for_anywhere():
    assert compile_pattern("b+").search("abbc").group() == "bb"
    assert compile_pattern("b+").search("ac") is None


def test_a_pattern_is_compiled_once():
    assert compile_pattern("once") is compile_pattern("once")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(", "not an RE2 pattern: missing ): ("),
        ("a**", "not an RE2 pattern: bad repetition operator: **"),
        (r"(a)\1", r"not an RE2 pattern: invalid escape sequence: \1"),
        ("(?=a)b", "not an RE2 pattern: invalid perl operator: (?="),
        ("x*", "the pattern matches the empty text, so it would match every mail"),
        ("", "the pattern matches the empty text, so it would match every mail"),
        ("a" * 257, "the pattern is longer than 256 characters"),
    ],
)
def test_patterns_that_cannot_be_used_say_why(text, message):
    with pytest.raises(PatternError) as caught:
        compile_pattern(text)
    assert str(caught.value) == message


def test_the_longest_pattern_is_allowed():
    assert compile_pattern("a" * MAX_PATTERN_LENGTH).search("a" * 300)


def test_a_pattern_that_would_grow_is_refused():
    with pytest.raises(PatternError):
        compile_pattern("((a{100}){100}){100}")


def test_re2_writes_nothing_to_standard_error(capfd):
    with pytest.raises(PatternError):
        compile_pattern("[z-a]")
    assert capfd.readouterr().err == ""


@given(st.text(max_size=40))
def test_any_text_is_a_pattern_or_a_pattern_error(text):
    with contextlib.suppress(PatternError):
        assert compile_pattern(text).search("") is None
