"""The configuration of one node: deployment facts only. What mail is to be done with is policy, in the database.

Each key is declared once, in its section: its reader, default, help and example. The file's reader, the environment's
names, `mailseal init` and `docs/settings.md` all come from these declarations.
"""

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mailseal.config import values
from mailseal.config.key import Key, key
from mailseal.config.sections.audit import Audit
from mailseal.config.sections.authentication import Authentication
from mailseal.config.sections.database import Database
from mailseal.config.sections.discover import Discover
from mailseal.config.sections.dlp import Dlp
from mailseal.config.sections.dns import Dns
from mailseal.config.sections.keys import WEB_FOLDER, Keys
from mailseal.config.sections.ledger import Ledger
from mailseal.config.sections.limits import Limits
from mailseal.config.sections.listen import Listen
from mailseal.config.sections.log import Log
from mailseal.config.sections.metrics import Metrics
from mailseal.config.sections.notices import Notices
from mailseal.config.sections.office365 import Office365
from mailseal.config.sections.postfix import Postfix
from mailseal.config.sections.relay import Relay
from mailseal.config.sections.tls import TlsPolicies
from mailseal.config.sections.tls_reports import TlsReports
from mailseal.config.sections.users import Users
from mailseal.config.sections.web import Web

DEFAULT_DATA_DIR = Path("/var/lib/mailseal")
RUN_NAME = "run"


def _own_name() -> str:
    return os.uname().nodename


def _own_hostname() -> str:
    return os.uname().nodename.lower()


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The configuration of one node. Made by `load` or `from_values`, never by hand."""

    node: str = key(
        values.node,
        "The name of this machine within the cluster.",
        example='"mx1"',
        default_text="the machine's name",
        computed=_own_name,
    )
    hostname: str = key(
        values.hostname,
        "The name in banners, HELO and Received fields; it should resolve.",
        example='"mx1.example.com"',
        default_text="the machine's name",
        computed=_own_hostname,
    )
    data_dir: Path = key(
        values.path,
        "The folder of everything that Mailseal keeps; only its user may read it.",
        example='"/var/lib/mailseal"',
        default=DEFAULT_DATA_DIR,
    )
    workers: int = key(
        values.whole(1, 256),
        "Processes that handle mail.",
        example="4",
        default_text="one per core",
        computed=_usable_cores,
    )
    threads: int = key(values.whole(1, 256), "Mails that one worker handles at the same time.", example="4", default=4)
    database: Database = field()
    keys: Keys = field()
    listen: Listen = field()
    relay: Relay = field()
    postfix: Postfix = field()
    office365: Office365 = field()
    tls: TlsPolicies = field()
    tls_reports: TlsReports = field()
    limits: Limits = field()
    dlp: Dlp = field()
    notices: Notices = field()
    log: Log = field()
    metrics: Metrics = field()
    audit: Audit = field()
    ledger: Ledger = field()
    discover: Discover = field()
    dns: Dns = field()
    authentication: Authentication = field()
    web: Web = field()
    users: Users = field()

    @property
    def run_dir(self) -> Path:
        """Sockets, locks and the readiness mark."""
        return self.data_dir / RUN_NAME

    @property
    def metrics_dir(self) -> Path:
        """The counters of the processes, in files that outlive them; emptied when `serve` begins."""
        return self.run_dir / "metrics"

    @property
    def spool_dir(self) -> Path:
        """Large mails in flight; unlinked files only."""
        return self.data_dir / "spool"

    @property
    def web_dir(self) -> Path:
        """What the web role's user reads: the web key, the console's certificate."""
        return self.data_dir / WEB_FOLDER

    @property
    def console_certificate(self) -> Path:
        """Chain and key of the console's HTTPS, unless something else keeps them (`web.tls_certificate`)."""
        return self.web_dir / "tls.pem"

    @property
    def tls_dir(self) -> Path:
        """Chain and key of the mail listeners, where Mailseal keeps them."""
        return self.data_dir / "tls"

    @property
    def journal_dir(self) -> Path:
        """The workers' journals, from which the message log is fed."""
        return self.data_dir / "journal"


SECTIONS: dict[str, type[Any]] = {
    "database": Database,
    "keys": Keys,
    "listen": Listen,
    "relay": Relay,
    "postfix": Postfix,
    "office365": Office365,
    "tls": TlsPolicies,
    "tls_reports": TlsReports,
    "limits": Limits,
    "dlp": Dlp,
    "notices": Notices,
    "log": Log,
    "metrics": Metrics,
    "audit": Audit,
    "ledger": Ledger,
    "discover": Discover,
    "dns": Dns,
    "authentication": Authentication,
    "web": Web,
    "users": Users,
}
"""The tables of mailseal.toml in their order; the keys of Config itself stand above them."""


def keys_of(kind: type[Any]) -> dict[str, Key]:
    """The keys of a section, in order."""
    return {item.name: item.metadata["key"] for item in fields(kind) if "key" in item.metadata}


def default_of(kind: type[Any], name: str, data_dir: Path, sockets_dir: Path) -> object:
    """The value of a key that is set nowhere."""
    item = next(item for item in fields(kind) if item.name == name)
    declared: Key = item.metadata["key"]
    if declared.below_data_dir is not None:
        return declared.below_data_dir(data_dir)
    if declared.among_sockets is not None:
        return declared.among_sockets(sockets_dir)
    if declared.computed is not None:
        return declared.computed()
    return item.default
