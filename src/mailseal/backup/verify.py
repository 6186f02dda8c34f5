"""Reads a backup to its end: decrypts it, checks every octet, digest and count; nothing is written."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from mailseal.backup import node_files
from mailseal.backup.container import Opened
from mailseal.backup.errors import DamagedBackupError
from mailseal.backup.manifest import CONFIG_MEMBER, DATABASE, MEMBER, Manifest, read_manifest
from mailseal.backup.members import Member, unpack
from mailseal.keys.sealing import SealError
from mailseal.store.dump_format import DumpReader, split_lines

MAX_FILES: Final = 1000
_MAX_FILE_OCTETS: Final = 64 * 1024 * 1024
"""Of all files together, which are held in memory."""


@dataclass(frozen=True, slots=True)
class Contents:
    """A backup up to its database. `files` by member; `dump` reads the rest."""

    manifest: Manifest
    files: dict[str, bytes]
    dump: DumpReader


def read(opened: Opened) -> Contents:
    """Read manifest and files; raises BackupError, DumpError."""
    members = unpack(opened.chunks())
    name, octets = next(members, ("", b""))
    if name != MEMBER:
        raise DamagedBackupError("the backup does not begin with its manifest")
    manifest = read_manifest(octets)
    expected = [entry.member for entry in manifest.keks]
    expected += [CONFIG_MEMBER] if manifest.config is not None else []
    expected += [entry.member for entry in manifest.files]
    files = _files(members, expected)
    for entry in manifest.keks:
        _check_kek(entry.kek_id, files[entry.member])
    dump = DumpReader(split_lines(_database(members)))
    if {table.name: table.rows for table in dump.head.tables} != dict(manifest.rows):
        raise DamagedBackupError("the backup's database is not the one that its manifest tells of")
    return Contents(manifest, files, dump)


def verify(opened: Opened, *, progress: Callable[[int, int], None] = lambda _rows, _total: None) -> Manifest:
    """Read everything; raises BackupError, DumpError."""
    contents = read(opened)
    total = contents.dump.head.rows
    for done, _ in enumerate(contents.dump.rows(), 1):
        progress(done, total)
    return contents.manifest


def _files(members: Iterator[Member], expected: list[str]) -> dict[str, bytes]:
    if len(expected) > MAX_FILES or len(set(expected)) < len(expected):
        raise DamagedBackupError("the backup's manifest tells of too many files")
    files: dict[str, bytes] = {}
    size = 0
    for wanted in expected:
        name, octets = next(members, ("", b""))
        size += len(octets)
        if name != wanted or size > _MAX_FILE_OCTETS:
            raise DamagedBackupError(f"the backup lacks {wanted}, or it is too large")
        files[name] = octets
    return files


def _database(members: Iterator[Member]) -> Iterator[bytes]:
    for number, (name, octets) in enumerate(members, 1):
        if name != f"{DATABASE}/{number:08}":
            raise DamagedBackupError("the pieces of the backup's database are not in their order")
        yield octets


def _check_kek(kek_id: str, key: bytes) -> None:
    try:
        right = node_files.kek_id(key) == kek_id
    except SealError:
        right = False
    if not right:
        raise DamagedBackupError(f"KEK {kek_id} in the backup is not that KEK")
