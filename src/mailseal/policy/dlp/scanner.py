"""The patterns of one assignment as one program: cost grows with the text, not with the number of patterns.

One `re2.Set` says which patterns are in a passage; only these are looked for one by one.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import re2

from mailseal.policy.dlp.expression import compiled, options, source
from mailseal.policy.dlp.model import Kind, Mask, Pattern
from mailseal.policy.dlp.normal import normalise
from mailseal.policy.dlp.validators import VALIDATORS, compact, valid_values
from mailseal.policy.inspection import Inspection
from mailseal.policy.model import Finding
from mailseal.policy.pattern import PatternError

SET_BYTES = 512 << 20
MAX_HITS = 10_000
"""Matches of one pattern in one mail that are looked at; a table of 60,000 card numbers needs no more."""
MAX_VALUES = 1_000
MAX_PLACES = 20
_SHOWN = 4


class ScanError(Exception):
    """RE2 gave up: what it has not found may be there. The mail waits."""


def check_pattern(pattern: Pattern) -> None:
    """Raises PatternError, with RE2's own words, for a pattern that cannot be used."""
    compiled(pattern)
    if pattern.validator and pattern.validator not in VALIDATORS:
        raise PatternError(f"there is no validator {pattern.validator!r}: {', '.join(VALIDATORS)}")
    if pattern.threshold < 1:
        raise PatternError("the threshold is at least 1")
    if pattern.kind is Kind.EXPRESSION and r"\b" in pattern.text and not pattern.text.isascii():
        raise PatternError(r"\b knows ASCII letters alone, so it fails beside others: use keywords instead")


class Scanner:
    """Patterns, compiled once. Raises PatternError for one that is none: it must not be left out."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self.patterns = tuple(sorted(patterns, key=lambda one: (one.name, one.id)))
        self._programs = [compiled(one) for one in self.patterns]
        self._set = re2.Set.SearchSet(options(SET_BYTES))
        try:
            for one in self.patterns:
                self._set.Add(source(one).encode())
            # Matches anything: a search that ran out of memory finds nothing, and says nothing.
            self._canary = self._set.Add(b"")
            self._set.Compile()
        except re2.error as error:
            raise PatternError(f"the patterns cannot be used together: {error.args[0] if error.args else ''}") from None

    def findings(self, inspection: Inspection) -> tuple[Finding, ...]:
        """What is found, in the order of `patterns`; raises ScanError."""
        if not self.patterns:
            return ()
        seen = [_Seen(pattern) for pattern in self.patterns]
        for passage in inspection.passages:
            octets = normalise(passage.text).encode("utf-8", "replace")
            for index in self._hits(octets):
                seen[index].look(self._programs[index], octets, passage.place)
        return tuple(one.finding() for one in seen if one.counts)

    def masked(self, text: str) -> str:
        """The text, normalised, with every match of a pattern masked: for the safe view."""
        octets = normalise(text).encode("utf-8", "replace")
        spans: list[tuple[int, int]] = []
        for index in self._hits(octets):
            spans += [match.span(_group(match)) for match in _matches(self._programs[index], octets)]
        pieces, at = [], 0
        for start, end in sorted(spans):
            if end > at:
                pieces += [octets[at : max(at, start)].decode(errors="replace"), "█" * min(12, end - max(at, start))]
                at = end
        return "".join([*pieces, octets[at:].decode(errors="replace")])

    def _hits(self, octets: bytes) -> list[int]:
        hits = self._set.Match(octets) or []
        if self._canary not in hits:
            raise ScanError("RE2 could not look through a text with these patterns")
        return [index for index in sorted(hits) if index != self._canary]


class _Seen:
    """The matches of one pattern in one mail."""

    def __init__(self, pattern: Pattern) -> None:
        self._pattern = pattern
        self._values: dict[str, str] = {}
        self._places: dict[str, None] = {}
        self._looked_at = 0

    @property
    def counts(self) -> bool:
        return len(self._values) >= self._pattern.threshold

    def look(self, program: Any, octets: bytes, place: str) -> None:
        for match in _matches(program, octets):
            self._looked_at += 1
            if self._looked_at > MAX_HITS or len(self._values) >= max(MAX_VALUES, self._pattern.threshold):
                return
            found = match.group(_group(match)).decode(errors="replace")
            name = self._pattern.validator
            for value in valid_values(name, found) if name else (compact(found),):
                self._values.setdefault(value, found)
                if len(self._places) < MAX_PLACES:
                    self._places.setdefault(place)

    def finding(self) -> Finding:
        pattern = self._pattern
        shown = [_shown(found, pattern.mask) for found in list(self._values.values())[:_SHOWN]]
        return Finding(
            pattern.name,
            pattern.action,
            pattern.delayed,
            len(self._values),
            tuple(self._places),
            ", ".join(shown),
            pattern.key,
        )


def _matches(program: Any, octets: bytes) -> Iterator[Any]:
    """All matches; the next is looked for where the last began, if that found more than one piece."""
    at = 0
    while (match := program.search(octets, at)) is not None:
        yield match
        at = max(match.end(_group(match)), at + 1)


def _group(match: Any) -> int:
    """The first group that took part, else the whole match."""
    return next((number for number in range(1, match.re.groups + 1) if match.span(number) != (-1, -1)), 0)


def _shown(found: str, mask: Mask) -> str:
    hidden = "█" * min(12, max(4, len(found)))
    if len(found) < 2 * _SHOWN + 4:
        return hidden
    match mask:
        case Mask.ALL:
            return hidden
        case Mask.FIRST4:
            return found[:4] + hidden
        case Mask.LAST4:
            return hidden + found[-4:]
