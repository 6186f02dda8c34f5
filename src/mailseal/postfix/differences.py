"""Two states of configuration files as a unified diff, for people."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path


def differences(folder: Path, before: Mapping[str, bytes | None], after: Mapping[str, bytes]) -> Iterator[str]:
    """Lines without their ends; none where nothing differs."""
    for name, octets in after.items():
        old = (before[name] or b"").decode("utf-8", "replace").splitlines()
        new = octets.decode("utf-8", "replace").splitlines()
        was = str(folder / name) if before[name] is not None else "/dev/null"
        yield from difflib.unified_diff(old, new, was, str(folder / name), lineterm="")
