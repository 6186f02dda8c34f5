"""Base64 in CRLF lines of 76 characters (RFC 2045 §6.8), cut in C: a loop per line would cost more than encryption."""

from binascii import b2a_base64
from collections.abc import Iterable, Iterator
from functools import cache
from struct import Struct

from mailseal.mail.message import Octets

_LINE_OCTETS = 57
WINDOW_OCTETS = _LINE_OCTETS * 1024
"""What is encoded at once: little enough for the processor's cache, and of whole blocks of any cipher."""


def encode(octets: Octets) -> list[bytes]:
    """The lines, each with its line end, in blocks for the caller to join with what is around them."""
    return list(encode_all((octets,)))


def encode_all(parts: Iterable[Octets]) -> Iterator[bytes]:
    """The lines of what the parts are together, in blocks of whole lines; each part is let go before the next."""
    rest = b""
    for part in parts:
        view = memoryview(part)
        for start in range(0, len(view), WINDOW_OCTETS):
            window = rest + view[start : start + WINDOW_OCTETS]
            lines = len(window) // _LINE_OCTETS
            rest = window[lines * _LINE_OCTETS :]
            if lines:
                yield _whole_lines(window[: lines * _LINE_OCTETS], lines)
    if rest:
        yield b2a_base64(rest, newline=False) + b"\r\n"


def _whole_lines(octets: bytes, count: int) -> bytes:
    return b"\r\n".join((*_cut(count).unpack(b2a_base64(octets, newline=False)), b""))


@cache
def _cut(lines: int) -> Struct:
    return Struct("76s" * lines)
