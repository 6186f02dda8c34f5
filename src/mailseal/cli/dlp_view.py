"""What `mailseal dlp` shows of patterns and of imports."""

from mailseal.store.dlp_import import Imported
from mailseal.store.dlp_patterns import PatternInfo


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
