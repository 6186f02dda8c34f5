"""What only looks different is made equal, and each way to read a text is given."""

import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.policy.dlp.normal import normalise, readings, skeleton


def every(text: str) -> list[str]:
    return [octets.decode() for octets in readings(text)]


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("a\tb\r\nc\u00a0d\u2003\u2028e  f", "a b c d e f"),
        ("  a  ", "a"),
        ("\uff14\uff11\uff11\uff11", "4111"),  # full width
        ("\u0664\u0661 \u09ea\u09e7 \U0001d7d2\U0001d7cf", "41 41 41"),  # Arabic, Bengali, mathematical bold
        ("41\u00ad11 41\u200b11 41\u206011 41\ufeff11", "4111 4111 4111 4111"),
        ("4\ufe0f\u20e31\ufe0f\u20e3", "41"),  # keycaps
        ("s\u0336e\u0336c\u0336ret", "secret"),  # struck through
        ("4\uf0311\uf031", "4111"),  # of a font of symbols
        ("cafe\u0301", "caf\u00e9"),
        ("\ufb01le \u2460", "file 1"),
        ("4111\u20131111\u20141111\u22121111", "4111-1111-1111-1111"),
        ("l\u2019\u00e9t\u00e9 \u201cx\u201d", 'l\'\u00e9t\u00e9 "x"'),
        ("x\ud800y", "x\ufffdy"),
        ("\u1100\u200b\u1161", "\uac00"),  # Hangul letters that a zero-width space keeps apart
        ("", ""),
    ],
)
def test_what_looks_the_same_is_the_same(text, normal):
    assert normalise(text) == normal


@given(st.text())
def test_normalising_again_changes_nothing(text):
    assert normalise(normalise(text)) == normalise(text)


def test_no_single_character_is_left_half_normalised():
    some = range(0, sys.maxunicode, 97)
    assert [one for one in some if normalise(once := normalise(f"a{chr(one)}b")) != once] == []


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_letters_and_digits_stay(text):
    kept = [one for one in unicodedata.normalize("NFKC", text) if "a" <= one.lower() <= "z" or "0" <= one <= "9"]
    assert [one for one in normalise(text) if one in kept][: len(kept)] == kept


@pytest.mark.parametrize(
    ("text", "also"),
    [
        ("confi-\ndential", "confidential"),
        ("c o n f i d e n t i a l", "confidential"),
        ("pass\x00word", "password"),
        ("pass\x9bword", "password"),
        ("\u0421onfidential", "Confidential"),  # a Cyrillic letter
        ("p\u03b1ssword", "password"),  # a Greek one
        ("p\u0430ss-\nword", "password"),
    ],
)
def test_other_readings(text, also):
    assert every(text)[0] == normalise(text)
    assert also in every(text)[1:]


@pytest.mark.parametrize(
    "text",
    [
        "plain text, a - b, x y z",
        "\u041f\u0440\u0438\u0432\u0435\u0442 and hello",
        "1 2 3 4",
        "a\tb\nc",
        "\u00e9t\u00e9",
    ],
)
def test_a_text_without_tricks_has_one_reading(text):
    assert every(text) == [normalise(text)]


@given(st.text())
def test_readings_never_fail_and_are_few(text):
    assert 1 <= len(every(text)) <= 3


def test_control_characters_part_words_in_the_first_reading():
    assert every("name\x07secret") == ["name secret", "namesecret"]


@pytest.mark.parametrize("marks", ["\u0301\u0316", "\u0316\u0301\u0334", "\u0f71\u0f72\u0f74"])
def test_many_marks_on_a_letter_take_no_quadratic_time(marks):
    before = time.thread_time()
    normalise("a" + marks * 100_000)
    assert time.thread_time() - before < 5, "20,000 pairs take unicodedata.normalize a second, 100,000 half a minute"


def test_skeleton():
    assert skeleton("4111-1111 1111.1111") == skeleton("4111111111111111")
    assert skeleton("Top Secret") == skeleton("top-secret") == skeleton("t\u043ep_secret")
    assert skeleton("stra\u00dfe") == skeleton("STRASSE")
    assert skeleton("-.-") == "-.-"
