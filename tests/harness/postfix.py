"""A private Postfix: own folder, ports and queue; master is started directly and ended by process ID.

    entry `submission` --LMTP--> <queue>/mailseal/lmtp-authorised        all else goes to a next hop by domain:
    entry `mx`         --LMTP--> <queue>/mailseal/lmtp-outside           `inside_domains` to one, the rest to another
    entry `reinjection` (no filter)

Back-off is one to two seconds (Postfix counts whole ones, so it is set to two: with one, a mail may be due again before
its delivery agent has let go of it; the queue manager then skips it and does not come back).
The machine's own Postfix, if it has one, is not touched.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from harness.client import Client
from harness.folder import free_port
from harness.waiting import PATIENCE_SECONDS, wait_until

MASTER = Path("/usr/lib/postfix/sbin/master")
_COPIED = ("dynamicmaps.cf", "postfix-files", "post-install")


def why_not() -> str | None:
    """Why a private Postfix cannot run here; None if it can."""
    if not MASTER.exists():
        return "Postfix is not installed (apt-get install postfix)"
    if os.geteuid() != 0:
        return "Postfix's master needs root"
    return None


class Postfix:
    """`inside` and `outside` are the ports of next hops on 127.0.0.1."""

    def __init__(self, folder: Path, *, inside_domains: Sequence[str], inside: int, outside: int) -> None:
        self.folder = folder
        self.queue = folder / "queue"
        self.sockets = self.queue / "mailseal"
        self.log = folder / "log" / "maillog"
        self.submission, self.mx, self.reinjection = free_port(), free_port(), free_port()
        self._main(inside_domains, inside, outside)
        self._read_from = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def lmtp_authorised(self) -> Path:
        return self.sockets / "lmtp-authorised"

    @property
    def lmtp_outside(self) -> Path:
        return self.sockets / "lmtp-outside"

    # ---- start and stop

    def start(self) -> None:
        subprocess.run(
            ["postfix", "-c", str(self.folder / "etc"), "check"],
            check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        # Its stdio goes nowhere: Postfix's daemons would hold our pipes. A session of its own makes the group killable.
        self._process = subprocess.Popen(
            [str(MASTER), "-c", str(self.folder / "etc"), "-s"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self._await_banner()

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
            process.wait()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(AssertionError):
                wait_until(lambda: not _group_lives(process.pid), seconds=5)
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)

    def _await_banner(self) -> None:
        def answers() -> bool:
            with contextlib.suppress(OSError), Client(self.submission) as client:
                assert "postfix.test" in client.banner, f"somebody else answers: {client.banner}"
                return True
            assert self._process is not None
            assert self._process.poll() is None, f"master ended:\n{self.maillog()}"
            return False

        wait_until(answers, lambda: f"Postfix does not answer:\n{self.maillog()}", every=0.05)

    # ---- looking at it

    def maillog(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def forget_log(self) -> None:
        self._read_from = len(self.maillog())

    def waiting(self) -> int:
        """Mails in the queue."""
        return sum(
            1
            for name in ("maildrop", "incoming", "active", "deferred")
            for one in (self.queue / name).rglob("*")
            if one.is_file()
        )

    def wait_until_empty(self, *, seconds: float = PATIENCE_SECONDS) -> None:
        def told() -> str:
            return f"{self.waiting()} mails still wait:\n{self.maillog()[-3000:]}"

        wait_until(lambda: not self.waiting(), told, seconds=seconds, every=0.1)

    def wait_for_log(self, text: str, *, forgotten: bool = False) -> str:
        """The first log line that holds the text, since `forget_log` or of all."""
        begin = 0 if forgotten else self._read_from

        def found() -> str:
            return next((line for line in self.maillog()[begin:].splitlines() if text in line), "")

        return wait_until(found, lambda: f"no {text!r} in the log:\n{self.maillog()[-3000:]}", every=0.05)

    # ---- configuration

    def _main(self, inside_domains: Sequence[str], inside: int, outside: int) -> None:
        etc, data = self.folder / "etc", self.folder / "data"
        for each in (etc, self.queue, data, self.log.parent, self.sockets):
            each.mkdir(parents=True, exist_ok=True)
        for name in _COPIED:
            shutil.copy(Path("/etc/postfix") / name, etc / name)
        user = pwd.getpwnam("postfix")
        os.chown(data, user.pw_uid, user.pw_gid)
        data.chmod(0o700)
        os.chown(self.sockets, 0, grp.getgrnam("postfix").gr_gid)
        self.sockets.chmod(0o750)
        routes = ", ".join(f"{{{domain} = smtp:[127.0.0.1]:{inside}}}" for domain in inside_domains)
        folder = self.folder
        (etc / "main.cf").write_text(f"""\
compatibility_level = 3.6
myhostname = postfix.test
config_directory = {etc}
queue_directory = {self.queue}
data_directory = {data}
maillog_file = {self.log}
maillog_file_prefixes = /var, /dev/stdout, {folder}/log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
local_transport = error:no local delivery
relay_domains =
relayhost = [127.0.0.1]:{outside}
transport_maps = inline:{{ {routes} }}
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtputf8_enable = yes
enable_long_queue_ids = yes
message_size_limit = 104857600
mailbox_size_limit = 0
bounce_size_limit = 1
disable_mime_output_conversion = yes
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtpd_forbid_bare_newline = no
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_relay_restrictions =
minimal_backoff_time = 2s
maximal_backoff_time = 3s
queue_run_delay = 1s
transport_retry_time = 1s
in_flow_delay = 0
local_header_rewrite_clients =
smtp_connect_timeout = 5s
""")
        (etc / "master.cf").write_text(f"""\
127.0.0.1:{self.submission} inet n - n - - smtpd
  -o content_filter=mailseal:unix:mailseal/lmtp-authorised
127.0.0.1:{self.mx} inet n - n - - smtpd
  -o content_filter=mailseal:unix:mailseal/lmtp-outside
127.0.0.1:{self.reinjection} inet n - n - - smtpd
  -o syslog_name=postfix/reinject -o content_filter=
  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks,no_milters,no_address_mappings
  -o smtpd_authorized_xforward_hosts=127.0.0.0/8
mailseal unix - - n - 10 lmtp
  -o lmtp_send_xforward_command=yes -o disable_mime_output_conversion=yes -o lmtp_destination_recipient_limit=50
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
""")


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
