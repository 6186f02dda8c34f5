"""The one table of sockets and ports. `mailseal check` shows it; nothing listens that is not in it."""

from collections.abc import Callable
from dataclasses import dataclass

from mailseal.config.model import Config
from mailseal.config.sections.postfix import Instance
from mailseal.config.values import Endpoint


@dataclass(frozen=True, slots=True)
class SocketInfo:
    """A listener: its name (also among the descriptors that a worker is given), protocol, origin class, place.

    `group` may connect to a UNIX socket;
    `for_owner`: only the owner of the data folder may connect (mode 0600), not the group of the MTA.
    """

    name: str
    protocol: str
    origin: str
    key: str
    purpose: str
    place: Callable[[Config], Endpoint | None]
    for_owner: bool = False
    group: Callable[[Config], str] = lambda config: config.listen.socket_group


LMTP_AUTHORISED = "lmtp-authorised"
LMTP_SUBMISSION = "lmtp-submission"
LMTP_OUTSIDE = "lmtp-outside"
LMTP_OFFICE365 = "lmtp-office365"
SMTP = "smtp"
METRICS = "metrics"
SOCKETMAP = "socketmap"
AUTH = "auth"
QUEUE = "queue"
SANDBOX = "sandbox"
WEB = "web"
WEB_PLAIN = "web-plain"


def _with_postfix(config: Config, place: Endpoint) -> Endpoint | None:
    return None if config.postfix.instance is Instance.OFF else place


SOCKETS: tuple[SocketInfo, ...] = (
    SocketInfo(
        LMTP_AUTHORISED,
        "lmtp",
        "authorised",
        "listen.lmtp_authorised",
        "mail of own networks, from Postfix",
        lambda config: config.listen.lmtp_authorised,
    ),
    SocketInfo(
        LMTP_SUBMISSION,
        "lmtp",
        "authorised, by login",
        "listen.lmtp_submission",
        "mail of users who have logged in, from Postfix",
        lambda config: config.listen.lmtp_submission,
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
        LMTP_OFFICE365,
        "lmtp",
        "by tenant header",
        "listen.lmtp_office365",
        "mail from Exchange Online, from Postfix",
        lambda config: config.listen.lmtp_office365 if config.office365.on else None,
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
    SocketInfo(
        SOCKETMAP,
        "socketmap",
        "none",
        "listen.socketmap",
        "what Postfix asks about domains, next hops, TLS and senders",
        lambda config: _with_postfix(config, config.listen.socketmap),
    ),
    SocketInfo(
        AUTH,
        "dovecot-auth",
        "none",
        "listen.auth",
        "logins of users who hand in mail, asked by Postfix",
        lambda config: _with_postfix(config, config.listen.auth),
    ),
    SocketInfo(
        QUEUE,
        "json",
        "none",
        "postfix.instance",
        "Postfix's queue, for the job worker and `mailseal queue`",
        lambda config: _with_postfix(config, Endpoint(path=config.run_dir / "queue")),
        for_owner=True,
    ),
    SocketInfo(
        SANDBOX,
        "documents",
        "none",
        "dlp.extractors",
        "documents to read (DLP), from the mail workers and the job worker",
        lambda config: Endpoint(path=config.run_dir / "sandbox"),
        for_owner=True,
    ),
    SocketInfo(
        WEB,
        "https",
        "none",
        "web.listen",
        "the console and the API",
        lambda config: config.web.listen,
        group=lambda config: config.web.socket_group,
    ),
    SocketInfo(
        WEB_PLAIN,
        "http",
        "none",
        "web.plain_listen",
        "answers to a CA (ACME), and the way to https",
        lambda config: None if config.web.listen is None else config.web.plain_listen,
    ),
)

MAIL_SOCKETS = (LMTP_AUTHORISED, LMTP_SUBMISSION, LMTP_OUTSIDE, LMTP_OFFICE365, SMTP)
"""Those that mail comes in by."""
FOR_OWNER = frozenset(info.name for info in SOCKETS if info.for_owner)
"""Those that nobody but the owner of the data folder may connect to."""


def listeners(config: Config) -> dict[str, Endpoint]:
    """The listeners that are on, by name."""
    return {info.name: place for info in SOCKETS if (place := info.place(config)) is not None}


def group_of(name: str, config: Config) -> str:
    """The group that may connect to a UNIX socket."""
    return next(info.group(config) for info in SOCKETS if info.name == name)
