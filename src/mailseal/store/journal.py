"""The workers' journals: JSON lines that a mail worker appends before it replies (architecture, rule 11).

One file per writer, locked while the writer lives; a new one begins when it gets large or old. The worker role reads
them into the database (`import_journals`) and deletes what is finished. A line lost in a power cut loses a log row, so
nothing is synced; a process that dies loses nothing.
"""

import errno
import fcntl
import logging
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
MIN_FREE_BYTES = 1024 * 1024
"""With less on its disk no mail is taken: the outcomes of those in work need room."""
SEEN_CANDIDATES = 10_000
SEEN_SECONDS = 3600.0

logger = logging.getLogger(__name__)


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
        self._folder = (0, 0)
        self._fault = ""
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

    def is_writable(self) -> bool:
        """Whether what a mail is going to leave can be written: asked before any of its copies leaves.

        The log says once when it cannot, and once when it can again.
        """
        with self._lock:
            try:
                self._make_ready()
                fault = ""
            except OSError as error:
                self._close()
                fault = error.strerror or type(error).__name__
            if fault and not self._fault:
                logger.error("no mail is taken: the journal in %s cannot be written: %s", self._directory, fault)
            if self._fault and not fault:
                logger.warning("the journal in %s can be written again", self._directory)
            self._fault = fault
            return not fault

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
        self._put(self._open(), data)
        if not self._is_in_place():
            # Deleted: what was written is gone with it. Had it been imported, the rows' keys are known.
            self._close()
            self._put(self._open(), data)

    def _make_ready(self) -> None:
        if not self._is_in_place():
            self._close()
        space = os.fstatvfs(self._open())
        # A file system without a size has no blocks.
        if space.f_blocks and space.f_bavail * space.f_frsize < MIN_FREE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _open(self) -> int:
        """The file to write to: a new one when there is none, or it is large or old."""
        if self._size >= self._max_file_bytes or self._is_old():
            self._close()
        return self._begin() if self._descriptor is None else self._descriptor

    def _is_in_place(self) -> bool:
        if self._descriptor is None:
            return False
        folder = self._directory.stat()
        return os.fstat(self._descriptor).st_nlink > 0 and self._folder == (folder.st_dev, folder.st_ino)

    def _put(self, descriptor: int, data: bytes) -> None:
        written = os.write(descriptor, data)
        if written != len(data):
            # Take the torn piece back, so that it does not stand in the middle of the file.
            os.ftruncate(descriptor, self._size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += written

    def _is_old(self) -> bool:
        return time.monotonic() - self._begun_at >= self._max_file_age_seconds

    def _begin(self) -> int:
        folder = self._directory.stat()
        path = self._directory / f"{self._name}-{uuid7().hex}{BEGUN_SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.rename(path.with_suffix(SUFFIX))
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor, self._size, self._begun_at = descriptor, 0, time.monotonic()
        self._folder = folder.st_dev, folder.st_ino
        return descriptor

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
