"""DLP patterns as JSON: what `mailseal dlp pattern export` writes and `import` reads.

{"mailseal_dlp_patterns": 1, "patterns": [{"name": …, "kind": …, "text": …, "action": …, "groups": […], …}]}
"""

import json
from collections.abc import Sequence
from typing import Any

from mailseal.cli.errors import CommandError
from mailseal.policy.dlp.model import Kind, Mask, Pattern
from mailseal.policy.model import Action
from mailseal.store.dlp_import import Entry
from mailseal.store.dlp_patterns import PatternInfo
from mailseal.store.dlp_rows import columns_of

MARK, VERSION = "mailseal_dlp_patterns", 1
MAX_BYTES = 16 * 1024 * 1024
MAX_PATTERNS = 10_000
_KINDS: dict[str, type] = {
    "name": str, "kind": Kind, "text": str, "action": Action, "validator": str, "threshold": int, "delayed": bool,
    "mask": Mask, "description": str, "owner": str, "groups": list,
}  # fmt: skip
_NEEDED = ("name", "kind", "text", "action")


def written(patterns: Sequence[PatternInfo]) -> bytes:
    """The file; raises CommandError for a pattern that cannot be read."""
    rows = []
    for one in patterns:
        if one.pattern is None:
            raise CommandError(f"{one.name} cannot be read: {one.problem}", "`mailseal dlp pattern set` mends it")
        rows.append(columns_of(one.pattern) | {"owner": one.owner, "groups": list(one.groups)})
    return json.dumps({MARK: VERSION, "patterns": rows}, indent=2, ensure_ascii=False).encode() + b"\n"


def read_patterns(octets: bytes) -> Sequence[Entry]:
    """What the file says, of which nothing is tried yet; raises CommandError."""
    if len(octets) > MAX_BYTES:
        raise CommandError(f"the file is larger than {MAX_BYTES // (1 << 20)} MiB")
    try:
        found = json.loads(octets)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("patterns"), list) or found.get(MARK) != VERSION:
        raise CommandError("this is no file of patterns", "`mailseal dlp pattern export` makes one")
    if len(found["patterns"]) > MAX_PATTERNS:
        raise CommandError(f"there are more than {MAX_PATTERNS} patterns in the file")
    return tuple(_entry(row, number) for number, row in enumerate(found["patterns"], 1))


def _entry(row: object, number: int) -> Entry:
    name = row.get("name") if isinstance(row, dict) else None
    where = f"pattern {number}{f' ({name})' if isinstance(name, str) else ''}"
    if not isinstance(row, dict):
        raise CommandError(f"{where} is no object")
    if missing := [one for one in _NEEDED if one not in row]:
        raise CommandError(f"{where} lacks {', '.join(missing)}")
    values = {one: _value(one, value, where) for one, value in row.items()}
    groups = values.pop("groups", [])
    if not all(isinstance(one, str) for one in groups):
        raise CommandError(f"{where}: groups are names")
    owner = values.pop("owner", "")
    return Entry(Pattern("", 0, **values), tuple(groups), owner)


def _value(name: str, value: object, where: str) -> Any:
    kind = _KINDS.get(name)
    if kind is None:
        raise CommandError(f"{where} has {name!r}, which this release does not know")
    if issubclass(kind, Kind | Action | Mask):
        if value not in list(kind):
            raise CommandError(f"{where}: {name} is one of {', '.join(kind)}")
        return kind(str(value))
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise CommandError(f"{where}: {name} is not {kind.__name__}")
    return value
