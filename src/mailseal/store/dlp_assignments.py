"""Whose mail DLP patterns are looked for in: all mail, a domain's, an address's. All that is assigned counts.

Nothing takes an assignment away at a lower level, so each is as good as locked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from mailseal.mail.address import Address
from mailseal.policy.settings import Level, levels_for
from mailseal.store.addresses import remember
from mailseal.store.audit import record
from mailseal.store.dlp_models import DlpAssignmentRow, DlpGroupRow, DlpPatternRow
from mailseal.store.dlp_names import DlpError, is_at_home, name_key
from mailseal.store.owners import read_owner
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import reads, writes


@dataclass(frozen=True, slots=True)
class Assignment:
    """A pattern, or a group (the other is ""), and whose mail it is looked for in. `owner` as of `policy.levels`."""

    id: UUID
    level: Level
    owner: str
    pattern: str
    group: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Counting:
    """A pattern that counts for some addresses, and the assignments it comes from."""

    pattern: str
    through: tuple[Assignment, ...]


@writes
def assign(owner: str, patterns: Sequence[str] = (), groups: Sequence[str] = ()) -> tuple[Assignment, ...]:
    """Have patterns and groups looked for, those too that are already; raises DlpError, AddressError."""
    level, key = read_owner(owner)
    before = _told(key)
    for row in _named(patterns, groups):
        if not is_at_home(row.owner, key):
            raise DlpError(f"{row.name} belongs to {row.owner}, and can be assigned to it and to its addresses alone")
        DlpAssignmentRow.objects.get_or_create(owner=key, **_target(row))
    if level is Level.ADDRESS:
        remember([key])
    bump(Scope.PATTERNS)
    record("dlp", "assign", key, before=before, after=_told(key))
    return _of([key])


@writes
def unassign(owner: str, patterns: Sequence[str] = (), groups: Sequence[str] = ()) -> tuple[Assignment, ...]:
    """Take assignments back, all or none; raises DlpError, also for one that is not assigned there; AddressError."""
    _, key = read_owner(owner)
    before = _told(key)
    for row in _named(patterns, groups):
        if not DlpAssignmentRow.objects.filter(owner=key, **_target(row)).delete()[0]:
            raise DlpError(f"{row.name} is not assigned to {key or 'all mail'} itself")
    bump(Scope.PATTERNS)
    record("dlp", "unassign", key, before=before, after=_told(key))
    return _of([key])


@reads
def page(
    *, owner: str | None = None, pattern: str = "", group: str = "", after: UUID | None = None, limit: int = 100
) -> tuple[Assignment, ...]:
    """Those to exactly this owner, of a pattern, of a group; the oldest first, behind one. Raises AddressError."""
    rows = DlpAssignmentRow.objects.select_related("pattern", "group").order_by("pk")
    if owner is not None:
        rows = rows.filter(owner=read_owner(owner)[1])
    for column, name in (("pattern__key", pattern), ("group__key", group)):
        if name:
            rows = rows.filter(**{column: name_key(name)})
    if after is not None:
        rows = rows.filter(pk__gt=after)
    return tuple(map(_assignment, rows[:limit]))


@reads
def list_assignments(owner: str | None = None) -> tuple[Assignment, ...]:
    """All of them, or those to exactly this owner, the widest first; raises AddressError."""
    return _of(None if owner is None else [read_owner(owner)[1]])


@reads
def counting_for(*addresses: Address | None) -> tuple[Counting, ...]:
    """The patterns that count for any of these, by name, each with where it comes from: as `StorePatterns.of`."""
    owners = dict.fromkeys(owner for address in addresses for _, owner in levels_for(address))
    found: dict[str, list[Assignment]] = {}
    for row in _rows(owners):
        for name in _names(row):
            found.setdefault(name, []).append(_assignment(row))
    return tuple(Counting(name, tuple(found[name])) for name in sorted(found, key=name_key))


def _named(patterns: Sequence[str], groups: Sequence[str]) -> Iterable[DlpPatternRow | DlpGroupRow]:
    """The rows, locked: nobody removes them meanwhile."""
    for kind, names in ((DlpPatternRow, patterns), (DlpGroupRow, groups)):
        for name in names:
            row = kind.objects.select_for_update().filter(key=name_key(name)).first()
            if row is None:
                what = "pattern" if kind is DlpPatternRow else "group"
                raise DlpError(f"there is no {what} {name}; `mailseal dlp {what} list` shows all")
            yield row


def _target(row: DlpPatternRow | DlpGroupRow) -> dict[str, Any]:
    return {"pattern": row} if isinstance(row, DlpPatternRow) else {"group": row}


def _rows(owners: Iterable[str] | None) -> Iterable[DlpAssignmentRow]:
    rows = DlpAssignmentRow.objects.select_related("pattern", "group").prefetch_related("group__members__pattern")
    return rows if owners is None else rows.filter(owner__in=list(owners))


def _names(row: DlpAssignmentRow) -> list[str]:
    if row.pattern is not None:
        return [row.pattern.name]
    return [one.pattern.name for one in row.group.members.all()] if row.group is not None else []


def _told(key: str) -> dict[str, object]:
    found = _of([key])
    return {
        "patterns": [one.pattern for one in found if one.pattern],
        "groups": [one.group for one in found if one.group],
    }


def _of(owners: Iterable[str] | None) -> tuple[Assignment, ...]:
    rows = DlpAssignmentRow.objects.select_related("pattern", "group")
    found = map(_assignment, rows if owners is None else rows.filter(owner__in=list(owners)))
    return tuple(sorted(found, key=lambda one: (list(Level).index(one.level), one.owner, one.group, one.pattern)))


def _assignment(row: DlpAssignmentRow) -> Assignment:
    level, owner = read_owner(row.owner)
    pattern, group = row.pattern, row.group
    return Assignment(row.pk, level, owner, pattern.name if pattern else "", group.name if group else "", row.created)
