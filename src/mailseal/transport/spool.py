"""The body of a mail that is coming in: in memory while small, in an unlinked file when large."""

import io
import mmap
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from mailseal.mail.message import Message


class Body:
    """Takes octets and gives a `Message`. The file has no name, so a crash leaves nothing behind."""

    __slots__ = ("_directory", "_file", "_map", "_threshold_bytes", "size")

    def __init__(self, threshold_bytes: int, directory: Path | None) -> None:
        self._threshold_bytes = threshold_bytes
        self._directory = directory
        self._file: BinaryIO = io.BytesIO()
        self._map: mmap.mmap | None = None
        self.size = 0

    def append(self, octets: bytes) -> None:
        """Add octets; raises OSError when the disk is full."""
        before, self.size = self.size, self.size + len(octets)
        if before <= self._threshold_bytes < self.size:
            self._spill()
        self._file.write(octets)

    def _spill(self) -> None:
        memory = self._file
        assert isinstance(memory, io.BytesIO)
        self._file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 -- lives as long as the body; `close` closes it
        self._file.write(memory.getbuffer())

    def message(self) -> Message:
        """All octets so far; raises OSError when the disk is full."""
        if isinstance(self._file, io.BytesIO):
            return Message(self._file.getvalue())
        self._file.flush()
        self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return Message(self._map)

    def close(self) -> None:
        """Let go of the memory or the file."""
        if self._map is not None:
            # A view of the map that is still alive keeps it: it then goes with that view.
            with suppress(BufferError):
                self._map.close()
        with suppress(OSError):
            self._file.close()
