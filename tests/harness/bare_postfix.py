"""A Postfix of somebody else's: any main.cf and any services, in a folder of its own; ended by process ID.

Master is started directly. The machine's own Postfix, if it has one, is not touched.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from harness.client import Client
from harness.waiting import PATIENCE_SECONDS, wait_until

MASTER = Path("/usr/lib/postfix/sbin/master")
_COPIED = ("dynamicmaps.cf", "postfix-files", "post-install")
_SERVICES = """\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class BarePostfix:
    """`settings` stand in main.cf behind what every private instance needs, `services` before Postfix's own."""

    def __init__(self, folder: Path, name: str, settings: Mapping[str, str], services: str, *, port: int) -> None:
        """`port`: one of the services', which answers when all is up."""
        self.folder, self.name, self.port = folder, name, port
        self.etc, self.queue, self.log = folder / "etc", folder / "queue", folder / "log" / "maillog"
        self._process: subprocess.Popen[bytes] | None = None
        for each in (self.etc, self.queue, folder / "data", self.log.parent):
            each.mkdir(parents=True, exist_ok=True)
        for one in _COPIED:
            shutil.copy(Path("/etc/postfix") / one, self.etc / one)
        user = pwd.getpwnam("postfix")
        os.chown(folder / "data", user.pw_uid, user.pw_gid)
        (folder / "data").chmod(0o700)
        usual = {
            "compatibility_level": "3.6",
            "myhostname": name,
            "config_directory": str(self.etc),
            "queue_directory": str(self.queue),
            "data_directory": str(folder / "data"),
            "maillog_file": str(self.log),
            "maillog_file_prefixes": f"/var, /dev/stdout, {self.log.parent}",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "mydestination": "",
            "local_recipient_maps": "",
            "alias_maps": "",
            "alias_database": "",
            "local_transport": "error:nobody is here",
            "mynetworks": "127.0.0.0/8",
            "smtpd_relay_restrictions": "",
            "smtpd_recipient_restrictions": "permit_mynetworks, reject",
            "smtp_dns_support_level": "disabled",
            "smtp_host_lookup": "native",
            "minimal_backoff_time": "2s",
            "maximal_backoff_time": "3s",
            "queue_run_delay": "1s",
            "transport_retry_time": "1s",
            "in_flow_delay": "0",
            "smtp_connect_timeout": "5s",
        }
        lines = [f"{key} = {value}" for key, value in (usual | dict(settings)).items()]
        (self.etc / "main.cf").write_text("\n".join(lines) + "\n")
        (self.etc / "master.cf").write_text(services + _SERVICES)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        subprocess.run(
            ["postfix", "-c", str(self.etc), "check"],
            check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        # Its stdio goes nowhere: Postfix's daemons would hold our pipes. A session of its own makes the group killable.
        self._process = subprocess.Popen(
            [str(MASTER), "-c", str(self.etc), "-s"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        wait_until(self._answers, lambda: f"Postfix does not answer:\n{self.maillog()}")

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), Client(self.port) as client:
            assert self.name in client.banner, f"somebody else answers: {client.banner}"
            return True
        assert self._process is not None
        assert self._process.poll() is None, f"master ended:\n{self.maillog()}"
        return False

    def stop(self) -> None:
        """End master, wait until every daemon of its group is gone, kill what is not."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        for number in (signal.SIGTERM, signal.SIGKILL):
            until = time.monotonic() + 5
            while _group_lives(process.pid) and time.monotonic() < until:
                time.sleep(0.05)
            if not _group_lives(process.pid):
                return
            os.killpg(process.pid, number)

    def maillog(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def waiting(self) -> int:
        """Mails in the queue."""
        names = ("maildrop", "incoming", "active", "deferred")
        return sum(one.is_file() for name in names for one in (self.queue / name).rglob("*"))


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
