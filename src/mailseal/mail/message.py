"""A received message: its octets as they came, CRLF line ends, without the final dot (RFC 5322)."""

from dataclasses import dataclass
from mmap import mmap

Octets = bytes | memoryview | mmap
"""Anything that holds octets and can be written to a socket."""


@dataclass(frozen=True, slots=True)
class Message:
    """The raw octets; a large one is a memory map of its spool file."""

    raw: bytes | mmap

    def __len__(self) -> int:
        return len(self.raw)
