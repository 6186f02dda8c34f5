"""The patterns of one assignment as one program: cost grows with the text, not with the number of patterns.

Few automata say which patterns are in a passage (`sets`); only these are looked for one by one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mailseal.policy.dlp import masks
from mailseal.policy.dlp.expression import lint
from mailseal.policy.dlp.matches import IsOver, Judge, Matcher, OutOfTimeError, Span, TooManyError, check_time, never
from mailseal.policy.dlp.model import Pattern
from mailseal.policy.dlp.normal import normalise, readings, skeleton, windows
from mailseal.policy.dlp.sets import PatternSets, ScanError
from mailseal.policy.inspection import Gap, GapReason, GapStatus, Inspection
from mailseal.policy.model import MAX_PLACES, Finding
from mailseal.policy.pattern import PatternError

__all__ = ["Scan", "ScanError", "Scanner", "check_pattern"]

MAX_VALUES = 1_000
"""What is counted of one pattern; there may be more of it."""
MAX_HITS = 10_000
"""Matches of one pattern that are looked at when it counts already."""
_SHOWN = 4
# A place of its own: who has approved of what was not read has not approved of what was not looked through.
_TIMEOUT = Gap("message: patterns", GapStatus.PARTIAL, GapReason.TIMEOUT, "looking through it took too long")


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found in a mail, and whether all of it was looked through."""

    findings: tuple[Finding, ...] = ()
    gaps: tuple[Gap, ...] = ()


class Scanner:
    """Patterns, compiled once. Raises PatternError for one that cannot be used: it must not be left out."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self.patterns = tuple(sorted(patterns, key=lambda one: (one.name, one.id)))
        self._matchers = [Matcher(one) for one in self.patterns]
        self._first = _first_of_same(self.patterns)
        self._sets = PatternSets(self.patterns)

    def findings(self, inspection: Inspection) -> tuple[Finding, ...]:
        """What is found, in the order of `patterns`, however long it takes; raises ScanError."""
        return self.scan(inspection, never).findings

    def scan(self, inspection: Inspection, is_over: IsOver) -> Scan:
        """What is found before the time is over; the rest is a gap. Raises ScanError."""
        if not self.patterns:
            return Scan()
        seen: dict[int, _Seen] = {}  # only of what is there: in most mails nothing
        judges: dict[str, Judge] = {}
        gaps: tuple[Gap, ...] = ()
        try:
            for passage in inspection.passages:
                for text in windows(passage.text):
                    self._look(text, passage.place, seen, judges, is_over)
        except OutOfTimeError:
            gaps = (_TIMEOUT,)
        return Scan(tuple(self._finding(one) for _, one in sorted(seen.items()) if one.counts), gaps)

    def _look(self, text: str, place: str, seen: dict[int, "_Seen"], judges: dict[str, Judge], is_over: IsOver) -> None:
        for octets in readings(text):
            check_time(is_over)
            same: dict[int, list[_Seen]] = {}
            for index in self._sets.matching(octets):
                if index not in seen:
                    seen[index] = _Seen(self.patterns[index])
                same.setdefault(self._first[index], []).append(seen[index])
            for first, those in same.items():
                matcher = self._matchers[first]
                _look_for(matcher.spans(octets, matcher.judge(judges), is_over), those, octets, place)

    def masked(self, text: str) -> str:
        """The text, normalised, with all that is found in it masked: for the safe view. Raises ScanError.

        What is found in one reading of it only makes that reading the one shown.
        """
        every = [self._spans(octets) for octets in readings(text)]
        known = [{skeleton(octets[slice(*span)].decode(errors="replace")) for span in spans} for octets, spans in every]
        fullest = max(range(len(every)), key=lambda index: (len(known[index]), -index))
        if known[fullest] != set().union(*known):
            return masks.hidden(len(text))
        return _hide(*every[fullest])

    def shown(self, text: str) -> str:
        """The same, but as it stands when nothing is found: for places. Raises ScanError."""
        masked = self.masked(text)
        return text if masked == normalise(text) else masked

    def _spans(self, octets: bytes) -> tuple[bytes, list[Span]]:
        judges: dict[str, Judge] = {}
        try:
            spans = [
                span
                for matcher in map(self._matchers.__getitem__, self._sets.matching(octets))
                for span in matcher.spans(octets, matcher.judge(judges))
            ]
        except TooManyError:
            raise ScanError("there is more to check in the text than can be masked") from None
        return octets, sorted(spans)

    def _finding(self, seen: "_Seen") -> Finding:
        pattern = seen.pattern
        return Finding(
            name=pattern.name,
            action=pattern.action,
            delayed=pattern.delayed,
            count=max(len(seen.values), pattern.threshold),
            places=tuple(map(self.shown, seen.places)),  # a file's name may be what was looked for
            excerpt=", ".join(masks.masked(found, pattern.mask) for found in list(seen.values.values())[:_SHOWN]),
            key=pattern.key,
        )


class _Seen:
    """What was found of one pattern in one mail. `values`: each match as it was first written, by its skeleton."""

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self.values: dict[str, str] = {}
        self.places: dict[str, None] = {}
        self._looked_at = 0
        self._too_many = False

    @property
    def counts(self) -> bool:
        """Whether there is enough of it; also when there were more candidates than could be checked."""
        return self._too_many or len(self.values) >= self.pattern.threshold

    def add(self, found: str, place: str) -> bool:
        """Count a match; whether the next one is to be looked at."""
        self._place(place)
        if self.counts and (len(self.values) >= MAX_VALUES or self._looked_at >= MAX_HITS):
            return False
        self._looked_at += 1
        self.values.setdefault(skeleton(found), found)
        return True

    def too_many(self, place: str) -> None:
        """There were more candidates there than could be checked."""
        self._too_many = True
        self._place(place)

    def _place(self, place: str) -> None:
        if len(self.places) < MAX_PLACES:
            self.places.setdefault(place)


def _look_for(spans: Iterator[Span], those: Sequence[_Seen], octets: bytes, place: str) -> None:
    """Count what is there for all that look for the same; raises OutOfTimeError."""
    try:
        for span in spans:
            found = octets[slice(*span)].decode(errors="replace")
            those = [one for one in those if one.add(found, place)]
            if not those:
                return
    except TooManyError:
        for one in those:
            one.too_many(place)


def _first_of_same(patterns: Sequence[Pattern]) -> list[int]:
    """For each pattern the first one that looks for the same: a number, and ten of them."""
    first: dict[tuple[str, ...], int] = {}
    return [first.setdefault((one.kind, one.text, one.validator), at) for at, one in enumerate(patterns)]


def _hide(octets: bytes, spans: Sequence[Span]) -> str:
    pieces, at = [], 0
    for start, end in spans:
        if end > at:
            found = octets[max(at, start) : end].decode(errors="replace")
            pieces += [octets[at : max(at, start)].decode(errors="replace"), masks.hidden(len(found))]
            at = end
    return "".join([*pieces, octets[at:].decode(errors="replace")])


def check_pattern(pattern: Pattern) -> None:
    """Raises PatternError, with RE2's own words, for a pattern that cannot be used, or finds nothing or everything."""
    if not 1 <= pattern.threshold <= MAX_VALUES:
        raise PatternError(f"the threshold is between 1 and {MAX_VALUES}")
    lint(pattern)
    Scanner([pattern])
