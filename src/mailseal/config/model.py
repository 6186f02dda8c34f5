"""The configuration of one node: deployment facts only. What mail is to be done with is policy, in the database.

Each key is declared once, here: its reader, default, help and example. The file's reader, the environment's names,
`mailseal init` and `docs/settings.md` all come from these declarations.
"""

# ruff: noqa: RUF009 - `_key` returns a dataclass field; ruff knows only `field` itself

import os
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mailseal.config import values
from mailseal.config.values import BareLf, Endpoint, LogFormat, LogLevel, Network, NextHop

DEFAULT_DATA_DIR = Path("/var/lib/mailseal")
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """How one key is written. `example` is a TOML value. `default_text` stands for a default that is worked out."""

    read: Callable[[object], object]
    help: str
    example: str
    default_text: str
    secret: bool = False
    below_data_dir: Callable[[Path], object] | None = None
    computed: Callable[[], object] | None = None


def _key(
    read: Callable[[object], object],
    help_text: str,
    *,
    example: str,
    default: Any = MISSING,
    default_text: str = "",
    below: Callable[[Path], object] | None = None,
    computed: Callable[[], object] | None = None,
    secret: bool = False,
) -> Any:
    declared = Key(
        read=read,
        help=help_text,
        example=example,
        default_text=default_text,
        secret=secret,
        below_data_dir=below,
        computed=computed,
    )
    if default is MISSING:
        return field(metadata={"key": declared}, repr=not secret)
    return field(default=default, metadata={"key": declared}, repr=not secret)


def _own_name() -> str:
    return os.uname().nodename


def _own_hostname() -> str:
    return os.uname().nodename.lower()


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Where the store is."""

    url: str = _key(
        values.database_url,
        "The database: SQLite on a single node, MariaDB (10.11 or later) by mysql://user@host:port/name. "
        "For a local socket add ?unix_socket=/path.",
        example='"mysql://mailseal@127.0.0.1:3306/mailseal"',
        default_text='"sqlite:///<data_dir>/mailseal.db"',
        below=lambda data: f"sqlite://{quote(str(data))}/mailseal.db",
    )
    password: str | None = _key(
        values.secret,
        "The password of the database user. Better: `password_file`, the path of a file that holds it.",
        example='"…"',
        default=None,
        default_text="none",
        secret=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What seals private keys at rest."""

    kek: tuple[Path, ...] = _key(
        values.paths,
        "Key encryption keys, each a file of mode 0400. The first seals; the others still open what they sealed.",
        example='["/var/lib/mailseal/kek"]',
        default_text='["<data_dir>/kek"]',
        below=lambda data: (data / "kek",),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where mail comes in. A mail's origin class is decided by the listener (and for SMTP by the client's network)."""

    lmtp_authorised: Endpoint = _key(
        values.endpoint,
        "LMTP for mail of authorised senders (submission, own networks). A UNIX socket; TCP only where all who can "
        "connect may sign as anyone.",
        example='"/var/spool/postfix/mailseal/lmtp-authorised"',
        default_text='"<data_dir>/run/lmtp-authorised"',
        below=lambda data: Endpoint(path=data / "run" / "lmtp-authorised"),
    )
    lmtp_outside: Endpoint = _key(
        values.endpoint,
        "LMTP for mail from the outside.",
        example='"/var/spool/postfix/mailseal/lmtp-outside"',
        default_text='"<data_dir>/run/lmtp-outside"',
        below=lambda data: Endpoint(path=data / "run" / "lmtp-outside"),
    )
    socket_group: str = _key(
        values.text,
        "The group that may connect to the UNIX sockets (mode 0660); where it does not exist, the process's own.",
        example='"postfix"',
        default="postfix",
    )
    smtp: Endpoint | None = _key(
        values.optional_endpoint,
        'Plain SMTP, for running without Postfix: host:port, or "off".',
        example='"127.0.0.1:10025"',
        default=None,
        default_text='"off"',
    )
    smtp_authorised_networks: tuple[Network, ...] = _key(
        values.networks,
        "Clients of the SMTP listener from these networks are of the authorised class; all others are outside.",
        example='["10.0.0.0/8", "::1/128"]',
        default=(),
        default_text="[]",
    )
    xforward_peers: tuple[Network, ...] = _key(
        values.networks,
        "TCP clients whose XFORWARD is believed.",
        example='["127.0.0.1/32"]',
        default=(),
        default_text="[]",
    )
    xforward_unix: bool = _key(
        values.flag,
        "Whether XFORWARD is believed on the UNIX sockets, which only their group can open.",
        example="true",
        default=True,
    )
    bare_lf: BareLf = _key(
        values.one_of(BareLf),
        "What to do with a line feed without a carriage return in a mail: refuse (550) or normalise.",
        example='"refuse"',
        default=BareLf.REFUSE,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """Where mail goes on."""

    inside: NextHop = _key(
        values.next_hop,
        "The next hop of mail to internal domains: smtp://host:port, lmtp://host:port or lmtp:///path/of/socket.",
        example='"smtp://127.0.0.1:10026"',
        default=NextHop(host="127.0.0.1", port=10026),
    )
    outside: NextHop = _key(
        values.next_hop,
        "The next hop of mail to everyone else.",
        example='"smtp://127.0.0.1:10026"',
        default=NextHop(host="127.0.0.1", port=10026),
    )


_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a client may use. Counts hold per mail worker."""

    max_message_bytes: int = _key(
        values.size(1024, 1 << 31),
        "The largest mail; a larger one is refused (552).",
        example='"100 MiB"',
        default=100 * _MIB,
    )
    max_bytes_in_flight: int = _key(
        values.size(1024, 1 << 36),
        "Octets of all mails that a worker holds at once; beyond it new mail is deferred (452).",
        example='"512 MiB"',
        default=512 * _MIB,
    )
    spool_threshold_bytes: int = _key(
        values.size(0, 1 << 31),
        "A mail larger than this is held in a file instead of memory.",
        example='"256 KiB"',
        default=256 * 1024,
    )
    max_connections: int = _key(
        values.whole(1, 100_000), "Connections that a worker has open at once (421 beyond).", example="500", default=500
    )
    max_recipients: int = _key(
        values.whole(1, 100_000),
        "Recipients of one mail (452 beyond; RFC 5321 wants 100).",
        example="1000",
        default=1000,
    )
    idle_seconds: int = _key(
        values.whole(1, 3600), "How long a client may be silent (RFC 5321 §4.5.3.2.7).", example="300", default=300
    )
    total_seconds: int = _key(
        values.whole(1, _DAY_SECONDS), "How long one connection may last.", example="3600", default=3600
    )
    deadline_seconds: int = _key(
        values.whole(1, 3600),
        "How long one mail may take from its end to the reply; after it no further effect starts (451).",
        example="240",
        default=240,
    )
    drain_seconds: int = _key(
        values.whole(0, 3600),
        "How long a process that shall end may finish its mails before it is killed.",
        example="60",
        default=60,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What is written to standard error. The message log is in the database."""

    level: LogLevel = _key(
        values.one_of(LogLevel), "The least important event that is written.", example='"info"', default=LogLevel.INFO
    )
    format: LogFormat = _key(
        values.one_of(LogFormat), "text for people, json for collectors.", example='"text"', default=LogFormat.TEXT
    )
    retention_days: int = _key(
        values.whole(1, 3650), "How long rows of the message log are kept.", example="90", default=90
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What is remembered of half-settled mail."""

    retention_days: int = _key(
        values.whole(1, 60),
        "How long outcomes are kept, so that a mail that comes again is not done twice. "
        "Longer than the MTA's queue life.",
        example="6",
        default=6,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The configuration of one node. Made by `load` or `from_values`, never by hand."""

    node: str = _key(
        values.node,
        "The name of this machine within the cluster.",
        example='"mx1"',
        default_text="the machine's name",
        computed=_own_name,
    )
    hostname: str = _key(
        values.hostname,
        "The name in banners, HELO and Received fields; it should resolve.",
        example='"mx1.example.com"',
        default_text="the machine's name",
        computed=_own_hostname,
    )
    data_dir: Path = _key(
        values.path,
        "The folder of everything that Mailseal keeps; only its user may read it.",
        example='"/var/lib/mailseal"',
        default=DEFAULT_DATA_DIR,
    )
    workers: int = _key(
        values.whole(1, 256),
        "Processes that handle mail.",
        example="4",
        default_text="one per core",
        computed=_usable_cores,
    )
    threads: int = _key(values.whole(1, 256), "Mails that one worker handles at the same time.", example="4", default=4)
    database: Database = field()
    keys: Keys = field()
    listen: Listen = field()
    relay: Relay = field()
    limits: Limits = field()
    log: Log = field()
    ledger: Ledger = field()

    @property
    def run_dir(self) -> Path:
        """Sockets, locks and the readiness mark."""
        return self.data_dir / "run"

    @property
    def spool_dir(self) -> Path:
        """Large mails in flight; unlinked files only."""
        return self.data_dir / "spool"

    @property
    def journal_dir(self) -> Path:
        """The workers' journals, from which the message log is fed."""
        return self.data_dir / "journal"


SECTIONS: dict[str, type[Any]] = {
    "database": Database,
    "keys": Keys,
    "listen": Listen,
    "relay": Relay,
    "limits": Limits,
    "log": Log,
    "ledger": Ledger,
}
"""The tables of mailseal.toml in their order; the keys of Config itself stand above them."""


def keys_of(kind: type[Any]) -> dict[str, Key]:
    """The keys of a section, in order."""
    return {item.name: item.metadata["key"] for item in fields(kind) if "key" in item.metadata}


def default_of(kind: type[Any], name: str, data_dir: Path) -> object:
    """The value of a key that is set nowhere."""
    item = next(item for item in fields(kind) if item.name == name)
    declared: Key = item.metadata["key"]
    if declared.below_data_dir is not None:
        return declared.below_data_dir(data_dir)
    if declared.computed is not None:
        return declared.computed()
    return item.default
