"""Which patterns are in a text: a few `re2.Set`, each one automaton for many patterns.

One automaton for all would be quickest in ordinary texts. But counted repetitions multiply its states, one pattern's by
another's, in a text made of what they begin with: so patterns with such are spread over several.
"""

import re
from collections.abc import Sequence
from typing import Any

import re2

from mailseal.errors import TransientError
from mailseal.policy.dlp.expression import filtering, options, words
from mailseal.policy.dlp.model import Kind, Pattern
from mailseal.policy.pattern import PatternError

SET_BYTES = (32 << 20, 128 << 20, 512 << 20)
"""Memory of one automaton: the first in which it fits."""
MAX_SETS = 12
_MIN_SPREAD = 8
"""So few patterns share an automaton at least."""
_MANY = 10
_COUNTED = re.compile(r"\{(\d+)?(,)?(\d+)?\}")


class ScanError(TransientError):
    """RE2 gave up: what it has not found may be there. The mail waits."""


class PatternSets:
    """Patterns, known by their index. Raises PatternError for those that RE2 cannot look for together."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        counted = [index for index, one in enumerate(patterns) if _is_counted(one)]
        plain = [index for index in range(len(patterns)) if index not in set(counted)]
        spread = max(_MIN_SPREAD, -(-len(counted) // MAX_SETS))
        groups = [plain, *(counted[at : at + spread] for at in range(0, len(counted), spread))]
        self._sets = [_Set(group, [filtering(patterns[index]) for index in group]) for group in groups if group]

    def matching(self, octets: bytes) -> list[int]:
        """The patterns that match somewhere, in order; raises ScanError."""
        return sorted(index for one in self._sets for index in one.matching(octets))


class _Set:
    def __init__(self, indexes: Sequence[int], expressions: Sequence[str]) -> None:
        self._indexes = indexes
        for max_bytes in SET_BYTES:
            try:
                self._compiled, self._canary = _compiled(expressions, max_bytes)
            except re2.error as error:
                problem = words(error)
            else:
                return
        raise PatternError(f"the patterns cannot be used together: {problem}")

    def matching(self, octets: bytes) -> list[int]:
        hits = self._compiled.Match(octets) or []
        if self._canary not in hits:
            raise ScanError("RE2 could not look through a text with these patterns")
        return [self._indexes[hit] for hit in hits if hit != self._canary]


def _compiled(expressions: Sequence[str], max_bytes: int) -> tuple[Any, int]:
    """The automaton, and the number of a pattern in it that matches anything.

    A search that ran out of memory finds nothing, and says nothing: not that one either.
    """
    made = re2.Set.SearchSet(options(max_bytes))
    for one in expressions:
        made.Add(one.encode())
    canary = made.Add(b"")
    made.Compile()
    return made, canary


def _is_counted(pattern: Pattern) -> bool:
    """Whether it has a repetition such as `{0,90}` or `{10,}`; what looks like one in a class does no harm."""
    if pattern.kind is not Kind.EXPRESSION:
        return False
    return any(int(most or least or 0) >= _MANY for least, _, most in _COUNTED.findall(pattern.text))
