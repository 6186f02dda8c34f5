"""Canonicalisation of header fields and bodies (RFC 6376 §3.4), the body as a stream that is never held whole."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum

from mailseal.mail.message import Octets

CRLF = b"\r\n"
SLICE_OCTETS = 1 << 18
_MANY_LINES = CRLF * 4096


class Canon(StrEnum):
    """The two algorithms."""

    SIMPLE = "simple"
    RELAXED = "relaxed"


def header_field(raw: bytes, canon: Canon) -> bytes:
    """One field as it is signed, CRLF at its end. `raw`: name, colon, value, perhaps a line end."""
    raw = raw.removesuffix(CRLF)
    if canon is Canon.SIMPLE:
        return raw + CRLF
    name, _, value = raw.partition(b":")
    value = _with_single_spaces(value.replace(CRLF, b""))
    return name.rstrip(b" \t").lower() + b":" + value.strip(b" ") + CRLF


def _with_single_spaces(octets: bytes) -> bytes:
    octets = octets.replace(b"\t", b" ")
    while b"  " in octets:  # each round halves the longest run
        octets = octets.replace(b"  ", b" ")
    return octets


def _relaxed(octets: bytes) -> bytes:
    return _with_single_spaces(octets).replace(b" \r\n", CRLF)


def _unchanged(octets: bytes) -> bytes:
    return octets


class BodyStream:
    """A body, fed in pieces, told in canonical form: blank lines at its end are held back as a number, not as octets.

    A bare CR or LF is content.
    """

    def __init__(self, canon: Canon) -> None:
        self._relaxed = canon is Canon.RELAXED
        self._lines: Callable[[bytes], bytes] = _relaxed if self._relaxed else _unchanged
        self._tail = b""  # what the next piece may change: a space, a CR, or both
        self._blank_lines = 0
        self._empty = True

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What is certain after this piece."""
        octets = self._lines(self._tail + piece)
        kept = octets[:-1] if octets.endswith(b"\r") else octets
        if self._relaxed and kept.endswith(b" "):
            kept = kept[:-1]
        self._tail = octets[len(kept) :]
        end = _before_blank_lines(kept)
        if end:
            yield from self._held_back()
            yield kept[:end]
            self._empty = False
        self._blank_lines += (len(kept) - end) // 2

    def end(self) -> Iterator[bytes]:
        """The rest."""
        if self._tail.endswith(b"\r") or (self._tail and not self._relaxed):
            yield from self._held_back()
            yield self._tail
            self._empty = False
        if not (self._empty and self._relaxed):  # an empty body is one line end, or relaxed nothing
            yield CRLF

    def _held_back(self) -> Iterator[bytes]:
        many, few = divmod(self._blank_lines, 4096)
        for _ in range(many):
            yield _MANY_LINES
        if few:
            yield CRLF * few
        self._blank_lines = 0


def _before_blank_lines(octets: bytes) -> int:
    """Where the run of CRLFs at the end begins; the end where there is none."""
    start = len(octets.rstrip(CRLF))
    ends = octets[start:]
    if not ends.endswith(CRLF):
        return len(octets)
    broken = max(ends.rfind(b"\r\r"), ends.rfind(b"\n\n")) + 1
    if ends[broken : broken + 1] == b"\n":
        broken += 1
    return start + broken


def body_pieces(chunks: Iterable[Octets], canon: Canon) -> Iterator[bytes]:
    """The canonical body in pieces of a few 100 KB at most."""
    stream = BodyStream(canon)
    for chunk in chunks:
        view = memoryview(chunk)
        for start in range(0, len(view), SLICE_OCTETS):
            yield from stream.feed(bytes(view[start : start + SLICE_OCTETS]))
    yield from stream.end()


def body_hash(chunks: Iterable[Octets], canon: Canon) -> tuple[bytes, int]:
    """SHA-256 of the canonical body, and how long that is."""
    digest = hashlib.sha256()
    total = 0
    for piece in body_pieces(chunks, canon):
        digest.update(piece)
        total += len(piece)
    return digest.digest(), total
