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


def with_crlf(raw: bytes) -> bytes:
    """The octets with every bare LF as CRLF, for mail read from a file. Bare CR is content and stays.

    Done once, before anything is looked at (RFC 8551 §3.1.1).
    """
    if raw.count(b"\n") == raw.count(b"\r\n"):
        return raw
    return raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
