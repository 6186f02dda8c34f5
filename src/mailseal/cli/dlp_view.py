"""What `mailseal dlp` shows of patterns and of imports."""

from collections.abc import Sequence

from mailseal.cli.errors import CommandError
from mailseal.policy.dlp.library import starters
from mailseal.store import dlp_import, dlp_patterns
from mailseal.store.dlp_import import Entry, Imported, NamesTakenError
from mailseal.store.dlp_names import name_key
from mailseal.store.dlp_patterns import PatternInfo


def name_of(text: str) -> str:
    """The name of the pattern that is meant: by its name, its ID, or the ID that it has in the library."""
    known = {name_key(one.name): one for one in dlp_patterns.list_patterns()}
    library = [name_key(one.pattern.name) for one in starters() if one.pattern.id == name_key(text)]
    for key in (name_key(text), *library):
        if key in known:
            return known[key].name
    stored = (one.name for one in known.values() if one.pattern is not None and one.pattern.id == text)
    return next(stored, text)  # whoever looks for it says that there is none


def put(entries: Sequence[Entry], *, replacing: bool) -> Imported:
    """Import them; what to do where names are taken is said."""
    try:
        return dlp_import.put(entries, replacing=replacing)
    except NamesTakenError as error:
        what_to_do = "" if replacing else "--replace changes them to what is imported"
        raise CommandError(str(error), what_to_do) from None


def pattern_row(one: PatternInfo) -> dict[str, object]:
    """All of a pattern; `problem` only if it has one."""
    found = one.pattern
    row: dict[str, object] = {"pattern": one.name}
    if found is not None:
        row |= {
            "kind": found.kind.value,
            "text": found.text,
            "validator": found.validator,
            "threshold": found.threshold,
            "action": found.action.value,
            "delayed": found.delayed,
            "mask": found.mask.value,
            "description": found.description,
            "id": found.id,
            "revision": found.revision,
        }
    row |= {"groups": list(one.groups), "assigned_to": [owner or "all mail" for owner in one.assigned_to]}
    row |= {"owner": one.owner, "created": one.created, "changed": one.changed}
    return row | ({"problem": one.problem} if one.problem else {})


def imported_row(done: Imported) -> dict[str, object]:
    """What an import did."""
    return {
        "added": list(done.added),
        "changed": list(done.changed),
        "unchanged": list(done.unchanged),
        "groups_made": list(done.groups),
    }
