"""The workers' journals: JSON lines that a mail worker appends before it replies (architecture, rule 11).

One file per writer, locked while the writer lives; a new one begins when it gets large or old. The worker role reads
them into the database (`import_journals`) and deletes what is finished. A line lost in a power cut loses a log row, so
nothing is synced; a process that dies loses nothing.
"""

import errno
import fcntl
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from mailseal.errors import TransientError
from mailseal.store.journal_import import BEGUN_SUFFIX, SUFFIX, Imported, import_journals
from mailseal.store.lru import Lru
from mailseal.store.records import CandidateRecord, LogRecord, Record
from mailseal.store.row import uuid7

MAX_FILE_BYTES = 8 * 1024 * 1024
MAX_FILE_AGE_SECONDS = 300.0
SEEN_CANDIDATES = 10_000
SEEN_SECONDS = 3600.0


class JournalError(TransientError):
    """The journal cannot be written (disk full, folder gone): the mail is deferred."""


class JournalWriter:
    """Appends records to a journal of its own in a folder. Safe to share between threads, not between processes."""

    def __init__(
        self,
        directory: Path,
        name: str = "journal",
        *,
        max_file_bytes: int = MAX_FILE_BYTES,
        max_file_age_seconds: float = MAX_FILE_AGE_SECONDS,
    ) -> None:
        self._directory = directory
        self._name = name
        self._max_file_bytes = max_file_bytes
        self._max_file_age_seconds = max_file_age_seconds
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._size = 0
        self._begun_at = 0.0
        # The same signers write every day; what was written an hour ago need not be written again.
        self._seen: Lru[bytes, bool] = Lru(SEEN_CANDIDATES, SEEN_SECONDS)

    def append(self, records: Sequence[Record]) -> None:
        """Write all records or none, in one write; raises JournalError."""
        fresh = [one for one in records if isinstance(one, LogRecord) or self._seen.get(one.digest) is None]
        data = b"".join(record.line() for record in fresh)
        if not data:
            return
        with self._lock:
            try:
                self._write(data)
            except OSError as error:
                self._close()
                raise JournalError(f"the journal in {self._directory} cannot be written: {error.strerror}") from None
        for one in fresh:
            if isinstance(one, CandidateRecord):
                self._seen.put(one.digest, True, self._seen.generation)  # noqa: FBT003 -- the value of a set's member

    def rotate_if_old(self) -> None:
        """Let an idle writer's old file be imported to its end and deleted; call it now and then."""
        with self._lock:
            if self._descriptor is not None and self._is_old():
                self._close()

    def close(self) -> None:
        """Finish the file; the importer deletes it when it has read it."""
        with self._lock:
            self._close()

    def _write(self, data: bytes) -> None:
        if self._descriptor is not None and (self._size >= self._max_file_bytes or self._is_old()):
            self._close()
        if self._descriptor is None:
            self._begin()
        assert self._descriptor is not None
        written = os.write(self._descriptor, data)
        if written != len(data):
            # Take the torn piece back, so that it does not stand in the middle of the file.
            os.ftruncate(self._descriptor, self._size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += written

    def _is_old(self) -> bool:
        return time.monotonic() - self._begun_at >= self._max_file_age_seconds

    def _begin(self) -> None:
        path = self._directory / f"{self._name}-{uuid7().hex}{BEGUN_SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.rename(path.with_suffix(SUFFIX))
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor, self._size, self._begun_at = descriptor, 0, time.monotonic()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


__all__ = [
    "CandidateRecord",
    "Imported",
    "JournalError",
    "JournalWriter",
    "LogRecord",
    "Record",
    "import_journals",
]
