"""A Postfix of the tests' own, with the product's own configuration: what `mailseal postfix render` says, as it runs.

It runs by itself, with or without a Mailseal behind it. So what Mailseal would answer while it runs stands in tables
here: mail for `inside_domains` goes to one next hop, all other to another. Where the private instance of `mailseal
serve` is meant, see `private_postfix`.

    entry from 127.0.0.1   (`submission`)  --LMTP--> lmtp-authorised
    entry from 127.0.0.2   (`mx`)          --LMTP--> lmtp-outside
    `reinjection` (no filter)

Back-off is one to two seconds (Postfix counts whole ones, so it is set to two: with one, a mail may be due again before
its delivery agent has let go of it; the queue manager then skips it and does not come back).
The machine's own Postfix, if it has one, is not touched.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from harness.client import Client, Port
from harness.folder import free_port
from harness.waiting import PATIENCE_SECONDS, wait_until
from mailseal.config import Config, from_values
from mailseal.postfix import folders, master, private_files
from mailseal.postfix.parts import Rendering, Surroundings
from mailseal.postfix.program import Program, is_installed
from mailseal.postfix.render import render

HOSTNAME = "postfix.test"
AUTHORISED, OUTSIDE = "127.0.0.1", "127.0.0.2"
"""Where clients call from, by their class."""
QUICK = {
    "minimal_backoff_time": "2s",
    "maximal_backoff_time": "3s",
    "queue_run_delay": "1s",
    "transport_retry_time": "1s",
    "in_flow_delay": "0s",
    "smtp_connect_timeout": "5s",
    "smtp_dns_support_level": "disabled",
    "smtp_host_lookup": "native",
}
"""Settings that tests want: patience is short, and no name is looked up."""


def why_not() -> str | None:
    """Why a private Postfix cannot run here; None if it can."""
    if not is_installed():
        return "Postfix is not installed (apt-get install postfix)"
    if os.geteuid() != 0:
        return "Postfix's master needs root"
    return None


class Looks:
    """Looking at a Postfix: its log and its queue."""

    log: Path
    queue: Path
    _read_from = 0

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

    def wait_for_log(self, text: str, *, forgotten: bool = False, seconds: float = PATIENCE_SECONDS) -> str:
        """The first log line that holds the text, since `forget_log` or of all."""
        begin = 0 if forgotten else self._read_from

        def found() -> str:
            return next((line for line in self.maillog()[begin:].splitlines() if text in line), "")

        return wait_until(
            found, lambda: f"no {text!r} in the log:\n{self.maillog()[-3000:]}", seconds=seconds, every=0.05
        )


class Postfix(Looks):
    """`inside` and `outside` are the ports of next hops on 127.0.0.1."""

    def __init__(self, folder: Path, *, inside_domains: Sequence[str], inside: int, outside: int) -> None:
        self.folder = folder
        entry, self.reinjection = free_port(), free_port()
        self.submission, self.mx = Port.of(entry, AUTHORISED), Port.of(entry, OUTSIDE)
        self.config = _config(folder, entry, self.reinjection)
        self.queue, self.log = self.config.postfix.queue_dir, self.config.postfix.log_file
        self._process: subprocess.Popen[bytes] | None = None
        folders.make(self.config)
        for name, content in private_files.contents(_alone(self.config, inside_domains, inside, outside)).items():
            (folder / "etc" / name).write_bytes(content)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def lmtp_authorised(self) -> Path:
        return self.config.listen.lmtp_authorised.path

    @property
    def lmtp_outside(self) -> Path:
        return self.config.listen.lmtp_outside.path

    def start(self) -> None:
        program = Program(self.folder / "etc")
        program.must("postfix", "check")
        self._process = master.start(program)
        try:
            self._await_banner()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            master.end(process.pid, self.queue, 5.0, process.poll)

    def _await_banner(self) -> None:
        def answers() -> bool:
            with contextlib.suppress(OSError), Client(self.submission) as client:
                assert HOSTNAME in client.banner, f"somebody else answers: {client.banner}"
                return True
            assert self._process is not None
            assert self._process.poll() is None, f"master ended:\n{self.maillog()}"
            return False

        wait_until(answers, lambda: f"Postfix does not answer:\n{self.maillog()}", every=0.05)


def _config(folder: Path, entry: int, reinjection: int) -> Config:
    folder.mkdir(parents=True, exist_ok=True)
    postfix = {
        "instance": "private",
        "folder": str(folder),
        "listen": [f"127.0.0.1:{entry}"],
        "reinjection": f"127.0.0.1:{reinjection}",
        "networks": [f"{AUTHORISED}/32"],
        "verify_recipients": False,
        "settings": QUICK,
    }
    return from_values({"hostname": HOSTNAME, "data_dir": str(folder), "workers": 2, "threads": 5, "postfix": postfix})


def _alone(config: Config, inside_domains: Sequence[str], inside: int, outside: int) -> Rendering:
    """The product's rendering, but with what Mailseal would answer in tables."""
    routes = " ".join(f"{{ {domain} = smtp:[127.0.0.1]:{inside} }}" for domain in inside_domains)
    tables = {
        "relay_domains": f"inline:{{ {' '.join(f'{{ {domain} = ours }}' for domain in inside_domains)} }}",
        "transport_maps": f"inline:{{ {routes} }}",
        "smtp_tls_policy_maps": "",
        "lmtp_tls_policy_maps": "",
        "smtp_tls_security_level": "none",
        "relayhost": f"[127.0.0.1]:{outside}",
    }
    made = render(config, Surroundings(ipv6=False, queue_directory=config.postfix.queue_dir))
    settings = [replace(one, value=tables.get(one.name, one.value)) for one in made.settings]
    return replace(made, settings=tuple(settings))
