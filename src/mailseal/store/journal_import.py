"""Journals into the database: in groups, each row once, however often a crash makes us start over.

The offset is kept in the transaction of the rows that came before it; rows have their key from the writer, so what is
read twice is stored once.
"""

import contextlib
import fcntl
import json
import logging
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mailseal.policy.model import Harvest
from mailseal.store import jobs, records
from mailseal.store.harvest import insert_candidates
from mailseal.store.models import JournalRow
from mailseal.store.revalidate import REVALIDATE
from mailseal.store.row import storable
from mailseal.store.transaction import insert_new, read, run

SUFFIX = ".journal"
BEGUN_SUFFIX = ".begun"
"""A file that is not locked yet; it gets its final name when it is."""
BEGUN_SECONDS = 3600
GROUP_BYTES = 512 * 1024
MAX_LINE_BYTES = 16 * 1024 * 1024
_INSERT = (
    "INTO store_log (id, message, message_id, time, direction, sender, sender_key, recipient, recipient_key,"
    " fate, treatment, method, reply, reasons, details, subject)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Imported:
    """What one pass did. `bad_lines` could not be read: torn by a crash, or changed by someone."""

    rows: int = 0
    candidates: int = 0
    bad_lines: int = 0
    deleted_files: int = 0

    def __add__(self, other: "Imported") -> "Imported":
        return Imported(
            self.rows + other.rows,
            self.candidates + other.candidates,
            self.bad_lines + other.bad_lines,
            self.deleted_files + other.deleted_files,
        )


def import_journals(directory: Path) -> Imported:
    """Read what is new in all journals of a folder; delete those that are read and whose writer is gone.

    One process at a time (the worker role) does this. Raises StoreUnavailable; nothing is lost then.
    """
    total = Imported()
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
        try:
            total += _import_file(path, descriptor)
        finally:
            os.close(descriptor)
    _sweep(directory)
    return total


def _sweep(directory: Path) -> None:
    """Delete files whose writer died before it began to write."""
    for path in directory.glob(f"*{BEGUN_SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - BEGUN_SECONDS:
                path.unlink()


def _import_file(path: Path, descriptor: int) -> Imported:
    # Asked before reading: a writer that is gone now can have written nothing after what we read.
    finished = _writer_is_gone(descriptor)
    total = Imported()
    offset = read(lambda: JournalRow.objects.filter(name=path.name).values_list("offset", flat=True).first()) or 0
    while True:
        data = os.pread(descriptor, GROUP_BYTES, offset)
        end = data.rfind(b"\n") + 1
        if data and end == 0 and len(data) == GROUP_BYTES:
            data = os.pread(descriptor, MAX_LINE_BYTES, offset)
            end = data.rfind(b"\n") + 1
        if end == 0:
            break
        total += _store(path.name, data[:end], offset + end)
        offset += end
    if not finished:
        return total
    if data:
        logger.warning("the last line of journal %s is torn: its writer died while writing it", path.name)
        total += Imported(bad_lines=1)
    # In this order: a crash in between reads the file once more, which stores nothing twice.
    run(lambda: JournalRow.objects.filter(name=path.name).delete())
    path.unlink(missing_ok=True)
    return total + Imported(deleted_files=1)


def _writer_is_gone(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _store(name: str, data: bytes, offset: int) -> Imported:
    rows: list[tuple[str, ...]] = []
    candidates: list[Harvest] = []
    bad = 0
    for line in data.splitlines():
        try:
            kind, *values = json.loads(line)
            if kind == records.LOG:
                rows.append(_row(values))
            else:
                candidates.append(_candidate(kind, values))
        except (ValueError, TypeError, IndexError, OverflowError, RecursionError):
            logger.warning("a line of journal %s cannot be read and is left out", name)
            bad += 1

    def work() -> Imported:
        stored = insert_new(_INSERT, rows)
        fresh = insert_candidates(candidates) if candidates else 0
        if fresh:
            jobs.enqueue(REVALIDATE, dedupe="now")
        JournalRow.objects.update_or_create(name=name, defaults={"offset": offset})
        return Imported(stored, fresh, bad)

    return run(work)


def _row(values: list[Any]) -> tuple[str, ...]:
    if len(values) != len(records.LOG_COLUMNS) or not all(type(one) is str for one in values):
        raise ValueError("not the columns of the log")
    return tuple([one if one.isascii() else storable(one) for one in values])


def _candidate(kind: object, values: list[Any]) -> Harvest:
    if kind != records.CANDIDATE:
        raise ValueError("a kind of record that this release does not know")
    der, capabilities, signed_at = values
    if type(capabilities) is not str:
        raise ValueError("capabilities are text")
    return Harvest(bytes.fromhex(der), capabilities, None if signed_at is None else _aware(signed_at))


def _aware(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment.astimezone(UTC)
