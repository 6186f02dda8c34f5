"""Threads that hang in native code: the worker gives itself up, the other mails finish, a fresh worker serves.

The real supervisor and the real mail worker; only the work on mails with a certain subject is made to hang, once each.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.client import Client
from harness.gateway import clean_environment
from harness.mail import CANARY, mail
from harness.site import Site
from harness.waiting import PATIENCE_SECONDS, wait_until

ANNA, OLGA = "anna@alpha.example", "olga@out.example"

PARENT = """
import os, sys
from pathlib import Path
from mailseal.config import load
from mailseal.roles.generation import Role
from mailseal.roles import supervisor
from mailseal.roles.node_roles import node_roles
from mailseal.roles.supervisor import Supervisor
supervisor.SILENT_SECONDS = 3.0
path, program, folder = Path(sys.argv[2]), sys.argv[3], sys.argv[4]
def roles(config):
    mail, *others = node_roles(path)(config)
    return [Role("mail 1", [sys.executable, program, "--config", str(path), folder], mail.listens), *others]
Supervisor(lambda: load(path, os.environ), roles).run()
"""

WORKER = """
import ctypes, os, sys, time
from pathlib import Path
from mailseal.config import load
from mailseal.roles import handling, mail
from mailseal.roles.confinement import confine
confine()
mail.STUCK_SECONDS = 0.5
folder, real = Path(sys.argv[3]), handling.process_mail
def process_mail(envelope, message, *rest):
    subject = bytes(message.raw).partition(b"Subject: ")[2].partition(b"\\r\\n")[0].decode()
    if subject.startswith("hangs"):
        with open(folder / subject, "a+") as seen:
            seen.seek(0)
            if not seen.read():
                seen.write("once")
                seen.flush()
                library = ctypes.PyDLL if "interpreter" in subject else ctypes.CDLL
                library(None).sleep(1000)
    done = real(envelope, message, *rest)
    while subject == "slow" and not (folder / "go").exists():
        time.sleep(0.02)
    return done
handling.process_mail = process_mail
mail.run(load(Path(sys.argv[2]), os.environ), 1)
"""


class Sender(threading.Thread):
    """A client that tries again until its mail is taken, as Postfix does."""

    def __init__(self, path: Path, subject: str, body: bytes = b"") -> None:
        super().__init__(daemon=True)
        self.path, self.subject = path, subject
        self.octets = mail(ANNA, OLGA, subject=subject, body=body)
        self.replies: list[str] = []
        self.start()

    def run(self) -> None:
        while not (self.replies and self.replies[-1].startswith("250")):
            try:
                with Client(path=self.path, lmtp=True) as client:
                    self.replies.append(client.send(ANNA, [OLGA], self.octets).end[0])
            except (OSError, IndexError) as error:
                self.replies.append(type(error).__name__)
            time.sleep(0.05)

    def taken(self) -> None:
        self.join(PATIENCE_SECONDS)
        assert not self.is_alive(), f"{self.subject}: {self.replies}"


class House:
    def __init__(self, site: Site, folder: Path) -> None:
        self.site, self.folder, self.gateway = site, folder, site.gateway
        self.socket = site.gateway.data / "run" / "lmtp-authorised"

    def hung(self, *subjects: str) -> None:
        """Wait until the work on these hangs."""
        wait_until(lambda: all((self.folder / one).exists() for one in subjects), self.gateway.said)

    def gave_up(self, times: int) -> None:
        wait_until(lambda: self.gateway.said().count("this worker ends") == times, self.gateway.said)

    def ended(self, times: int) -> None:
        wait_until(lambda: self.gateway.said().count("mail 1 ended with status 70") == times, self.gateway.said)


@pytest.fixture
def house(idle: Site, tmp_path: Path) -> Iterator[House]:
    gateway = idle.gateway
    before = gateway.config.read_text()
    relay = re.search(r"\n\[relay\][^\[]*", before)
    assert relay is not None
    limits = "[limits]\ndeadline_seconds = 2\ndrain_seconds = 3\nspool_threshold_bytes = 1024\n"
    top = before.partition("\n[")[0].replace("workers = 2", "workers = 1\nthreads = 2")
    gateway.config.write_text(f"{top}\n{relay[0]}\n{limits}")
    (tmp_path / "parent.py").write_text(PARENT)
    (tmp_path / "worker.py").write_text(WORKER)
    command = [sys.executable, str(tmp_path / "parent.py"), "--config", str(gateway.config)]
    with gateway.output.open("ab") as output:
        process = subprocess.Popen(
            [*command, str(tmp_path / "worker.py"), str(tmp_path)],
            stderr=output, stdin=subprocess.DEVNULL, env=clean_environment(),
        )  # fmt: skip
    try:
        wait_until((gateway.data / "run" / "ready").exists, gateway.said)
        yield House(idle, tmp_path)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
        gateway.config.write_text(before)
    assert gateway.processes() == []
    assert list((gateway.data / "spool").iterdir()) == []


def test_one_or_all_threads_hang(house: House) -> None:
    hangs = Sender(house.socket, "hangs once", body=b"A large mail: " + b"x" * 500 + b"\r\n" * 2000)
    house.hung("hangs once")
    slow = Sender(house.socket, "slow")
    house.gave_up(1)
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as late:
        late.connect(str(house.socket))
        late.settimeout(0.3)
        with pytest.raises(TimeoutError):  # nobody accepts any more
            late.recv(1)
        (house.folder / "go").touch()
        slow.taken()
        assert len(slow.replies) == 1
        house.ended(1)
        late.settimeout(PATIENCE_SECONDS)
        assert late.recv(100).startswith(b"220 ")
    hangs.taken()

    both = [Sender(house.socket, f"hangs {number}") for number in (1, 2)]
    house.hung("hangs 1", "hangs 2")
    waiting = Sender(house.socket, "waits for a thread")
    house.ended(2)
    for one in (*both, waiting):
        one.taken()
        assert len(one.replies) > 1

    got = house.site.outside.wait(5)
    subjects = sorted(one.fields("Subject")[0] for one in got)
    assert subjects == ["hangs 1", "hangs 2", "hangs once", "slow", "waits for a thread"]
    assert not any(CANARY in one.octets for one in got)


def test_who_holds_the_interpreter_is_killed_by_the_supervisor(house: House) -> None:
    hangs = Sender(house.socket, "hangs with the interpreter")
    wait_until(lambda: "mail 1 gives no sign of life; it is killed" in house.gateway.said(), house.gateway.said)
    hangs.taken()
    [got] = house.site.outside.wait(1)
    assert got.fields("Subject") == ["hangs with the interpreter"]


ORPHAN = """
import asyncio, ctypes
from mailseal.roles import lifetime
from mailseal.roles.child import inherit
lifetime.ORPHAN_SECONDS = 1
async def serve():
    held = inherit()
    life = lifetime.Lifetime(held, 0.5)
    asyncio.get_running_loop().run_in_executor(None, ctypes.CDLL(None).sleep, 1000)
    held.ready()
    await life.wait()
asyncio.run(serve())
"""


def test_a_process_that_hangs_does_not_outlive_its_supervisor() -> None:
    life_read, life_write = os.pipe()
    status_read, status_write = os.pipe()
    environ = clean_environment() | {"MAILSEAL_SUPERVISOR": str(life_read), "MAILSEAL_STATUS": str(status_write)}
    process = subprocess.Popen([sys.executable, "-c", ORPHAN], env=environ, pass_fds=(life_read, status_write))
    try:
        os.close(status_write)
        assert os.read(status_read, 100) == b"ready\n"
        os.close(life_write)
        assert process.wait(PATIENCE_SECONDS) == -signal.SIGALRM
    finally:
        process.kill()
        process.wait()
        os.close(life_read)
        os.close(status_read)
