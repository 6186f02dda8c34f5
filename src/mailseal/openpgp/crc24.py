"""The checksum of armored text (RFC 9580 §6.1.1): nobody need check it, but programs in use want it.

Without it gpg 2.2 reads no block whose base64 ends without padding, older Bouncy Castle none at all.

A message is a polynomial over GF(2), held in one integer. Octet by octet it would cost more than encryption; instead
its upper half is folded onto the lower one, by x^1257 = x^24 + x^16 + 1, which holds modulo the generator, and so does
the square of it, and the square of that: a handful of shifts for each halving.
"""

from mailseal.mail.message import Octets

_GENERATOR = 0x1864CFB
_START = 0xB704CE
_FOLD_BITS = 1257
_FOLDED_OCTETS = 158
"""Room for what is left after the last fold."""
_WINDOW_OCTETS = 20_000
"""Small enough for the processor's cache."""


def _table() -> tuple[int, ...]:
    rows = []
    for octet in range(256):
        row = octet << 16
        for _ in range(8):
            row = row << 1 ^ (_GENERATOR if row & 0x800000 else 0)
        rows.append(row)
    return tuple(rows)


def _before() -> bytes:
    """The octets that lead from nothing to the start value."""
    value = _START
    for _ in range(24):
        value = (value ^ _GENERATOR if value & 1 else value) >> 1
    return value.to_bytes(3, "big")


_TABLE = _table()
_BEFORE = _before()


class Crc24:
    """The checksum of what was given to `update`."""

    __slots__ = ("_octets", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[Octets] = [_BEFORE]
        self._octets = 0

    def update(self, octets: Octets) -> None:
        """Take more octets. Small pieces wait until they fill a window."""
        self._pieces.append(octets)
        self._octets += len(octets)
        if self._octets >= _WINDOW_OCTETS:
            self._fold()

    def _fold(self) -> None:
        state, *pieces = self._pieces
        view = memoryview(b"".join(pieces))
        for start in range(0, len(view), _WINDOW_OCTETS):
            number = int.from_bytes(b"".join((state, view[start : start + _WINDOW_OCTETS])), "big")
            state = _folded(number).to_bytes(_FOLDED_OCTETS, "big")
        self._pieces, self._octets = [state], 0

    def digest(self) -> bytes:
        """Three octets."""
        if self._octets > _FOLDED_OCTETS:
            self._fold()
        value = 0
        for octet in b"".join(self._pieces):
            value = (value << 8 & 0xFFFFFF) ^ _TABLE[value >> 16 ^ octet]
        return value.to_bytes(3, "big")


def _folded(number: int) -> int:
    times = 1 << max((number.bit_length() // _FOLD_BITS).bit_length() - 1, 0)
    while times:
        low = _FOLD_BITS * times
        high = number >> low
        if high:
            number ^= high << low ^ high << 24 * times ^ high << 16 * times ^ high
        else:
            times >>= 1
    return number
