"""The one table of sockets and ports. `mailseal check` shows it; nothing listens that is not in it."""

from collections.abc import Callable
from dataclasses import dataclass

from mailseal.config.model import Config
from mailseal.config.values import Endpoint


@dataclass(frozen=True, slots=True)
class SocketInfo:
    """A listener: its name (also among the descriptors that a worker is given), protocol, origin class, place."""

    name: str
    protocol: str
    origin: str
    key: str
    purpose: str
    place: Callable[[Config], Endpoint | None]


LMTP_AUTHORISED = "lmtp-authorised"
LMTP_OUTSIDE = "lmtp-outside"
SMTP = "smtp"
METRICS = "metrics"

SOCKETS: tuple[SocketInfo, ...] = (
    SocketInfo(
        LMTP_AUTHORISED,
        "lmtp",
        "authorised",
        "listen.lmtp_authorised",
        "mail of submission and own networks, from Postfix",
        lambda config: config.listen.lmtp_authorised,
    ),
    SocketInfo(
        LMTP_OUTSIDE,
        "lmtp",
        "outside",
        "listen.lmtp_outside",
        "all other mail, from Postfix",
        lambda config: config.listen.lmtp_outside,
    ),
    SocketInfo(
        SMTP,
        "smtp",
        "by client network",
        "listen.smtp",
        "mail without Postfix",
        lambda config: config.listen.smtp,
    ),
    SocketInfo(
        METRICS,
        "http",
        "none",
        "metrics.listen",
        "numbers for Prometheus, health check",
        lambda config: config.metrics.listen,
    ),
)

MAIL_SOCKETS = (LMTP_AUTHORISED, LMTP_OUTSIDE, SMTP)
"""Those that mail comes in by."""


def listeners(config: Config) -> dict[str, Endpoint]:
    """The listeners that are on, by name."""
    return {info.name: place for info in SOCKETS if (place := info.place(config)) is not None}
