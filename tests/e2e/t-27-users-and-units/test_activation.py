"""Roles without a supervisor, started as systemd starts them: sockets handed in, readiness and life told, drained."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

from harness import openssl
from harness.client import Client
from harness.gateway import clean_environment
from harness.mail import CANARY, mail
from harness.site import Site, people
from harness.waiting import PATIENCE_SECONDS, wait_until

ANNA, OLGA = "anna@alpha.example", "olga@out.example"

LAUNCH = """
import ctypes, os, sys
for at, number in enumerate(filter(None, sys.argv[1].split(","))):
    os.dup2(int(number), 3 + at)
os.environ["LISTEN_PID"] = os.environ["WATCHDOG_PID"] = str(os.getpid())
ctypes.CDLL(None).prctl(65, ctypes.c_ulong(1), 0, 0, 0)  # PR_SET_MDWE, as MemoryDenyWriteExecute= (Linux 6.3)
os.execv(sys.executable, [sys.executable, "-m", "mailseal", *sys.argv[2:]])
"""
"""Between fork and exec, as service managers do it: the sockets from 3 on, and for whom they are."""


class Manager:
    """The service manager: holds the sockets, starts roles, hears what they say."""

    def __init__(self, site: Site) -> None:
        self.gateway = site.gateway
        self.folder = site.folder
        self.sockets: dict[str, socket.socket] = {}
        self.running: list[subprocess.Popen[bytes]] = []
        self.heard: list[str] = []
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.bind(str(self.folder / "notify"))
        self.notified.settimeout(PATIENCE_SECONDS)

    def listen(self, name: str) -> None:
        path = self.folder / name
        path.unlink(missing_ok=True)
        held = socket.socket(socket.AF_UNIX)
        held.bind(str(path))
        held.listen(10)
        self.sockets[name] = held

    def start(
        self, *words: str, names: Mapping[str, str] | None = None, watchdog_seconds: float = 0
    ) -> subprocess.Popen[bytes]:
        """`names`: what each socket is called, if not by its own name."""
        called = [(names or {}).get(name, name) for name in self.sockets]
        environ = clean_environment() | {
            "NOTIFY_SOCKET": str(self.folder / "notify"),
            "LISTEN_FDS": str(len(called)),
            "LISTEN_FDNAMES": ":".join(called),
            "WATCHDOG_USEC": str(int(watchdog_seconds * 1_000_000)),
        }
        numbers = [held.fileno() for held in self.sockets.values()]
        with self.gateway.output.open("ab") as output:
            command = [sys.executable, "-c", LAUNCH, ",".join(map(str, numbers))]
            process = subprocess.Popen(
                [*command, "--config", str(self.gateway.config), *words],
                env=environ, pass_fds=numbers, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        self.running.append(process)
        return process

    def hear(self, state: str) -> None:
        """Wait until this was said."""

        def is_heard() -> bool:
            self.heard += self.notified.recv(4096).decode().splitlines()
            return state in self.heard

        if state not in self.heard:
            wait_until(is_heard, lambda: f"{state} was not said, but {self.heard}:\n{self.gateway.said()}")

    def client(self, name: str) -> Client:
        return Client(path=self.folder / name, lmtp=True)

    def close(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.wait()
        for held in (*self.sockets.values(), self.notified):
            held.close()
        (self.folder / "notify").unlink()


@contextmanager
def managing(site: Site) -> Iterator[Manager]:
    with closing(Manager(site)) as made:
        yield made


def test_a_mail_worker_on_the_sockets_of_systemd(idle: Site) -> None:
    with managing(idle) as manager:
        for name in ("lmtp-outside", "lmtp-authorised"):  # their names count, not their order
            manager.listen(name)
        first = manager.start("mail", "--worker", "1", watchdog_seconds=0.5)
        manager.hear("READY=1")
        with manager.client("lmtp-authorised") as client:
            assert client.send(ANNA, [OLGA], mail(ANNA, OLGA)).end[0].startswith("250")
        with manager.client("lmtp-outside") as client:
            assert client.send(ANNA, [OLGA], mail(ANNA, OLGA)).end[0].startswith("250")
        signed, unsigned = (openssl.decrypt(one.octets, people().olga) for one in idle.outside.wait(2))
        assert CANARY in openssl.verify(signed, people().root)
        assert b"signed" not in unsigned
        manager.hear("WATCHDOG=1")
        assert not (idle.gateway.data / "run" / "lmtp-outside").exists()

        with manager.client("lmtp-authorised") as busy:
            busy.command(f"MAIL FROM:<{ANNA}>")
            busy.command(f"RCPT TO:<{OLGA}>")
            busy.command("DATA")
            first.send_signal(signal.SIGHUP)
            manager.hear("STOPPING=1")
            waiting = socket.socket(socket.AF_UNIX)  # calls while nobody accepts
            waiting.connect(str(idle.folder / "lmtp-authorised"))
            waiting.settimeout(PATIENCE_SECONDS)
            busy.socket.sendall(mail(ANNA, OLGA) + b".\r\n")
            assert busy.reply().startswith("250")
        assert first.wait(PATIENCE_SECONDS) == 0
        manager.heard.clear()
        second = manager.start("mail", "--worker", "1")
        manager.hear("READY=1")
        with closing(waiting):
            assert waiting.recv(100).startswith(b"220 ")
        second.send_signal(signal.SIGTERM)
        manager.hear("STOPPING=1")
        assert second.wait(PATIENCE_SECONDS) == 0


def test_roles_by_themselves(idle: Site) -> None:
    before = len(idle.gateway.log())
    with managing(idle) as manager:
        first = manager.start("mail")  # no sockets: it makes its own
        manager.hear("READY=1")
        manager.heard.clear()
        worker = manager.start("worker", watchdog_seconds=0.5)
        manager.hear("READY=1")
        manager.hear("WATCHDOG=1")
        with Client(path=idle.gateway.data / "run" / "lmtp-outside", lmtp=True) as client:
            assert client.send(ANNA, [OLGA], mail(ANNA, OLGA)).end[0].startswith("250")
        idle.gateway.wait_for_log(before + 1)
        refused = idle.gateway.run("serve")
        assert refused.returncode == 1
        assert "error: a role started without `mailseal serve` works on" in refused.stderr
        for process in (first, worker):
            manager.heard.clear()
            process.send_signal(signal.SIGTERM)
            manager.hear("STOPPING=1")
            assert process.wait(PATIENCE_SECONDS) == 0


def test_the_maps_role_on_the_sockets_of_systemd(idle: Site) -> None:
    with managing(idle) as manager:
        for name in ("auth", "socketmap"):
            manager.listen(name)
        role = manager.start("maps", watchdog_seconds=0.5)
        manager.hear("READY=1")
        with socket.socket(socket.AF_UNIX) as asking, socket.socket(socket.AF_UNIX) as logging_in:
            for one, name in ((asking, "socketmap"), (logging_in, "auth")):
                one.settimeout(PATIENCE_SECONDS)
                one.connect(str(idle.folder / name))
            asking.sendall(b"27:relay-domains alpha.example,")
            assert asking.recv(100) == b"11:OK internal,"
            assert logging_in.recv(100).startswith(b"VERSION\t1\t")
        manager.hear("WATCHDOG=1")
        role.send_signal(signal.SIGHUP)
        manager.hear("STOPPING=1")
        assert role.wait(PATIENCE_SECONDS) == 0
        manager.listen("lmtp-outside")
        assert manager.start("maps").wait(PATIENCE_SECONDS) == 1
    assert "nothing is answered on the socket lmtp-outside" in idle.gateway.said()


def test_a_socket_that_no_mail_comes_in_by_is_not_taken(idle: Site) -> None:
    with managing(idle) as manager:
        manager.listen("lmtp-outside")
        assert manager.start("mail", names={"lmtp-outside": "metrics"}).wait(PATIENCE_SECONDS) == 1
    assert "no mail comes in by the socket metrics" in idle.gateway.said()
