"""Groups of DLP patterns: what is assigned together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mailseal.store.audit import record
from mailseal.store.dlp_models import DlpGroupRow, DlpMemberRow, DlpPatternRow
from mailseal.store.dlp_names import DlpError, name_key, read_description, read_home, read_name
from mailseal.store.dlp_patterns import in_use
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import reads, writes


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """A group and the names of its patterns. `owner`: a domain, "" is everybody's."""

    name: str
    owner: str
    description: str
    patterns: tuple[str, ...]
    assigned_to: tuple[str, ...]
    created: datetime


@writes
def add(name: str, patterns: Sequence[str] = (), *, owner: str = "", description: str = "") -> GroupInfo:
    """Make a group; raises DlpError, AddressError."""
    name = read_name(name)
    values = {"name": name, "owner": read_home(owner), "description": read_description(description)}
    row, made = DlpGroupRow.objects.get_or_create(key=name_key(name), defaults=values)
    if not made:
        raise DlpError(f"there is a group {row.name} already")
    _include(row, patterns)
    record("dlp", "add-group", row.name, after=_told(row))
    return _info(row)


@writes
def change(name: str, *, new_name: str | None = None, description: str | None = None) -> GroupInfo:
    """Give a group another name or description; raises DlpError."""
    row = _row(name)
    before = _told(row)
    if new_name is not None:
        row.name = read_name(new_name)
        row.key = name_key(row.name)
        if DlpGroupRow.objects.filter(key=row.key).exclude(pk=row.pk).exists():
            raise DlpError(f"there is a group {row.name} already")
    if description is not None:
        row.description = read_description(description)
    row.save(update_fields=["name", "key", "description"])
    record("dlp", "change-group", str(before["name"]), before=before, after=_told(row))
    return _info(row)


@writes
def include(name: str, patterns: Sequence[str]) -> GroupInfo:
    """Put patterns into a group, those that are in it too; raises DlpError."""
    row = _row(name)
    before = _told(row)
    _include(row, patterns)
    record("dlp", "include", row.name, before=before, after=_told(row))
    return _info(row)


@writes
def exclude(name: str, patterns: Sequence[str]) -> GroupInfo:
    """Take patterns out of a group; raises DlpError, also for one that is not in it."""
    row = _row(name)
    before = _told(row)
    for pattern in patterns:
        if not DlpMemberRow.objects.filter(group=row, pattern__key=name_key(pattern)).delete()[0]:
            raise DlpError(f"{pattern} is not in the group {row.name}")
    bump(Scope.PATTERNS)
    record("dlp", "exclude", row.name, before=before, after=_told(row))
    return _info(row)


@writes
def remove(name: str, *, force: bool = False) -> None:
    """Delete a group, not its patterns; raises DlpError for none, and for one that is assigned unless `force`."""
    row = _row(name)
    info = _info(row)
    if info.assigned_to and not force:
        raise DlpError(f"{row.name} is in use: {in_use(info.assigned_to)}")
    record("dlp", "delete-group", row.name, before=_told(row))
    row.delete()
    bump(Scope.PATTERNS)


@reads
def find(name: str) -> GroupInfo:
    """One group; raises DlpError."""
    row = DlpGroupRow.objects.filter(key=name_key(name)).first()
    return _info(_found(row, name))


@reads
def list_groups(*, after: str = "", limit: int | None = None) -> tuple[GroupInfo, ...]:
    """All of them, by name; behind the one of a name."""
    rows = DlpGroupRow.objects.filter(key__gt=name_key(after)).order_by("key")
    return tuple(map(_info, rows.prefetch_related("members__pattern", "assignments")[:limit]))


def _row(name: str) -> DlpGroupRow:
    """Of the others that change this group, or assign it, one waits for the other."""
    return _found(DlpGroupRow.objects.select_for_update().filter(key=name_key(name)).first(), name)


def _found(row: DlpGroupRow | None, name: str) -> DlpGroupRow:
    if row is None:
        raise DlpError(f"there is no group {name}; `mailseal dlp group list` shows all")
    return row


def _include(row: DlpGroupRow, names: Sequence[str]) -> None:
    rows = DlpPatternRow.objects.select_for_update().filter(key__in=[name_key(name) for name in names])
    found = {one.key: one for one in rows.only("key", "name", "owner")}
    for name in names:
        pattern = found.get(name_key(name))
        if pattern is None:
            raise DlpError(f"there is no pattern {name}; `mailseal dlp pattern list` shows all")
        if pattern.owner not in {"", row.owner}:
            raise DlpError(f"{pattern.name} belongs to {pattern.owner}, so it cannot be in a group of others")
    members = [DlpMemberRow(group=row, pattern=one) for one in found.values()]
    DlpMemberRow.objects.bulk_create(members, batch_size=500, ignore_conflicts=True)
    bump(Scope.PATTERNS)


def _told(row: DlpGroupRow) -> dict[str, object]:
    names = DlpMemberRow.objects.filter(group=row).order_by("pattern__key").values_list("pattern__name", flat=True)
    return {"name": row.name, "owner": row.owner, "description": row.description, "patterns": list(names)}


def _info(row: DlpGroupRow) -> GroupInfo:
    patterns = sorted((one.pattern.name for one in row.members.all()), key=name_key)
    owners = sorted(one.owner for one in row.assignments.all())
    return GroupInfo(row.name, row.owner, row.description, tuple(patterns), tuple(owners), row.created)
