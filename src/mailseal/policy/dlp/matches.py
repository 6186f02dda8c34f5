"""The matches of one pattern in octets, and which of them are the numbers that its validator wants."""

import re
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from mailseal.policy.dlp.expression import VALUE, compiled
from mailseal.policy.dlp.model import Kind, Pattern
from mailseal.policy.dlp.validators import VALIDATORS, Validator
from mailseal.policy.pattern import PatternError

MAX_CANDIDATES = 100_000
"""Different texts of one mail that a validator is asked about; each takes some microseconds."""
MAX_SECONDS = 10
"""Of processor time for one pattern in one text; a bound for patterns that look far ahead for each match."""
_MAX_PIECES = 20
"""Pieces of a match that may be parts of one number; "4111 1111 1111 1111" has four."""
_PIECE = re.compile(rb"[0-9A-Za-z\x80-\xff]+")

Span = tuple[int, int]
IsOver = Callable[[], bool]
"""Whether the time for a mail is over."""


def never() -> bool:
    """No bound in time: for trials."""
    return False


class TooManyError(Exception):
    """There are more candidates than are looked at: what is among the others is not known."""


class OutOfTimeError(Exception):
    """The time for a mail is over: what is in the rest is not known."""


class Judge:
    """What a validator says of the texts of one mail, whichever patterns want it."""

    def __init__(self, validator: Validator) -> None:
        self.lengths = validator.lengths
        self.longest = max(validator.lengths, default=sys.maxsize)
        self._holds = validator.holds
        self._said: dict[bytes, bool] = {}

    def holds(self, octets: bytes) -> bool:
        """Whether it is such a number; raises TooManyError."""
        said = self._said.get(octets)
        if said is None:
            if len(self._said) >= MAX_CANDIDATES:
                raise TooManyError
            said = self._said[octets] = self._holds(octets.decode(errors="replace"))
        return said


class Matcher:
    """A pattern, compiled. Raises PatternError for one that cannot be used."""

    def __init__(self, pattern: Pattern) -> None:
        self._pattern = pattern
        self._keywords = pattern.kind is Kind.KEYWORDS
        self._program = None if self._keywords else compiled(pattern)
        self._group = 0 if self._program is None else self._program.groupindex.get(VALUE, 0)
        if pattern.validator and pattern.validator not in VALIDATORS:
            raise PatternError(f"there is no validator {pattern.validator!r}: {', '.join(VALIDATORS)}")
        self._validator = VALIDATORS[pattern.validator] if pattern.validator else None

    def judge(self, judges: dict[str, Judge]) -> Judge | None:
        """The one of `judges` for its validator; they are those of one mail, since each remembers what it was asked."""
        if self._validator is None:
            return None
        name = self._pattern.validator
        if name not in judges:
            judges[name] = Judge(self._validator)
        return judges[name]

    def spans(self, octets: bytes, judge: Judge | None, is_over: IsOver = never) -> Iterator[Span]:
        """Where its matches are; of keywords also those that overlap. Raises TooManyError, OutOfTimeError."""
        at, program = 0, self._program or compiled(self._pattern)
        ends = time.thread_time() + MAX_SECONDS
        looks = 0
        while (match := program.search(octets, at)) is not None:
            looks += 1
            if looks % 256 == 0:
                check_time(is_over)
                if time.thread_time() > ends:
                    raise TooManyError
            start, end = self._span(match)
            if judge is None:
                if end > start:
                    yield start, end
                at = self._after_word(octets, start, end) if self._keywords else end
            else:
                number = _number(octets, start, end, judge)
                if number is not None:
                    yield number
                # A match is greedy, "1 4111 1111 1111 111" too: the number may begin at its second piece.
                at = self._after_word(octets, start, end) if number is None else number[1]
            at = max(at, match.start() + 1)

    def _span(self, match: Any) -> Span:
        if self._keywords:  # each of its groups is a keyword
            group = next(one for one in range(1, match.re.groups + 1) if match.start(one) >= 0)
        else:
            group = self._group if self._group and match.start(self._group) >= 0 else 0
        start, end = match.span(group)
        return start, end

    @staticmethod
    def _after_word(octets: bytes, start: int, end: int) -> int:
        word = _PIECE.search(octets, start, end)
        return end if word is None else word.end()


def check_time(is_over: IsOver) -> None:
    """Raises OutOfTimeError when the time is over."""
    if is_over():
        raise OutOfTimeError


def _number(octets: bytes, start: int, end: int, judge: Judge) -> Span | None:
    """The longest number that a match begins with, all of it or up to the end of one of its pieces."""
    if not judge.lengths and judge.holds(octets[start:end]):
        return start, end
    letters, first, fitting = 0, start, []
    for piece in islice(_PIECE.finditer(octets, start, end), _MAX_PIECES):
        if not letters:
            first = piece.start()
        letters += piece.end() - piece.start()
        if letters > judge.longest:
            break
        if not judge.lengths or letters in judge.lengths:
            fitting.append(piece.end())
    return next(((first, last) for last in reversed(fitting) if judge.holds(octets[first:last])), None)
