"""Answers kept from an earlier run would hide what the code under test says now."""

import pytest

from mailseal.policy import combine, pattern, trigger, values


@pytest.fixture(autouse=True)
def _forget() -> None:
    for cached in (
        combine.combine,
        combine.stricter,
        pattern.compile_pattern,
        trigger._subject_pattern,
        values.split_header_trigger,
    ):
        cached.cache_clear()
