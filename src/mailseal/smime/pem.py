"""PEM (RFC 7468, RFC 1421 §4.4) written, and read as a stream: a bundle may be far larger than the memory for it."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

CHUNK_OCTETS = 1 << 18
MAX_BLOCK_OCTETS = 24 * 1024 * 1024
"""Of one block's text: 16 MiB in base64, and some."""

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 #]{1,40})-----[ \t]*\r?\n")
_LONGEST_BEGIN = 200


@dataclass(frozen=True, slots=True)
class Block:
    """One PEM block. `text`: what stands between its two lines; `problem` says why there is nothing to read in it."""

    label: str
    text: bytes = field(repr=False)
    problem: str = ""

    @property
    def whole(self) -> bytes:
        """The block as it stood."""
        label = self.label.encode()
        return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label, self.text, label)

    @property
    def has_headers(self) -> bool:
        """Whether RFC 1421 headers stand before the content, as in keys that OpenSSL encrypted."""
        return b":" in self.text

    def der(self) -> bytes:
        """What the block holds; raises ValueError if it is not base64."""
        try:
            return base64.b64decode(b"".join(self.text.split()), validate=True)
        except binascii.Error:
            raise ValueError("the PEM block is not base64") from None


def encode(label: str, der: bytes) -> bytes:
    """One block, in lines of 64 characters (RFC 7468 §2)."""
    text = base64.b64encode(der).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", "")).encode()


def blocks(file: BinaryIO, *, max_block_octets: int = MAX_BLOCK_OCTETS) -> Iterator[Block]:
    """The blocks of a file from where it stands, in order; whatever is around them is passed over."""
    window = _Window(file)
    while (label := window.to_begin()) is not None:
        text = window.to(b"-----", max_block_octets)
        if text is None or not window.take(b"-----END %b-----" % label):
            # What comes next may be the beginning of another block.
            yield Block(label.decode(), b"", f"the PEM block {label.decode()} has no end")
        else:
            yield Block(label.decode(), text)


class _Window:
    """The part of a file that is looked at: `data` from `at` on."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._data = b""
        self._at = 0

    def to_begin(self) -> bytes | None:
        """Go behind the next line that begins a block; its label. None: there is no more."""
        while (match := _BEGIN.search(self._data, self._at)) is None:
            self._at = max(self._at, len(self._data) - _LONGEST_BEGIN)
            if not self._more():
                return None
        self._at = match.end()
        return match[1]

    def to(self, octets: bytes, limit: int) -> bytes | None:
        """Go to where the octets stand; what is before them. None, staying here: not within the limit."""
        looked_at = 0
        while (found := self._data.find(octets, self._at + max(looked_at - len(octets), 0))) < 0:
            looked_at = len(self._data) - self._at
            if looked_at > limit or not self._more():
                return None
        before = self._data[self._at : found]
        self._at = found
        return before

    def take(self, octets: bytes) -> bool:
        """Go behind the octets if they stand here."""
        while len(self._data) - self._at < len(octets) and self._more():
            continue
        if not self._data.startswith(octets, self._at):
            return False
        self._at += len(octets)
        return True

    def _more(self) -> bool:
        more = self._file.read(CHUNK_OCTETS)
        self._data = self._data[self._at :] + more
        self._at = 0
        return bool(more)
