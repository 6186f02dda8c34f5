"""Every example of the starter library, alone and with all its patterns at once."""

from functools import cache
from pathlib import Path

import pytest

from mailseal.policy.dlp.library import starters
from mailseal.policy.dlp.scanner import Scanner
from mailseal.policy.dlp.trial import try_pattern
from mailseal.policy.dlp.validators import VALIDATORS
from mailseal.policy.inspection import Inspection, Passage

EXAMPLES = [
    pytest.param(one, text, good, id=f"{one.pattern.id}-{good}-{index}")
    for one in starters()
    for good, texts in ((True, one.true), (False, one.false))
    for index, text in enumerate(texts)
]


@cache
def whole_library() -> Scanner:
    return Scanner([one.pattern for one in starters()])


@pytest.mark.parametrize(("starter", "text", "good"), EXAMPLES)
def test_example(starter, text, good):
    for scanner in (Scanner([starter.pattern]), whole_library()):
        names = {one.name for one in scanner.findings(Inspection((Passage("body", text),)))}
        assert (starter.pattern.name in names) is good


@pytest.mark.parametrize("starter", starters(), ids=lambda one: one.pattern.id)
def test_has_examples_of_both_kinds_and_may_be_saved(starter):
    assert len(starter.true) >= 2
    assert len(starter.false) >= 2
    try_pattern(starter.pattern)


def test_names_and_identities_are_unique():
    names, identities = ({getattr(one.pattern, field) for one in starters()} for field in ("name", "id"))
    assert len(names) == len(identities) == len(starters())


def test_all_groups_that_are_promised():
    assert {one.group for one in starters()} == {
        "payment",
        "identity-eu",
        "identity-uk-us",
        "documents",
        "credentials",
        "personal",
        "medical",
        "classification",
    }


def test_an_ordinary_mail_has_nothing():
    text = """Dear Anna, thank you for your call of 12 March. The offer no. 2024-0815 comes to 1,250.00 EUR; the parts
    are in stock (order 4500012345, tracking 9400111899223817). Call +49 30 1234567 or write to bob@beta.example.
    Sehr geehrte Frau Meier, anbei die Unterlagen. Das Passwort erhalten Sie per SMS. Mit freundlichen Grüßen"""
    assert whole_library().findings(Inspection((Passage("body", text),))) == ()


def test_the_page_names_every_pattern_and_validator():
    page = (Path(__file__).parents[4] / "docs" / "dlp.md").read_text(encoding="utf-8")
    missing = [name for name in (*VALIDATORS, *(one.pattern.id for one in starters())) if f"`{name}`" not in page]
    assert missing == []
