"""How much a peer may ask for: limits per session and per process (RFC 5321 §4.5.3)."""

from dataclasses import dataclass

KIBIBYTE = 1024
MEBIBYTE = 1024 * KIBIBYTE


@dataclass(frozen=True, slots=True)
class Caps:
    """The limits of a receiver.

    `total_seconds` bounds the time from the greeting, or from the end of the mail before, to the end of the next mail:
    a client that only keeps the connection busy does not hold it for longer.
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


class Load:
    """What the receivers of one process hold right now; shared by all its listeners, used on the event loop only."""

    __slots__ = ("bytes_in_flight", "connections")

    def __init__(self) -> None:
        self.connections = 0
        self.bytes_in_flight = 0

    def has_room(self, octets: int, limit: int) -> bool:
        """Whether `octets` more may be held."""
        return self.bytes_in_flight + octets <= limit

    def reserve(self, octets: int, limit: int) -> bool:
        """Count `octets` as held unless that would go beyond `limit`; False when it would."""
        if not self.has_room(octets, limit):
            return False
        self.bytes_in_flight += octets
        return True

    def release(self, octets: int) -> None:
        """Count `octets` as no longer held."""
        self.bytes_in_flight -= octets
