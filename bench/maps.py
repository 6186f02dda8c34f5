"""How quickly the maps role answers Postfix, and what it and the queue role need, with few rows and with many.

    python bench/maps.py [--rows 100000] [--seconds 3]

Two databases, of 10 and of many TLS rules, internal domains and logins each; a maps role and, as root, a queue role
without any Postfix. Each client asks one question at a time, as Postfix does: the same key again and again (known), or
keys drawn uniformly (mostly looked up). MAILSEAL_BENCH=short takes fewer rows.
"""

import argparse
import os
import random
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cpu import cpu_seconds
from instance import FOLDER, PYTHON, Instance, memory_bytes, start, stop

from mailseal.config import load
from mailseal.keys.password_hash import hash_password
from mailseal.store import setup
from mailseal.store.login_models import LoginRow, LoginUseRow
from mailseal.store.models import Domain
from mailseal.store.stamps import Scope, bump
from mailseal.store.tls_policy_models import TlsPolicyRow
from mailseal.store.transaction import run
from mailseal.transport.socketmap import netstring

FEW = 10
UNUSED = 21881
BATCH = 2000
MIB = 1 << 20
POSTFIX = '[postfix]\ninstance = "system"\ninside = ["smtp://127.0.0.1:2600"]\n'
READY_SECONDS = 60


@dataclass(frozen=True)
class Question:
    """A table and the key of its n-th row."""

    table: str
    key: Callable[[int], str]


QUESTIONS = (
    Question("relay-domains", lambda number: f"d{number}.test"),
    Question("transport", lambda number: f"anna@d{number}.test"),
    Question("tls", lambda number: f"t{number}.example"),
    Question("sender-logins", lambda number: f"u{number}@d{number}.test"),
)


@dataclass
class Client:
    """A connection with one question under way."""

    connection: socket.socket
    asked: float = 0.0


@dataclass
class Report:
    answers: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        ordered = sorted(self.latencies)
        p50, p99 = (ordered[len(ordered) * part // 100] * 1000 for part in (50, 99))
        each = self.cpu_seconds * 1e6 / self.answers
        return f"{self.answers / self.seconds:7.0f}/s  p50 {p50:5.2f} ms  p99 {p99:6.2f} ms  CPU {each:4.0f} µs each"


class Site:
    """A database with so many rows of each kind, and the roles that need no other."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.folder = FOLDER / f"maps-{rows}"
        self.instance = Instance(self.folder.name, UNUSED, UNUSED, extra=POSTFIX)
        text = self.instance.config.read_text()
        places = "".join(f'{name} = "{self.folder / name}"\n' for name in ("socketmap", "auth"))
        self.instance.config.write_text(text.replace("[listen]\n", f"[listen]\n{places}"))
        self.config = load(self.instance.config, os.environ)

    def fill(self) -> None:
        self.instance.run("init")
        mark = self.config.data_dir / "filled"
        if mark.exists():
            return
        setup(self.config)
        password = hash_password(b"never used")
        for first in range(0, self.rows, BATCH):
            numbers = range(first, min(first + BATCH, self.rows))
            run(lambda numbers=numbers: insert(numbers, password))
            print(f"\r{numbers[-1] + 1} of {self.rows} rows of each kind", end="", flush=True)
        print()
        run(lambda: [bump(scope) for scope in (Scope.SETTINGS, Scope.TLS, Scope.LOGINS)])
        mark.touch()

    def measure(self, seconds: float) -> None:
        socket_path = self.config.listen.socketmap.path
        socket_path.unlink(missing_ok=True)
        child = start(*self.instance.command("maps"), log=self.folder / "maps.log")
        try:
            wait_for(socket_path)
            before = memory_bytes(child.pid)["VmRSS"]
            for question in QUESTIONS:
                for clients in (1, 10):
                    for name, most in (("known", 1), ("drawn", self.rows)):
                        report = ask(socket_path, child.pid, question, clients, most, seconds)
                        print(
                            f"{self.rows:6} rows  {question.table:14} {clients:2} clients, {name}  {report}", flush=True
                        )
            after = memory_bytes(child.pid)["VmRSS"]
            print(f"{self.rows:6} rows  maps role: {before / MIB:.0f} MiB at the start, {after / MIB:.0f} MiB after it")
        finally:
            stop(child)

    def measure_queue_role(self) -> None:
        command = (PYTHON, "-m", "mailseal.roles.queue_role", "--config", str(self.instance.config))
        child = start(*command, log=self.folder / "queue.log")
        try:
            time.sleep(3)
            if child.poll() is not None:
                raise SystemExit(f"the queue role ended: see {self.folder / 'queue.log'}")
            print(f"queue role: {memory_bytes(child.pid)['VmRSS'] / MIB:.0f} MiB")
        finally:
            stop(child)


def insert(numbers: Sequence[int], password: str) -> None:
    Domain.objects.bulk_create([Domain(name=f"d{number}.test") for number in numbers])
    rules = [TlsPolicyRow(destination=f"t{number}.example", level="encrypt") for number in numbers]
    TlsPolicyRow.objects.bulk_create(rules)
    logins = [LoginRow(name=f"u{number}", password=password) for number in numbers]
    LoginRow.objects.bulk_create(logins)
    uses = [LoginUseRow(login=one, owner=f"{one.name}@d{one.name[1:]}.test") for one in logins]
    LoginUseRow.objects.bulk_create(uses)


def wait_for(path: Path) -> None:
    until = time.perf_counter() + READY_SECONDS
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(path))
                return
        except OSError:
            if time.perf_counter() > until:
                raise SystemExit(f"nobody listens on {path}") from None
            time.sleep(0.05)


def ask(path: Path, pid: int, question: Question, clients: int, most: int, seconds: float) -> Report:
    """Ask for some seconds; every answer must be a value."""
    draw = random.Random(most)
    selector = selectors.EpollSelector()
    report = Report()
    for _ in range(clients):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(path))
        selector.register(connection, selectors.EVENT_READ, Client(connection))
    everybody = [key.data for key in selector.get_map().values()]

    def next_question(client: Client) -> None:
        client.asked = time.perf_counter()
        client.connection.sendall(netstring(f"{question.table} {question.key(draw.randrange(most))}".encode()))

    before, began = cpu_seconds(pid), time.perf_counter()
    for client in everybody:
        next_question(client)
    under_way = clients
    while under_way:
        for key, _ in selector.select():
            client = key.data
            said = client.connection.recv(4096)
            now = time.perf_counter()
            if b":OK " not in said:
                raise SystemExit(f"{question.table}: {said!r}")
            report.answers += 1
            report.latencies.append(now - client.asked)
            if now - began < seconds:
                next_question(client)
            else:
                under_way -= 1
    report.seconds, report.cpu_seconds = time.perf_counter() - began, cpu_seconds(pid) - before
    for client in everybody:
        client.connection.close()
    return report


def main() -> None:
    short = os.environ.get("MAILSEAL_BENCH") == "short"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000 if short else 100_000)
    parser.add_argument("--seconds", type=float, default=1.0 if short else 3.0, help="for each line")
    options = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f}")
    for rows in (FEW, options.rows):
        site = Site(rows)
        site.fill()
        site.measure(options.seconds)
    if os.geteuid() == 0:
        site.measure_queue_role()


if __name__ == "__main__":
    main()
