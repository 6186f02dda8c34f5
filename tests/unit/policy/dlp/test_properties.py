"""What holds for any text and any patterns."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailseal.policy.dlp.library import starters
from mailseal.policy.dlp.model import Kind, Pattern
from mailseal.policy.dlp.scanner import Scanner
from mailseal.policy.inspection import Inspection, Passage
from mailseal.policy.model import Action

EXPRESSIONS = ("a", "[ab]{2}", r"\d+", "b.?a", r"(?:^|\W)a(?:$|\W)", r"\b4\d{3}(?: ?\d{4}){3}\b")
WORDS = ("a", "b*", "*ab", "a b", "\u00df", "\u673a\u5bc6")
PATTERNS = [
    *(Pattern(f"e{one}", 1, text, Kind.EXPRESSION, text, Action.WARN) for one, text in enumerate(EXPRESSIONS)),
    *(Pattern(f"k{one}", 1, f"k {text}", Kind.KEYWORDS, text, Action.BLOCK) for one, text in enumerate(WORDS)),
    Pattern("v", 1, "cards", Kind.EXPRESSION, EXPRESSIONS[-1], Action.WARN, "card", 2),
]
LIBRARY = Scanner([one.pattern for one in starters()])
TEXTS = st.text("ab 1\n\u00df\u673a\u5bc6-", max_size=20) | st.sampled_from(["4111 1111 1111 1111", "5500005555555559"])
NEEDLES = [
    ("card", "4111 1111 1111 1111"),
    ("iban", "DE89 3704 0044 0532 0130 00"),
    ("private-key", "-----BEGIN RSA PRIVATE KEY-----"),
    ("secret", "Top Secret"),
    ("fi-hetu", "131052-308T"),
    ("confidential", "\u041a\u043e\u043d\u0444\u0438\u0434\u0435\u043d\u0446\u0438\u0430\u043b\u044c\u043d\u043e"),
]


def inspection(*texts: str) -> Inspection:
    return Inspection(tuple(Passage(f"part {index}", text) for index, text in enumerate(texts)))


@given(st.sets(st.sampled_from(PATTERNS), max_size=6), st.sampled_from(PATTERNS), st.lists(TEXTS, max_size=3))
def test_one_more_pattern_never_removes_or_changes_a_finding(some, more, texts):
    before = Scanner(sorted(some, key=lambda one: one.id)).findings(inspection(*texts))
    after = Scanner(sorted({*some, more}, key=lambda one: one.id)).findings(inspection(*texts))
    masked = {(one.key, one.count, one.excerpt) for one in after}
    assert {(one.key, one.count, one.excerpt) for one in before} <= masked


@given(st.lists(TEXTS, max_size=3), TEXTS)
def test_one_more_passage_never_removes_a_finding(texts, more):
    made = Scanner(PATTERNS)
    before = {one.key: one.count for one in made.findings(inspection(*texts))}
    after = {one.key: one.count for one in made.findings(inspection(more, *texts))}
    assert all(after[key] >= count for key, count in before.items())


@pytest.mark.parametrize(("name", "needle"), NEEDLES)
@given(before=st.text(max_size=30), after=st.text(max_size=30))
def test_a_needle_is_found_in_any_text(name, needle, before, after):
    names = {one.key for one in LIBRARY.findings(inspection(f"{before}\n{needle}\n{after}"))}
    assert f"{name}:1" in names


@given(st.text())
def test_any_text_is_scanned(text):
    LIBRARY.findings(inspection(text))
    assert LIBRARY.shown(text) in (text, LIBRARY.masked(text))


@given(before=st.text(max_size=30), after=st.text(max_size=30))
def test_a_needle_is_masked_in_any_text(before, after):
    masked = LIBRARY.masked(f"{before}\n4532 7342 0011 8878\n{after}")
    assert not {"4532", "7342", "0011", "8878"} & set(masked.split())


@settings(max_examples=6, deadline=None)
@given(st.text(max_size=6, min_size=1), st.integers(1, 2))
def test_large_texts_take_bounded_time(piece, times):
    text = piece * (60_000 // len(piece))
    before = time.thread_time()
    LIBRARY.findings(inspection(*[text] * times))
    assert time.thread_time() - before < 10
