"""Checks of the journals: room for what mail will leave, what waits for the worker, what could not be read."""

import os
import time
from collections.abc import Iterator

from mailseal.cli.checks.finding import Finding, Status
from mailseal.config import Config
from mailseal.store.journal import MIN_FREE_BYTES
from mailseal.store.journal_import import BROKEN_SUFFIX, SUFFIX

MIB = 1024 * 1024
BEHIND_SECONDS = 600


def journals(config: Config) -> Iterator[Finding]:
    """Whether outcomes can be written, and come into the log."""
    folder = config.journal_dir
    if not folder.is_dir():
        yield Finding("journals", Status.FAIL, f"{folder} is not there: no mail is taken", "`mailseal init` makes it")
        return
    space = os.statvfs(folder)
    free = space.f_bavail * space.f_frsize
    if space.f_blocks and free < MIN_FREE_BYTES:
        yield Finding("journals", Status.FAIL, f"the disk of {folder} is full: no mail is taken", "make room there")
    waiting = [path.stat() for path in folder.glob(f"*{SUFFIX}")]
    # A writer begins a new file every few minutes, and the worker deletes those that are read.
    behind = [one for one in waiting if one.st_mtime < time.time() - BEHIND_SECONDS]
    if behind:
        text = f"{len(behind)} files ({sum(one.st_size for one in behind) / MIB:.1f} MiB) wait to come into the log"
        yield Finding("journals", Status.WARN, text, "see whether `mailseal serve` runs and what its worker says")
    broken = sorted(folder.glob(f"*{BROKEN_SUFFIX}"))
    if broken:
        text = f"{len(broken)} files of lines that could not be read, the first {broken[0]}"
        what_to_do = f"of a newer release: once it runs, rename them to *{SUFFIX}; torn or changed: delete them"
        yield Finding("journals", Status.WARN, text, what_to_do)
    if not behind and not broken:
        yield Finding("journals", Status.OK, f"{folder} takes outcomes, and the log has them")
