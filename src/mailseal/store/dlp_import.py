"""Several DLP patterns stored at once, all or none, with the groups that they are in."""

from collections.abc import Sequence
from dataclasses import dataclass

from mailseal.policy.dlp.model import Pattern
from mailseal.store import dlp_groups
from mailseal.store.dlp_models import DlpGroupRow, DlpPatternRow
from mailseal.store.dlp_names import DlpError, name_key, read_home
from mailseal.store.dlp_patterns import fit, insert, update_if_other
from mailseal.store.transaction import writes


class NamesTakenError(DlpError):
    """There are patterns with these names, which were not to be changed, or belong to another domain."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A pattern, the groups it shall be in, and whose it is: a domain, "" is everybody's."""

    pattern: Pattern
    groups: tuple[str, ...] = ()
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """Names of patterns by what an import did, and of the groups it made."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    groups: tuple[str, ...]


def put(entries: Sequence[Entry], *, replacing: bool = False) -> Imported:
    """Store patterns; those whose names are taken are changed if `replacing`, else NamesTakenError. Groups are made.

    Raises PatternError, DlpError, AddressError.
    """
    entries = [Entry(fit(one.pattern), one.groups, read_home(one.owner)) for one in entries]
    if len({name_key(one.pattern.name) for one in entries}) < len(entries):
        raise DlpError("two of the patterns have the same name")
    return _put(entries, replacing=replacing)


@writes
def _put(entries: Sequence[Entry], *, replacing: bool) -> Imported:
    keys = [name_key(one.pattern.name) for one in entries]
    known = {row.key: row for row in DlpPatternRow.objects.select_for_update().filter(key__in=keys)}
    homes = {name_key(one.pattern.name): one.owner for one in entries}
    taken = [row.name for row in known.values() if not replacing or row.owner != homes[row.key]]
    if taken:
        raise NamesTakenError(f"there are patterns with these names already: {', '.join(sorted(taken))}")
    added, changed, unchanged = [], [], []
    for key, entry in zip(keys, entries, strict=True):
        pattern = entry.pattern
        if key not in known:
            insert(pattern, entry.owner)
            added.append(pattern.name)
        elif update_if_other(known[key], pattern):
            changed.append(pattern.name)
        else:
            unchanged.append(pattern.name)
    return Imported(tuple(added), tuple(changed), tuple(unchanged), _group(entries))


def _group(entries: Sequence[Entry]) -> tuple[str, ...]:
    wanted: dict[str, list[Entry]] = {}
    for entry in entries:
        for name in entry.groups:
            wanted.setdefault(name, []).append(entry)
    made = []
    for name, members in wanted.items():
        patterns = [one.pattern.name for one in members]
        if DlpGroupRow.objects.filter(key=name_key(name)).exists():
            dlp_groups.include(name, patterns)
        else:
            # With patterns of a domain in it, it is that domain's.
            home = max(one.owner for one in members)
            made.append(dlp_groups.add(name, patterns, owner=home).name)
    return tuple(made)
