"""The files that an import is given: files, and every file of a folder, found and opened one by one."""

import io
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from mailseal.cli.output import MAX_INPUT_BYTES

_SORTED_AT_ONCE = 1000
"""A folder is read in the order of its names, a thousand at a time: a million names are never held."""

Rights = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read. `folder`: where it was found, out of which no link may lead; None: it was named itself.

    `problem`: why it cannot be read, known already.
    """

    path: Path
    octets: int = 0
    folder: Path | None = None
    problem: str = ""

    def open(self, rights: Rights) -> BinaryIO:
        """Open it for reading, from the beginning and more than once; raises OSError."""
        if str(self.path) == "-":
            return io.BytesIO(_bounded(sys.stdin.buffer))
        with rights():
            # O_NONBLOCK: a pipe without a writer must not hold the import up.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | (os.O_NONBLOCK if self.folder else 0))
        try:
            is_file = self._check(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        file = os.fdopen(descriptor, "rb")
        if is_file:
            return file
        with file:
            return io.BytesIO(_bounded(file))  # a pipe, as of a shell's <(…), which cannot be read twice

    def _check(self, descriptor: int) -> bool:
        """Whether it is a file; raises OSError. What is open is looked at: a name may mean something else by now."""
        mode = os.fstat(descriptor).st_mode
        if self.folder is None and not stat.S_ISDIR(mode):
            return stat.S_ISREG(mode)
        place = Path(f"/proc/self/fd/{descriptor}").readlink()
        if self.folder is None or not stat.S_ISREG(mode) or not place.is_relative_to(self.folder):
            raise OSError(0, "it is no file, or a link that leads out of the folder")
        return True


def _bounded(file: BinaryIO) -> bytes:
    octets = file.read(MAX_INPUT_BYTES + 1)
    if len(octets) > MAX_INPUT_BYTES:
        raise OSError(0, f"what comes from a pipe is larger than {MAX_INPUT_BYTES >> 20} MiB")
    return octets


def sources(paths: Sequence[Path], rights: Rights, *, recursive: bool = False) -> Iterator[Source]:
    """The files: those named, and those of folders but for hidden ones. What cannot be looked at has a problem."""
    for path in paths:
        with rights():
            is_folder = path.is_dir()
            inside = Path(os.path.realpath(path)) if is_folder else None
        if inside is None:
            yield _named(path, rights)
        else:
            yield from _of_folder(path, inside, rights, recursive=recursive)


def _named(path: Path, rights: Rights) -> Source:
    if str(path) == "-":
        return Source(path)
    try:
        with rights():
            return Source(path, path.stat().st_size)
    except OSError as error:
        return Source(path, problem=f"it cannot be read: {error.strerror}")


def _of_folder(folder: Path, inside: Path, rights: Rights, *, recursive: bool) -> Iterator[Source]:
    try:
        with rights():
            entries = os.scandir(folder)
    except OSError as error:
        yield Source(folder, problem=f"the folder cannot be read: {error.strerror}")
        return
    with entries:
        while some := _next(entries, rights):
            for entry in some:
                if entry.is_folder and recursive:
                    yield from _of_folder(folder / entry.name, inside, rights, recursive=True)
                elif not entry.is_folder:
                    yield Source(folder / entry.name, entry.octets, inside)


@dataclass(frozen=True, slots=True, order=True)
class _Entry:
    name: str
    octets: int
    is_folder: bool


def _next(entries: Iterator[os.DirEntry[str]], rights: Rights) -> list[_Entry]:
    with rights():
        return sorted(_entry(one) for one in islice((one for one in entries if one.name[0] != "."), _SORTED_AT_ONCE))


def _entry(entry: os.DirEntry[str]) -> _Entry:
    try:
        # A link to a folder counts as a file, which `open` then refuses: no way round and round.
        return _Entry(entry.name, entry.stat().st_size, entry.is_dir(follow_symlinks=False))
    except OSError:
        return _Entry(entry.name, 0, is_folder=False)
