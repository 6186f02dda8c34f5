"""What is refused when a pattern is saved: in RE2's words, or because it would find nothing or everything."""

import pytest

from mailseal.policy.dlp.expression import MAX_TEXT_CHARS
from mailseal.policy.dlp.model import Kind, Pattern
from mailseal.policy.dlp.scanner import MAX_VALUES, Scanner, check_pattern
from mailseal.policy.dlp.trial import seconds_per_mb, try_pattern
from mailseal.policy.model import Action
from mailseal.policy.pattern import PatternError


def pattern(text: str, **more) -> Pattern:
    return Pattern("e", 1, "expression", Kind.EXPRESSION, text, Action.WARN, **more)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(", r"missing \): \("),
        (r"(?<!\d)\d{9}(?!\d)", r"invalid perl operator: \(\?<"),
        (r"a(?=b)", r"invalid perl operator: \(\?="),
        (r"(a)\1", r"invalid escape sequence: \\1"),
        (r"a++", r"bad repetition operator: \+\+"),
        (r"\u00e9", r"invalid escape sequence: \\u"),
        (r"x{1,2000}", r"invalid repetition size: \{1,2000\}"),
        (r"(?x) a", r"invalid perl operator: \(\?x"),
        (r"(?:\pL{100}){10}", "pattern too large"),
        ("x*", "matches the empty text"),
        ("a|", "matches the empty text"),
        (r"\b", "matches the empty text"),
        ("^", "matches the empty text"),
        ("", "matches the empty text"),
        ("\\b\u00e9cole\\b", "ASCII letters alone"),
        ("\u00e9\\w+", "ASCII letters alone"),
        ("l\u2019\u00e9t\u00e9", r"U\+2019"),
        ("\ufb01", r"U\+FB01"),
        ("a\u200bb", r"U\+200B"),
        ("\u0664", r"U\+0664"),
        (r"a\nb", "white space"),
        ("a\nb", "white space"),
        ("a  b", "white space"),
        (r"a\tb", "white space"),
        ("\ud800", "no Unicode text"),
        ("a" * (MAX_TEXT_CHARS + 1), "longer than"),
    ],
)
def test_refused(text, message):
    with pytest.raises(PatternError, match=message):
        check_pattern(pattern(text))


@pytest.mark.parametrize(
    "text",
    [
        r"\b\d{9}\b",
        r"[\t\n ]x",
        r"a\\n",
        r"\Qa\nb\E",
        r"(?:^|[^\pL\pN_])école(?:$|[^\pL\pN_])",
        r"(?-i:AKIA[A-Z2-7]{16})",
        r"a[]\n]b",
        r"[[:alpha:]]+\s+x",
        "机密",
    ],
)
def test_taken(text):
    check_pattern(pattern(text))


@pytest.mark.parametrize("threshold", [0, -1, MAX_VALUES + 1])
def test_thresholds(threshold):
    with pytest.raises(PatternError, match="threshold"):
        check_pattern(pattern("a", threshold=threshold))


def test_an_unknown_validator_is_refused_and_the_known_are_told():
    with pytest.raises(PatternError, match=r"no validator 'lun': .*iban"):
        check_pattern(pattern("a", validator="lun"))
    with pytest.raises(PatternError, match="no validator"):
        Scanner([pattern("a", validator="lun")])


def test_a_scanner_leaves_no_pattern_out():
    with pytest.raises(PatternError, match="missing"):
        Scanner([pattern("a"), pattern("(")])


@pytest.mark.parametrize("text", ["x(?:.*y)?", "[a-z](?:.*0)?"])
def test_a_pattern_that_looks_ahead_to_the_end_for_each_match_is_too_slow(text):
    with pytest.raises(PatternError, match=r"too slow: some texts take .* for 1 MB"):
        try_pattern(pattern(text))


@pytest.mark.parametrize("text", ["a[^x]{0,90}b", "(a|e).{50}q"])
def test_a_pattern_that_multiplies_states_in_ordinary_text_is_too_slow(text):
    with pytest.raises(PatternError, match=r"too slow: .* times as long .* shorten counted repetitions"):
        try_pattern(pattern(text))


@pytest.mark.parametrize("text", [r"\b\d(?:[ .-]{0,2}\d){11,18}\b", "password[^x]{0,90}b", r"[\w.]+@[\w.]+"])
def test_usual_patterns_are_quick_enough(text):
    try_pattern(pattern(text))
    assert seconds_per_mb(pattern(text)) > 0


def test_keywords_are_tried_too():
    try_pattern(Pattern("k", 1, "words", Kind.KEYWORDS, "geheim\nstreng vertraulich\n*nis", Action.WARN))
