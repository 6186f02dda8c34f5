"""What is looked for in the mail of whom: the patterns of an address, compiled once for all that have the same."""

import threading
from collections.abc import Collection, Sequence

from mailseal.mail.address import Address
from mailseal.policy.dlp.model import Pattern
from mailseal.policy.dlp.scanner import Scanner
from mailseal.policy.pattern import PatternError
from mailseal.store.dlp_rows import FIELDS, BrokenPatternError, key_of, problem_of, read_pattern
from mailseal.store.lru import Lru
from mailseal.store.owners import owners_of_domain, with_places
from mailseal.store.transaction import select

_OF_OWNERS = (
    "SELECT a.owner, p.id, p.revision FROM store_dlp_assignment a JOIN store_dlp_pattern p ON p.id = a.pattern_id"
    " WHERE a.owner IN (:owners)"
    " UNION ALL SELECT a.owner, p.id, p.revision FROM store_dlp_assignment a"
    " JOIN store_dlp_member m ON m.group_id = a.group_id JOIN store_dlp_pattern p ON p.id = m.pattern_id"
    " WHERE a.owner IN (:owners)"
)
_COLUMNS = ("id", "revision", *FIELDS)
# `delayed` is a keyword of MariaDB, but not behind a point.
_PATTERNS = f"SELECT {', '.join(f'p.{name}' for name in _COLUMNS)} FROM store_dlp_pattern p WHERE p.id IN (:owners)"  # noqa: S608 -- names of our own
_PAGE = 500
KEPT_PATTERNS = 1_000
"""In all compiled sets together: those of the library take 1.3 MB each when they have read much, plain ones a tenth."""
_LEAST_WEIGHT = 8
"""A small set, in patterns."""
KEPT_SECONDS = 3600.0

_Keys = frozenset[str]
"""Of `Pattern.key`: which patterns, and which revision of each."""


class StorePatterns:
    """Implements `ports.Patterns`: one query for the owners that the cache does not know."""

    def __init__(self, *, entries: int = 20_000) -> None:
        self._of: Lru[str, _Keys] = Lru(entries)
        self._unions: Lru[frozenset[_Keys], _Keys] = Lru(1000)
        self._scanners: Lru[_Keys, Scanner] = Lru(KEPT_PATTERNS, KEPT_SECONDS)
        self._broken: Lru[_Keys, str] = Lru(1000)
        self._compiling = threading.Lock()
        self._nothing = Scanner(())

    def of(self, *addresses: Address | None) -> Scanner:
        """As of the port; raises BrokenPatternError and StoreUnavailable, both transient."""
        owners = _owners(addresses)
        for _ in range(2):
            keys = self._keys(owners)
            if not keys:
                return self._nothing
            scanner = self._scanners.get(keys) or self._compiled(keys)
            if scanner is not None:
                return scanner
            self._of.clear()
        raise BrokenPatternError("the patterns change while they are read")

    def clear(self) -> None:
        """Forget who has what: the stamp `patterns` changed. A compiled set stays what it is."""
        for cache in (self._of, self._unions, self._broken):
            cache.clear()

    def _keys(self, owners: Sequence[str]) -> _Keys:
        known = {owner: keys for owner in owners if (keys := self._of.get(owner)) is not None}
        unknown = [owner for owner in owners if owner not in known]
        if unknown:
            generation = self._of.generation
            found: dict[str, set[str]] = {owner: set() for owner in unknown}
            for owner, identity, revision in select(with_places(_OF_OWNERS, len(unknown)), (*unknown, *unknown)):
                found[owner].add(key_of(identity, revision))
            for owner in unknown:
                known[owner] = frozenset(found[owner])
                self._of.put(owner, known[owner], generation)
        return self._union(frozenset(keys for keys in known.values() if keys))

    def _union(self, several: frozenset[_Keys]) -> _Keys:
        """Of large sets it is looked up rather than made: a set knows its own hash."""
        if len(several) == 1:
            return next(iter(several))
        union = self._unions.get(several)
        if union is None:
            union = frozenset().union(*several)
            self._unions.put(several, union, self._unions.generation)
        return union

    def _compiled(self, keys: _Keys) -> Scanner | None:
        """None: the patterns of these revisions are not there any more."""
        with self._compiling:
            known = self._scanners.get(keys)
            if known is not None:
                return known
            if (problem := self._broken.get(keys)) is not None:
                raise BrokenPatternError(problem)
            generations = self._scanners.generation, self._broken.generation
            try:
                patterns = load(keys)
                if patterns is None:
                    return None
                scanner = compile_together(patterns)
            except BrokenPatternError as error:
                self._broken.put(keys, str(error), generations[1])
                raise
            self._scanners.put(keys, scanner, generations[0], _weight(keys))
            return scanner


def _owners(addresses: Sequence[Address | None]) -> tuple[str, ...]:
    """Each once; "" is that of all mail."""
    known = [one for one in addresses if one is not None]
    return tuple(dict.fromkeys(["", *(owner for one in known for owner in (one.key, *owners_of_domain(one.domain)))]))


def _weight(keys: _Keys) -> int:
    return min(max(len(keys), _LEAST_WEIGHT), KEPT_PATTERNS)  # also a set for which there is no room is kept


def load(keys: Collection[str]) -> tuple[Pattern, ...] | None:
    """The patterns of exactly these `Pattern.key`s; None: one has changed meanwhile.

    Raises BrokenPatternError, StoreUnavailable.
    """
    identities = [key.partition(":")[0] for key in keys]
    found: list[Pattern] = []
    for start in range(0, len(identities), _PAGE):
        page = identities[start : start + _PAGE]
        for values in select(with_places(_PATTERNS, len(page)), page):
            row = dict(zip(_COLUMNS, values, strict=True))
            if key_of(row["id"], row["revision"]) not in keys:
                return None
            try:
                found.append(read_pattern(row))
            except PatternError:
                raise _broken(row["name"]) from None
    return tuple(found) if len(found) == len(keys) else None


def compile_together(patterns: Sequence[Pattern]) -> Scanner:
    """One program of them all; raises BrokenPatternError, which names the first that is at fault."""
    try:
        return Scanner(patterns)
    except PatternError as error:
        culprit = next(filter(problem_of, patterns), None)
        if culprit is not None:
            raise _broken(culprit.name) from None
        raise BrokenPatternError(f"{error}; assign fewer") from None


def _broken(name: str) -> BrokenPatternError:
    """What is wrong with it would tell those who read the log what it looks for."""
    return BrokenPatternError(f"the DLP pattern {name} cannot be used; `mailseal check` says why")
