"""What of a system's main.cf and master.cf is ours: kept in a file beside them, so that nothing else is touched."""

import json
from dataclasses import dataclass
from pathlib import Path

from mailseal.postfix.parts import Rendering
from mailseal.postfix.program import PostfixError

NAME = "mailseal.owned"
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Owned:
    """Names of settings, keys of services (`smtp/inet`), options of services that are not ours (`pickup/unix/name`)."""

    settings: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    additions: frozenset[str] = frozenset()


def of(rendering: Rendering) -> Owned:
    """What a rendering makes ours."""
    return Owned(
        frozenset(one.name for one in rendering.settings),
        frozenset(one.key for one in rendering.services),
        frozenset(f"{service}/{name}" for service, name, _ in rendering.additions),
    )


def read(config_dir: Path) -> Owned:
    """What was made ours before, nothing if nothing was; raises PostfixError."""
    path = config_dir / NAME
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(_MAX_BYTES))
        return Owned(*(frozenset(map(str, found[name])) for name in ("settings", "services", "additions")))
    except FileNotFoundError:
        return Owned()
    except (OSError, ValueError, KeyError, TypeError):
        raise PostfixError(f"{path} cannot be read", "put it back from a backup, or remove it") from None


def text(owned: Owned) -> str:
    """The file's content."""
    lists = {name: sorted(getattr(owned, name)) for name in ("settings", "services", "additions")}
    return json.dumps({"made by": "mailseal postfix install", **lists}, indent=1) + "\n"
