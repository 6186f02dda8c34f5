"""DLP patterns as administrators make and change them; each change of a pattern is another revision of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import F

from mailseal.policy.dlp.model import Pattern
from mailseal.policy.dlp.trial import try_pattern
from mailseal.policy.pattern import PatternError
from mailseal.store.audit import facts, record
from mailseal.store.dlp_models import DlpPatternRow
from mailseal.store.dlp_names import DlpError, name_key, read_description, read_home, read_name
from mailseal.store.dlp_rows import FIELDS, columns_of, problem_of, read_pattern
from mailseal.store.row import utc_now
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import read, reads, writes

MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class PatternInfo:
    """A stored pattern. `pattern` is None where it cannot be read; `problem` then says why, and so for one that RE2
    does not take any more. `owner`: a domain, "" is everybody's.
    """

    name: str
    owner: str
    pattern: Pattern | None
    problem: str
    groups: tuple[str, ...]
    assigned_to: tuple[str, ...]
    created: datetime
    changed: datetime


def add(pattern: Pattern, *, owner: str = "") -> PatternInfo:
    """Store a new pattern (its `id` and `revision` are made); raises PatternError, DlpError, AddressError."""
    pattern, home = fit(pattern), read_home(owner)
    insert(pattern, home)
    return find(pattern.name)


def change(name: str, changes: Mapping[str, Any]) -> PatternInfo:
    """Set fields of a pattern; raises as `add`, and DlpError when somebody else has just changed it.

    What cannot be read any more is mended like this too.
    """
    row = read(lambda: _row(name))
    before = _raw(row)
    pattern = fit(read_pattern(before | {one: changes[one] for one in FIELDS if one in changes}))
    update_if_other(row, pattern)
    return find(pattern.name)


@writes
def remove(name: str, *, force: bool = False) -> None:
    """Delete a pattern; raises DlpError for none, and for one that is assigned or in a group unless `force`."""
    row = _row(name, to_change=True)
    info = _info(row)
    if not force and (info.assigned_to or info.groups):
        raise DlpError(f"{row.name} is in use: {in_use(info.assigned_to, info.groups)}")
    record("dlp", "delete-pattern", row.name, before=facts(row, "owner", *FIELDS))
    row.delete()
    bump(Scope.PATTERNS)


@reads
def find(name: str) -> PatternInfo:
    """One pattern; raises DlpError."""
    return _info(_row(name))


@reads
def list_patterns(*, owner: str | None = None, after: str = "", limit: int | None = None) -> tuple[PatternInfo, ...]:
    """All of them, by name, or those of an owner (stored form); behind the one of a name."""
    rows = DlpPatternRow.objects.filter(key__gt=name_key(after)).order_by("key")
    if owner is not None:
        rows = rows.filter(owner=owner)
    return tuple(map(_info, rows.prefetch_related("memberships__group", "assignments")[:limit]))


def in_use(assigned_to: Sequence[str], groups: Sequence[str] = ()) -> str:
    """Where, in words, "" for nowhere."""
    told = [f"assigned to {_named([one or 'all mail' for one in assigned_to])}"] if assigned_to else []
    told += [f"in the group {_named(groups)}"] if groups else []
    return "; ".join(told)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return f"{', '.join(names[:MAX_NAMED])}{more}"


def fit(pattern: Pattern) -> Pattern:
    """A pattern with its name as it is kept; tried here, so outside of transactions. Raises PatternError, DlpError."""
    try:
        pattern = replace(pattern, name=read_name(pattern.name), description=read_description(pattern.description))
        try_pattern(pattern)
    except PatternError as error:
        raise PatternError(f"{pattern.name}: {error}") from None
    return pattern


@writes
def insert(pattern: Pattern, home: str) -> None:
    """Store what `fit` has made fit; raises DlpError."""
    key = name_key(pattern.name)
    row, made = DlpPatternRow.objects.get_or_create(key=key, defaults=columns_of(pattern) | {"owner": home})
    if not made:
        raise DlpError(f"there is a pattern {pattern.name} already")
    bump(Scope.PATTERNS)
    record("dlp", "add-pattern", row.name, after=facts(row, "owner", *FIELDS))


@writes
def update_if_other(row: DlpPatternRow, pattern: Pattern) -> bool:
    """Change the pattern of a row to this one; False: it is that. Raises DlpError."""
    before = _raw(row)
    if all(before[one] == value for one, value in columns_of(pattern).items()):
        return False
    key = name_key(pattern.name)
    if DlpPatternRow.objects.filter(key=key).exclude(pk=row.pk).exists():
        raise DlpError(f"there is a pattern {pattern.name} already")
    values = columns_of(pattern) | {"key": key, "revision": F("revision") + 1, "changed": utc_now()}
    if not DlpPatternRow.objects.filter(pk=row.pk, revision=row.revision).update(**values):
        raise DlpError(f"somebody else has just changed {row.name}; look at it, then try again")
    bump(Scope.PATTERNS)
    changed = {one: value for one, value in columns_of(pattern).items() if before[one] != value}
    record("dlp", "change-pattern", row.name, before={one: before[one] for one in changed}, after=changed)
    return True


def _row(name: str, *, to_change: bool = False) -> DlpPatternRow:
    rows = DlpPatternRow.objects.select_for_update() if to_change else DlpPatternRow.objects.all()
    row = rows.filter(key=name_key(name)).first()
    if row is None:
        raise DlpError(f"there is no pattern {name}; `mailseal dlp pattern list` shows all")
    return row


def _raw(row: DlpPatternRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("id", "revision", *FIELDS)}


def _info(row: DlpPatternRow) -> PatternInfo:
    try:
        pattern = read_pattern(_raw(row))
        problem = problem_of(pattern)
    except PatternError as error:
        pattern, problem = None, str(error)
    groups = sorted(one.group.name for one in row.memberships.all())
    owners = sorted(one.owner for one in row.assignments.all())
    return PatternInfo(row.name, row.owner, pattern, problem, tuple(groups), tuple(owners), row.created, row.changed)
