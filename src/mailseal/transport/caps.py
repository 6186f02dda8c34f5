"""How much a peer may ask for: limits per session and per process (RFC 5321 §4.5.3)."""

from collections import Counter
from dataclasses import dataclass

from mailseal.mail.envelope import Origin

KIBIBYTE = 1024
MEBIBYTE = 1024 * KIBIBYTE

_AUTHORISED = Origin.AUTHORISED
_SLOW_CLIENTS = 4
"""So many outside clients, and not fewer, can together take all bytes of their class."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is connected. `client` is what its connections and octets are counted by; None: they are not."""

    address: str
    origin: Origin
    may_xforward: bool = False
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Caps:
    """The limits of a receiver.

    `total_seconds` bounds the time from the greeting, or from the end of the mail before, to the end of the next mail:
    a client that only keeps the connection busy does not hold it for longer. Content that comes slower than
    `min_bytes_per_second`, measured over each window, ends the session.

    `outside_percent` is the share of connections and of bytes in flight that the outside class may use; what is left is
    kept for authorised clients. `max_connections_per_client` holds for each outside address that speaks for itself, and
    so does a quarter of the outside share of bytes in flight: few slow large mails do not keep out all others.
    When the outside share is full, a connection from outside that has been silent for `expendable_seconds`, with no
    content under way, makes room for a new one; `talk_seconds` after it came, or after its last mail, talk counts as
    silence.
    """

    max_connections: int = 500
    max_recipients: int = 1000
    max_message_bytes: int = 100 * MEBIBYTE
    max_bytes_in_flight: int = 512 * MEBIBYTE
    spool_threshold_bytes: int = 256 * KIBIBYTE
    max_command_bytes: int = 2048
    max_errors: int = 20
    idle_seconds: float = 300.0
    total_seconds: float = 900.0
    handshake_seconds: float = 30.0
    outside_percent: int = 75
    max_connections_per_client: int = 50
    expendable_seconds: float = 5.0
    talk_seconds: float = 30.0
    min_bytes_per_second: int = KIBIBYTE
    rate_window_seconds: float = 60.0

    @property
    def outside_connections(self) -> int:
        """How many connections the outside class may have."""
        return max(1, self.max_connections * self.outside_percent // 100)

    @property
    def outside_bytes(self) -> int:
        """How many bytes in flight the outside class may have; always one largest mail."""
        share = self.max_bytes_in_flight * self.outside_percent // 100
        return min(self.max_bytes_in_flight, max(share, self.max_message_bytes))

    @property
    def bytes_per_client(self) -> int:
        """How many of them one outside client may have; always one largest mail."""
        return max(self.outside_bytes // _SLOW_CLIENTS, self.max_message_bytes)


class Load:
    """What the receivers of one process hold right now; shared by all its listeners, used on the event loop only."""

    __slots__ = ("_bytes_of_client", "bytes_in_flight", "connections", "outside_bytes_in_flight")

    def __init__(self) -> None:
        self.connections = 0
        self.bytes_in_flight = 0
        self.outside_bytes_in_flight = 0
        self._bytes_of_client: Counter[str] = Counter()

    def has_room(self, octets: int, caps: Caps, peer: Peer) -> bool:
        """Whether mail of this peer may hold `octets` more."""
        if self.bytes_in_flight + octets > caps.max_bytes_in_flight:
            return False
        if peer.origin is _AUTHORISED:
            return True
        if peer.client is not None and self._bytes_of_client[peer.client] + octets > caps.bytes_per_client:
            return False
        return self.outside_bytes_in_flight + octets <= caps.outside_bytes

    def reserve(self, octets: int, caps: Caps, peer: Peer) -> bool:
        """Count `octets` as held unless there is no room for them; False when there is none."""
        if not self.has_room(octets, caps, peer):
            return False
        self._count(octets, peer)
        return True

    def release(self, octets: int, peer: Peer) -> None:
        """Count `octets` as no longer held."""
        self._count(-octets, peer)

    def _count(self, octets: int, peer: Peer) -> None:
        self.bytes_in_flight += octets
        if peer.origin is _AUTHORISED:
            return
        self.outside_bytes_in_flight += octets
        if peer.client is not None:
            self._bytes_of_client[peer.client] += octets
            if not self._bytes_of_client[peer.client]:
                del self._bytes_of_client[peer.client]
