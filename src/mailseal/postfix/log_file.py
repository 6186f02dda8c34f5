"""The log of a private instance (maillog_file, postlogd(8)): kept small, and asked for the reason of an end."""

import os
from pathlib import Path

from mailseal.config import Config
from mailseal.postfix.folders import new_log

MAX_BYTES = 64 << 20
KEPT = 8
"""How many full ones are kept: maillog.1 is the newest."""
_TAIL_BYTES = 16 << 10


def rotated(config: Config) -> bool:
    """Begin a new log if this one is full; Postfix writes to the old one until it is told. Raises OSError."""
    log = config.postfix.log_file
    try:
        if log.stat().st_size < MAX_BYTES:
            return False
    except FileNotFoundError:
        new_log(config)
        return True
    for number in range(KEPT - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    log.replace(log.with_name(f"{log.name}.1"))
    new_log(config)
    return True


def size(log: Path) -> int:
    """Where the next line will stand."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def why(log: Path, since: int) -> str:
    """The last thing from there on that was fatal to a daemon, as the end of a sentence."""
    try:
        with log.open("rb") as file:
            file.seek(max(since, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    fatal = [line.partition("fatal: ")[2] for line in lines if "fatal: " in line and "postfix/post" not in line]
    said = fatal[-1] if fatal else ""
    return f": {said[:300]}" if said else ""
