"""The fields of a packet's body (RFC 9580 §3): scalar numbers, multiprecision integers, octets; read in order."""

from mailseal.openpgp.errors import malformed

MAX_MPI_BITS = 16_384 + 64


class Fields:
    """A cursor over the octets of one body; whatever is asked for beyond their end raises PgpError."""

    __slots__ = ("_at", "_octets")

    def __init__(self, octets: bytes | memoryview) -> None:
        self._octets = bytes(octets)
        self._at = 0

    @property
    def at(self) -> int:
        """How many octets were taken."""
        return self._at

    @property
    def left(self) -> int:
        """How many octets are still there."""
        return len(self._octets) - self._at

    def octets(self, count: int) -> bytes:
        """The next octets, exactly so many."""
        end = self._at + count
        if count < 0 or end > len(self._octets):
            raise malformed("a packet ends too early")
        taken = self._octets[self._at : end]
        self._at = end
        return taken

    def number(self, octets: int = 1) -> int:
        """The next scalar number (RFC 9580 §3.1)."""
        start, end = self._at, self._at + octets
        if end > len(self._octets):
            raise malformed("a packet ends too early")
        self._at = end
        return self._octets[start] if octets == 1 else int.from_bytes(self._octets[start:end], "big")

    def sized(self, octets: int = 1) -> bytes:
        """Octets behind a number that says how many they are."""
        return self.octets(self.number(octets))

    def mpi(self) -> bytes:
        """The octets of the next multiprecision integer (RFC 9580 §3.2), as many as its bits need."""
        bits = self.number(2)
        if bits > MAX_MPI_BITS:
            raise malformed("an integer is too large")
        return self.octets((bits + 7) // 8)

    def since(self, start: int) -> bytes:
        """The octets taken from `start`, a former `at`, to here."""
        return self._octets[start : self._at]

    def rest(self) -> bytes:
        """All that is left."""
        return self.octets(self.left)

    def done(self) -> None:
        """Raise PgpError if anything is left."""
        if self.left:
            raise malformed("a packet has octets behind its end")


def write_mpi(value: int | bytes) -> bytes:
    """A multiprecision integer (RFC 9580 §3.2); of octets, those that lead and are zero are left out."""
    number = int.from_bytes(value, "big") if isinstance(value, bytes) else value
    bits = number.bit_length()
    return bits.to_bytes(2, "big") + number.to_bytes((bits + 7) // 8, "big")


def checksum(octets: bytes) -> bytes:
    """The sum of the octets, two of them, behind old secret keys and session keys (RFC 9580 §5.1.3, §5.5.3)."""
    return (sum(octets) & 0xFFFF).to_bytes(2, "big")
