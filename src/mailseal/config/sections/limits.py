"""[limits]"""

from dataclasses import dataclass

from mailseal.config import values
from mailseal.config.key import key

_MIB = 1 << 20
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a client may use. Counts hold per mail worker."""

    max_message_bytes: int = key(
        values.size(1024, 1 << 31),
        "The largest mail; a larger one is refused (552).",
        example='"100 MiB"',
        default=100 * _MIB,
    )
    max_bytes_in_flight: int = key(
        values.size(1024, 1 << 36),
        "Octets of all mails that a worker holds at once; beyond it new mail is deferred (452). One outside client has "
        "at most a quarter of the outside share, but always one largest mail.",
        example='"512 MiB"',
        default=512 * _MIB,
    )
    spool_threshold_bytes: int = key(
        values.size(0, 1 << 31),
        "A mail larger than this is held in a file instead of memory.",
        example='"256 KiB"',
        default=256 * 1024,
    )
    max_connections: int = key(
        values.whole(1, 100_000), "Connections that a worker has open at once (421 beyond).", example="500", default=500
    )
    max_connections_per_client: int = key(
        values.whole(1, 100_000),
        "Connections of one outside address (IPv6: one /64) to a worker; not counted are UNIX sockets, authorised "
        "networks and XFORWARD peers (421 beyond).",
        example="50",
        default=50,
    )
    outside_percent: int = key(
        values.whole(1, 100),
        "The share of max_connections and max_bytes_in_flight that the outside class may use; what is left is kept for "
        "authorised clients. When it is full, an outside connection that is idle makes room for a new one.",
        example="75",
        default=75,
    )
    max_recipients: int = key(
        values.whole(1, 100_000),
        "Recipients of one mail (452 beyond; RFC 5321 wants 100).",
        example="1000",
        default=1000,
    )
    idle_seconds: int = key(
        values.whole(1, 3600), "How long a client may be silent (RFC 5321 §4.5.3.2.7).", example="300", default=300
    )
    total_seconds: int = key(
        values.whole(1, _DAY_SECONDS),
        "How long a client may take from the greeting, or its mail before, to the end of its next mail (421 beyond).",
        example="3600",
        default=3600,
    )
    min_bytes_per_second: int = key(
        values.whole(0, _MIB),
        "How fast the content of a mail must come at least, in each window of rate_window_seconds (421 else); 0: any.",
        example="1024",
        default=1024,
    )
    rate_window_seconds: int = key(
        values.whole(1, 3600), "For how long a slow client is watched before it is cut.", example="60", default=60
    )
    deadline_seconds: int = key(
        values.whole(1, 3600),
        "How long one mail may take from its end to the reply; after it no further effect starts (451).",
        example="240",
        default=240,
    )
    drain_seconds: int = key(
        values.whole(0, 3600),
        "How long a process that shall end may finish its mails before it is killed.",
        example="60",
        default=60,
    )
