"""Journals into the database: in groups, each row once, however often a crash makes us start over.

The offset is kept in the transaction of the rows that came before it; rows have their key from the writer, so what is
read twice is stored once. What cannot be read is kept beside, in a file *.broken: after an upgrade it may be readable.
"""

import contextlib
import errno
import fcntl
import logging
import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.db.transaction import atomic
from django.db.utils import Error

from mailseal.policy.model import MethodName
from mailseal.store import jobs, pgp_candidates, traffic
from mailseal.store.harvest import insert_candidates
from mailseal.store.journal_lines import parse
from mailseal.store.models import JournalRow, LogRow
from mailseal.store.pace import Pace, Turn
from mailseal.store.records import LogRecord
from mailseal.store.revalidate import REVALIDATE
from mailseal.store.transaction import insert_new, read, run

SUFFIX = ".journal"
BEGUN_SUFFIX = ".begun"
"""A file that is not locked yet; it gets its final name when it is."""
BROKEN_SUFFIX = ".broken"
"""What of the journal of the same name could not be read."""
BEGUN_SECONDS = 3600
GROUP_BYTES = 512 * 1024
MIN_GROUP_BYTES = 8 * 1024
MAX_LINE_BYTES = 16 * 1024 * 1024
_INSERT = (
    "INTO store_log (id, message, message_id, time, direction, sender, sender_key, recipient, recipient_key,"
    " fate, treatment, method, reply, reasons, details, subject)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
_INSERT_QUEUE_IDS = "INTO store_log_queue (id, queue_id, sent_as) VALUES (%s, %s, %s)"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Imported:
    """What one pass did. `bad_lines` could not be read: torn by a crash, changed by someone, of a newer release."""

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


def import_journals(directory: Path, turn: Turn | None = None) -> Imported:
    """Read what is new in all journals of a folder; delete those that are read and whose writer is gone.

    One process at a time (the worker role) does this. Raises StoreUnavailable; nothing is lost then. Raises OSError
    when a file could not be read or its bad lines not be kept, after all others have been read.
    """
    turn = turn or Turn()
    pace = Pace(min(64 * 1024, GROUP_BYTES), min(MIN_GROUP_BYTES, GROUP_BYTES), GROUP_BYTES)
    total = Imported()
    failure: OSError | None = None
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        try:
            with _opened(path) as descriptor:
                total += _import_file(path, descriptor, pace, turn)
        except FileNotFoundError:
            continue
        except OSError as error:
            failure = error
        if turn.cut_off:
            break
    _sweep(directory)
    if failure is not None:
        raise failure
    return total


def log_now(records: Iterable[LogRecord]) -> None:
    """Log what did not come by a journal, in the caller's transaction: with that of which it tells."""
    found = parse(b"".join(record.line() for record in records))
    _insert_rows(found.rows)
    insert_new(_INSERT_QUEUE_IDS, found.queue_ids)


def _insert_rows(rows: Sequence[Sequence[str | int]]) -> int:
    """Into the log, in the caller's transaction, and count those that were not there; returns how many."""
    with contextlib.suppress(_ReadBefore), atomic():
        stored = insert_new(_INSERT, rows)
        if stored != len(rows):
            raise _ReadBefore
        traffic.count(rows)
        return stored
    keys = [str(row[0]) for row in rows]
    known = {key.hex for key in LogRow.objects.filter(pk__in=keys).values_list("pk", flat=True)}
    new = list({str(row[0]): row for row in rows if row[0] not in known}.values())
    stored = insert_new(_INSERT, new)
    traffic.count(new)
    return stored


class _ReadBefore(Exception):  # noqa: N818 -- no error: a crash, and the lines are read once more
    """Some of the rows are in the log already."""


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Nothing but a file: a pipe would stop us for ever. What is none gets out of the way."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            _get_rid_of(path)
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            _get_rid_of(path)
            raise FileNotFoundError(errno.ENOENT, "no file", str(path))
        yield descriptor
    finally:
        os.close(descriptor)


def _get_rid_of(path: Path) -> None:
    logger.error("%s is not a file, it is renamed", path)
    path.rename(path.with_suffix(BROKEN_SUFFIX))


def _sweep(directory: Path) -> None:
    """Delete files whose writer died before it began to write."""
    for path in directory.glob(f"*{BEGUN_SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - BEGUN_SECONDS:
                path.unlink()


def _import_file(path: Path, descriptor: int, pace: Pace, turn: Turn) -> Imported:
    # Asked before reading: a writer that is gone now can have written nothing after what we read.
    finished = _writer_is_gone(descriptor)
    total = Imported()
    offset = read(lambda: JournalRow.objects.filter(name=path.name).values_list("offset", flat=True).first()) or 0
    while True:
        data = _next_lines(descriptor, offset, pace.size)
        if not data:
            break
        if not turn.goes_on():
            return total
        with pace.step():
            total += _store(path, data, offset)
        offset += len(data)
    return total + _end(path, descriptor, offset) if finished else total


def _next_lines(descriptor: int, offset: int, size: int) -> bytes:
    """Whole lines, at most `size` octets unless the first is longer; nothing at the end of what is written."""
    data = os.pread(descriptor, size, offset)
    end = data.rfind(b"\n") + 1
    if end == 0 and len(data) == size:
        data = os.pread(descriptor, MAX_LINE_BYTES, offset)
        end = data.find(b"\n") + 1
    return data[:end]


def _end(path: Path, descriptor: int, offset: int) -> Imported:
    """All lines are read and no more will come."""
    torn = os.pread(descriptor, MAX_LINE_BYTES, offset)
    bad = Imported(bad_lines=1 if torn else 0)
    whole = len(torn) < MAX_LINE_BYTES
    if torn and whole:
        logger.warning("the last line of journal %s is torn: its writer died while writing it", path.name)
        _keep(path, [torn])
    if not whole:
        logger.error("journal %s has a line without an end; it is kept as %s", path.name, BROKEN_SUFFIX)
        path.rename(path.with_name(f"{path.stem}-rest{BROKEN_SUFFIX}"))
    # In this order: a crash in between reads the file once more, which stores nothing twice.
    run(lambda: JournalRow.objects.filter(name=path.name).delete())
    path.unlink(missing_ok=True)
    return bad + Imported(deleted_files=1)


def _writer_is_gone(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _store(path: Path, data: bytes, offset: int) -> Imported:
    """Store whole lines that begin at an offset. What the database refuses is narrowed down to the line."""
    found = parse(data)
    if found.bad:
        _keep(path, found.bad)

    certificates = [one for one in found.candidates if one.method is MethodName.SMIME]
    keys = pgp_candidates.prepare_harvest(one for one in found.candidates if one.method is MethodName.PGP)

    def work() -> Imported:
        stored = _insert_rows(found.rows)
        insert_new(_INSERT_QUEUE_IDS, found.queue_ids)
        fresh = insert_candidates(certificates) if certificates else 0
        if fresh:
            jobs.enqueue(REVALIDATE, dedupe="now")
        fresh += pgp_candidates.insert_candidates(keys)
        _remember(path, offset + len(data))
        return Imported(stored, fresh, len(found.bad))

    try:
        return run(work)
    except Error:
        lines = [line + b"\n" for line in data.split(b"\n")[:-1]]
        if len(lines) == 1:
            _keep(path, [data.removesuffix(b"\n")])
            run(lambda: _remember(path, offset + len(data)))
            return Imported(bad_lines=1)
        first = b"".join(lines[: len(lines) // 2])
        return _store(path, first, offset) + _store(path, data[len(first) :], offset + len(first))


def _remember(path: Path, offset: int) -> None:
    JournalRow.objects.update_or_create(name=path.name, defaults={"offset": offset})


def _keep(path: Path, bad: Sequence[bytes]) -> None:
    """Add lines to the file of those that cannot be read, each once; raises OSError."""
    broken = path.with_suffix(BROKEN_SUFFIX)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(broken, flags, 0o600), "r+b") as kept:
        lines = kept.read().split(b"\n")
        known, torn = set(lines), lines[-1]
        new = [line for line in bad if line not in known]
        kept.write((b"\n" if torn and new else b"") + b"".join(line + b"\n" for line in new))
    if new:
        logger.error("%d lines of journal %s cannot be read; they are kept in %s", len(new), path.name, broken)
