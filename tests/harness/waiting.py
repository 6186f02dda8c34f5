"""Waiting for what comes about by itself: how a test sees what another thread or process has done."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_SECONDS = 60.0
"""After it, something is broken. No measure of anything: on a busy machine all takes longer than one thinks."""
LOOK_AGAIN_SECONDS = 0.02

T = TypeVar("T")


def wait_until(
    holds: Callable[[], T], told: Callable[[], object] = lambda: "it did not happen in time", *,
    seconds: float = PATIENCE_SECONDS, every: float = LOOK_AGAIN_SECONDS,
) -> T:  # fmt: skip
    """What `holds` returns once that is true; fails with what is `told` otherwise."""
    until = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < until, told()
        time.sleep(every)
    return found
