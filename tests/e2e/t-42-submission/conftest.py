"""One site for all of these stories."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.submission import House, submission_house


@pytest.fixture(scope="module", name="_house")
def _running(need_postfix: None) -> Iterator[House]:
    with submission_house() as made:
        yield made


@pytest.fixture
def house(_house: House) -> Iterator[House]:
    for sink in (_house.inside, _house.outside):
        sink.up()
        sink.clear()
    _house.forget_log()
    yield _house
    _house.wait_until_empty()
