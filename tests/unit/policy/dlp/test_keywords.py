"""Keywords: words of any script between their borders, in any case."""

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from mailseal.policy.dlp.expression import options
from mailseal.policy.dlp.keywords import MAX_KEYWORDS, borderless, expression
from mailseal.policy.dlp.model import Kind, Pattern
from mailseal.policy.dlp.normal import normalise
from mailseal.policy.dlp.scanner import Scanner
from mailseal.policy.inspection import Inspection, Passage
from mailseal.policy.model import Action
from mailseal.policy.pattern import PatternError


def pattern(text: str, **more) -> Pattern:
    return Pattern("k", 1, "words", Kind.KEYWORDS, text, Action.WARN, **more)


def count(words: str, text: str) -> int:
    found = Scanner([pattern(words)]).findings(Inspection((Passage("body", text),)))
    return found[0].count if found else 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("geheim", "Das ist GEHEIM!"),
        ("\u00e9cole", "l\u2019\u00c9COLE"),  # \b of RE2 finds none of it
        ("\u0441\u0435\u043a\u0440\u0435\u0442", "\u0421\u0415\u041a\u0420\u0415\u0422."),  # Cyrillic
        (
            "\u03bc\u03c5\u03c3\u03c4\u03b9\u03ba\u03cc\u03c2",
            "\u039c\u03a5\u03a3\u03a4\u0399\u039a\u038c\u03a3",
        ),  # Greek, final sigma
        ("\u0633\u0631\u064a", "(\u0633\u0631\u064a)"),  # Arabic
        ("\u0917\u094b\u092a\u0928\u0940\u092f", "\u0917\u094b\u092a\u0928\u0940\u092f \u0939\u0948"),  # Devanagari
        ("\u673a\u5bc6", "\u8fd9\u662f\u673a\u5bc6\u6587\u4ef6"),  # Han: no spaces
        ("\u79d8\u5bc6", "\u3053\u308c\u306f\u79d8\u5bc6\u3067\u3059"),  # Japanese
        ("\u0e25\u0e31\u0e1a", "\u0e40\u0e2d\u0e01\u0e2a\u0e32\u0e23\u0e25\u0e31\u0e1a\u0e21\u0e32\u0e01"),  # Thai
        ("\uae30\ubc00", "\uae30\ubc00\uc740"),  # Korean with a particle
        ("stra\u00dfe", "STRASSE"),
        ("STRASSE", "stra\u00dfe"),
        ("ma\u00dfstab", "MA\u1e9eSTAB"),
        ("gizli", "G\u0130ZL\u0130"),  # Turkish
        ("KI\u015eI", "k\u0131\u015f\u0131"),
        ("top secret", "Top-Secret"),
        ("top secret", "top_secret.pdf"),
        ("top secret", "top\n secret"),
        ("top-secret", "top secret"),
        ("TLP:RED", "[tlp:red]"),
        ("C++", "written in C++."),
        ("vertraulich", "streng_vertraulich_2.docx"),
        ("geheim*", "Geheimnisse"),
        ("*geheimnis", "Vertragsgeheimnis"),
        ("*geheim*", "Vertragsgeheimnisse"),
        ("caf\u00e9", "cafe\u0301"),  # two code points
        ("secret", "\uff53\uff45\uff43\uff52\uff45\uff54"),  # full width
        ("secret", "sec\u200bret"),
        ("secret", "se-\ncret"),
        ("secret", "s\u0435cret"),  # a Cyrillic e
    ],
)
def test_found(words, text):
    assert count(words, text) == 1


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("geheim", "Geheimnis, ungeheim"),
        ("cole", "\u00e9cole"),
        ("\u00e9co", "\u00e9cole"),
        ("\u0441\u0435\u043a", "\u0441\u0435\u043a\u0440\u0435\u0442"),
        ("\u0917\u094b\u092a", "\u0917\u094b\u092a\u0940"),  # a vowel sign goes on
        ("secret", "secret7"),
        ("geheim*", "ungeheim"),
        ("*geheim", "geheimnis"),
        ("top secret", "topsecret"),
        ("top secret", "top of the secret"),
    ],
)
def test_not_found(words, text):
    assert count(words, text) == 0


def test_the_longer_of_two_words_counts_and_those_that_overlap_both():
    assert count("secret\nsecret report", "secret report") == 1
    assert count("top secret\nsecret report", "top secret report") == 2
    assert count("secret", "secret secret,secret") == 1, "the same word"
    assert count("a1\nb2\nc3", "a1 b2 c3 a1") == 3, "one border between two words is enough"


def test_lines_that_are_the_same_or_empty_do_not_count():
    assert count("\n secret \n\nsecret\n", "secret") == 1


@pytest.mark.parametrize("text", ["", " \n ", "*", "secret\n * ", "**\nx"])
def test_no_keyword(text):
    with pytest.raises(PatternError, match="no keyword"):
        expression(text)


def test_too_many_keywords():
    with pytest.raises(PatternError, match="more than"):
        expression("\n".join(f"w{one}" for one in range(MAX_KEYWORDS + 1)))


def test_as_many_keywords_as_may_be_are_one_program():
    words = "\n".join(f"w\u00f6rd {one} x" for one in range(MAX_KEYWORDS))
    assert count(words, "the w\u00f6rd 777 x") == 1


WORDS = st.text(st.characters(categories=["L", "N", "M", "P", "S", "Zs"]), min_size=1, max_size=12)


@given(
    WORDS, st.sampled_from(["", "a ", "(", "\u00e9\n", "\u673a\u5bc6 "]), st.sampled_from(["", " b", ".", "\n\u0416"])
)
def test_any_word_is_found_between_borders(word, before, after):
    try:
        expression(word)
    except PatternError:
        return
    word = word.replace("*", "x")
    assert count(word, f"{before}{word}{after}") >= 1


@given(st.lists(WORDS, min_size=1, max_size=4), st.text(max_size=30))
def test_the_filter_matches_wherever_the_expression_does(words, text):
    text = normalise(" ".join([*words, text]))
    listed = "\n".join(words)
    try:
        full = re2.compile(expression(listed).encode(), options())
    except PatternError:
        return
    if full.search(text.encode()) is not None:
        assert re2.compile(borderless(listed).encode(), options()).search(text.encode()) is not None
