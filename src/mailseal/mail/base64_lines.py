"""Base64 in CRLF lines of 76 characters (RFC 2045 §6.8), cut in C: a loop per line would cost more than encryption."""

from binascii import b2a_base64
from functools import cache
from struct import Struct

from mailseal.mail.message import Octets

_LINE_OCTETS = 57
_BLOCK_LINES = 256


def encode(octets: Octets) -> list[bytes]:
    """The lines, each with its line end, in blocks for the caller to join with what is around them."""
    view = memoryview(octets)
    blocks: list[bytes] = []
    for start in range(0, len(view), _LINE_OCTETS * _BLOCK_LINES):
        text = b2a_base64(view[start : start + _LINE_OCTETS * _BLOCK_LINES], newline=False)
        full, rest = divmod(len(text), 76)
        lines = _lines(full).unpack_from(text)
        blocks.append(b"\r\n".join((*lines, text[-rest:], b"") if rest else (*lines, b"")))
    return blocks


@cache
def _lines(count: int) -> Struct:
    return Struct("76s" * count)
