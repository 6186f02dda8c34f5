"""[postfix]"""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mailseal.config import values
from mailseal.config.key import key
from mailseal.config.next_hop import NextHop, next_hops
from mailseal.config.values import BadValueError, Endpoint, Network

SYSTEM_QUEUE_DIR = Path("/var/spool/postfix")
"""Where a system's Postfix has its queue, and its daemons, chrooted or not, find a relative name."""
SOCKETS_NAME = "mailseal"
"""The folder of the sockets below a queue folder."""
_PARAMETER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_\-]{0,127}")


class Instance(StrEnum):
    """Which Postfix works with this gateway."""

    OFF = "off"
    PRIVATE = "private"
    SYSTEM = "system"


def _places(raw: object) -> tuple[Endpoint, ...]:
    places = tuple(_tcp(item) for item in values.items(raw))
    if len(set(places)) < len(places):
        raise BadValueError("names a place twice")
    return places


def _tcp(raw: object) -> Endpoint:
    place = values.endpoint(raw)
    if place.path is not None:
        raise BadValueError("must be host:port")
    return place


def _hops(raw: object) -> tuple[NextHop, ...]:
    return next_hops(raw) if values.items(raw) else ()


def _settings(raw: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(raw, dict):
        raise BadValueError("must be a table of Postfix's parameters; it has no environment variable")
    for name, value in raw.items():
        if not _PARAMETER.fullmatch(name):
            raise BadValueError(f"{name!r} is not the name of a parameter of main.cf")
        if not isinstance(value, str) or (value and not value.isprintable()):
            raise BadValueError(f"{name} must be a text on one line, as it stands behind the = in main.cf")
    return tuple(raw.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Postfix:
    """The Postfix around this gateway: see `postfix.md`. It queues, retries, bounces and speaks TLS with the world."""

    instance: Instance = key(
        values.one_of(Instance),
        "off: Postfix is not our concern; private: `mailseal serve` runs one of its own (as root); system: the "
        "machine's, set up by `mailseal postfix install`. `mailseal serve --postfix private` wins over it.",
        example='"private"',
        default=Instance.OFF,
    )
    folder: Path = key(
        values.path,
        "The folder of the private instance: configuration, queue, sockets, log. Root's, as are all folders above it: "
        "whoever could write there would be root.",
        example='"/var/lib/mailseal-postfix"',
        default=Path("/var/lib/mailseal-postfix"),
    )
    config_dir: Path = key(
        values.path,
        "Where main.cf and master.cf of the system's instance are.",
        example='"/etc/postfix"',
        default=Path("/etc/postfix"),
    )
    listen: tuple[Endpoint, ...] = key(
        _places,
        "Where Postfix takes mail from the world; an empty list: nowhere. IPv6 places count where there is IPv6.",
        example='["192.0.2.25:25"]',
        default=(Endpoint(host="0.0.0.0", port=25), Endpoint(host="::", port=25)),  # noqa: S104 - a mail server
    )
    submission: tuple[Endpoint, ...] = key(
        _places,
        "Where users hand in mail, with STARTTLS and a login (RFC 6409). Needs listen.tls_certificate.",
        example='["0.0.0.0:587", "[::]:587"]',
        default=(),
        default_text="[]",
    )
    submissions: tuple[Endpoint, ...] = key(
        _places,
        "The same with TLS from the first octet (RFC 8314 §3.3).",
        example='["0.0.0.0:465", "[::]:465"]',
        default=(),
        default_text="[]",
    )
    reinjection: Endpoint = key(
        _tcp,
        "Where mail comes back from Mailseal: what relay.inside and relay.outside name. Who can connect may relay.",
        example='"127.0.0.1:10026"',
        default=Endpoint(host="127.0.0.1", port=10026),
    )
    return_listen: Endpoint = key(
        _tcp,
        "The same for mail that goes back to the neighbour it came from (only with [office365]).",
        example='"127.0.0.1:10027"',
        default=Endpoint(host="127.0.0.1", port=10027),
    )
    networks: tuple[Network, ...] = key(
        values.networks,
        "Clients at `listen` from these networks may relay, and their mail is of the authorised class: it may be "
        "signed.",
        example='["10.0.0.0/24"]',
        default=(),
        default_text="[]",
    )
    inside: tuple[NextHop, ...] = key(
        _hops,
        "The inner servers, by preference, as next hops are written (docs/next-hops.md). Without one, mail to "
        "internal domains goes where their MX records say, which must not be here.",
        example='["smtp://10.0.0.5:25?tls=required"]',
        default=(),
        default_text="[]",
    )
    outside: tuple[NextHop, ...] = key(
        _hops,
        "Smart hosts for all other mail; without one it goes where MX records say.",
        example='["smtp://relay.example.net:587?tls=verified"]',
        default=(),
        default_text="[]",
    )
    verify_recipients: bool = key(
        values.flag,
        "Whether the inner server is asked if it has a recipient before mail for them is taken. Refused there: 550; "
        "no answer: the mail is taken.",
        example="false",
        default=True,
    )
    settings: tuple[tuple[str, str], ...] = key(
        _settings,
        "Further parameters of main.cf, which win over ours, but for those that security depends on.",
        example='{ smtpd_banner = "$myhostname ESMTP", maximal_queue_lifetime = "3d" }',
        default=(),
        default_text="{}",
    )

    @property
    def active_dir(self) -> Path:
        """The folder of the main.cf that counts: for `postfix -c`, `postqueue -c`."""
        return self.folder / "etc" if self.instance is Instance.PRIVATE else self.config_dir

    @property
    def queue_dir(self) -> Path:
        """Postfix's queue folder."""
        return self.folder / "queue" if self.instance is Instance.PRIVATE else SYSTEM_QUEUE_DIR

    @property
    def log_file(self) -> Path:
        """The log of the private instance."""
        return self.folder / "log" / "maillog"

    def sockets_dir(self, run_dir: Path) -> Path:
        """Where the sockets are that Postfix connects to, unless told otherwise: where its daemons can get at them.

        Root's own folder, so that no link in it is of a role's making.
        """
        return run_dir if self.instance is Instance.OFF else self.queue_dir / SOCKETS_NAME
