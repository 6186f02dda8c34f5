"""Mailseal as another user than root: a Python that everybody can run, and system users that exist everywhere."""

from __future__ import annotations

import functools
import os
import pwd
import site
import subprocess
import sys
from pathlib import Path

KEEPER, OTHER, READER = "games", "daemon", "bin"
"""Who owns the data folder, and who does not: for numbers, and for documents."""

SRC = Path(__file__).resolve().parents[2] / "src"
_PROBE = "import sys, cryptography, django, uvloop, re2, mailseal.cli; sys.exit(sys.version_info < (3, 11))"


@functools.cache
def python() -> str | None:
    """The interpreter; None where there is no such one, or we are not root."""
    if os.geteuid() != 0:
        return None
    for candidate in (sys.executable, "/usr/bin/python3"):
        run = functools.partial(subprocess.run, [candidate, "-c", _PROBE], env=environment(), capture_output=True)
        try:
            if run(user=KEEPER, group=KEEPER, extra_groups=[], check=False).returncode == 0:
                return candidate
        except OSError:
            continue
    return None


def environment(**more: str) -> dict[str, str]:
    """With what the development environment has installed."""
    paths = ":".join([str(SRC), *site.getsitepackages()])
    return {"PATH": os.environ["PATH"], "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", **more}


def give(path: Path, name: str = KEEPER) -> None:
    """Make a user and its group the owner."""
    entry = pwd.getpwnam(name)
    os.chown(path, entry.pw_uid, entry.pw_gid)
