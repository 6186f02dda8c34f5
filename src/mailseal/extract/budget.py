"""How much of one mail is read: characters, octets, files, depth and time, spent by everything that reads it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from mailseal.policy.inspection import GapReason


class OverBudgetError(Exception):
    """There is nothing left to spend: what was being read is read in part only."""

    def __init__(self, reason: GapReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(slots=True)
class Budget:
    """What is left. `octets` are those that documents and archives unpack to; `until` is of the monotonic clock."""

    characters: int = 64 << 20
    octets: int = 512 << 20
    files: int = 10_000
    depth: int = 10
    until: float = float("inf")
    clock: Callable[[], float] = time.monotonic

    def say(self, characters: int) -> None:
        """Spend text; raises OverBudgetError."""
        self.characters -= characters
        if self.characters < 0:
            raise OverBudgetError(GapReason.TOO_LARGE, "there is more text than is looked at")
        self.check_time()

    def unpack(self, octets: int) -> None:
        """Spend octets that were unpacked; raises OverBudgetError."""
        self.octets -= octets
        if self.octets < 0:
            raise OverBudgetError(GapReason.TOO_LARGE, "it unpacks to more than is looked at")
        self.check_time()

    def open(self, depth: int) -> None:
        """Spend a file at a depth; raises OverBudgetError."""
        self.files -= 1
        if self.files < 0:
            raise OverBudgetError(GapReason.TOO_MANY, "there are more files than are looked at")
        if depth > self.depth:
            raise OverBudgetError(GapReason.TOO_DEEP, "files in files, deeper than is looked at")
        self.check_time()

    def check_time(self) -> None:
        """Raises OverBudgetError when the time is over."""
        if self.clock() >= self.until:
            raise OverBudgetError(GapReason.TIMEOUT, "reading it took too long")
