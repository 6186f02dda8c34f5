"""What is forced to the disk, and what gets a name, in their order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock


@contextmanager
def on_the_disk() -> Iterator[list[tuple[object, ...]]]:
    """("synced", inode, size) of each fsync, ("named", inode) of each link, for as long as it lasts."""
    seen: list[tuple[object, ...]] = []
    sync, link = os.fsync, os.link

    def fsync(descriptor: int) -> None:
        sync(descriptor)
        found = os.fstat(descriptor)
        seen.append(("synced", found.st_ino, found.st_size))

    def named(old: str, new: str, **how: bool) -> None:
        link(old, new, **how)
        seen.append(("named", os.stat(new).st_ino))  # noqa: PTH116 -- as the calls that are watched

    with mock.patch.object(os, "fsync", fsync), mock.patch.object(os, "link", named):
        yield seen
