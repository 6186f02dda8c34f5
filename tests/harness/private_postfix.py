"""The private Postfix of a gateway, as `mailseal serve` runs it: same names as `harness.postfix`, nothing to start.

Relay domains, routes, TLS policies and logins are asked of the gateway itself. Mail from 127.0.0.1 (`submission`) is of
the authorised class, mail from 127.0.0.2 (`mx`) comes from outside.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.client import Client, Port
from harness.folder import free_port
from harness.postfix import AUTHORISED, OUTSIDE, QUICK, Looks


class PrivatePostfix(Looks):
    """`inside` and `outside` are the ports of next hops on 127.0.0.1."""

    def __init__(self, folder: Path, *, inside: int, outside: int, **more: object) -> None:
        self.folder = folder
        self.queue, self.log = folder / "queue", folder / "log" / "maillog"
        entry, self.reinjection = free_port(), free_port()
        self.submission, self.mx = Port.of(entry, AUTHORISED), Port.of(entry, OUTSIDE)
        settings = QUICK | dict(more.pop("settings", {}))
        self.table: Mapping[str, object] = {
            "instance": "private",
            "folder": str(folder),
            "listen": [f"127.0.0.1:{entry}"],
            "reinjection": f"127.0.0.1:{self.reinjection}",
            "networks": [f"{AUTHORISED}/32"],
            "inside": [f"smtp://127.0.0.1:{inside}"],
            "outside": [f"smtp://127.0.0.1:{outside}"],
            "verify_recipients": False,
            "settings": settings,
            **more,
        }
        back = [f"smtp://127.0.0.1:{self.reinjection}"]
        self.relay = {"inside": back, "outside": back}

    @property
    def tables(self) -> dict[str, Mapping[str, object]]:
        """What belongs into mailseal.toml."""
        return {"postfix": self.table, "relay": self.relay}

    @property
    def lmtp_authorised(self) -> Path:
        return self.queue / "mailseal" / "lmtp-authorised"

    @property
    def lmtp_outside(self) -> Path:
        return self.queue / "mailseal" / "lmtp-outside"

    def master(self) -> int:
        """The process ID of its master."""
        return int((self.queue / "pid" / "master.pid").read_text().split()[0])

    def lives(self) -> bool:
        """Whether that process is there."""
        try:
            os.kill(self.master(), 0)
        except (OSError, ValueError, IndexError):
            return False
        return True

    def greets(self) -> bool:
        try:
            with Client(self.mx) as client:
                return client.banner.startswith("220")
        except OSError:
            return False

    def daemons(self) -> Callable[[], bool]:
        """Whether any daemon of the master that is there now still works."""
        group = str(self.master())

        def live() -> bool:
            for entry in Path("/proc").iterdir():
                try:
                    state, _, its_group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
                except (OSError, ValueError, NotADirectoryError):
                    continue
                if its_group == group and state not in "ZX":
                    return True
            return False

        return live
