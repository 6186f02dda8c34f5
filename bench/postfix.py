"""How many mails a second go from Postfix through Mailseal and back into Postfix, beside a filter that does nothing.

    python bench/postfix.py [--count 3000] [--turns 5] [--sessions 20] [--only "sign + encrypt"]

One private Postfix, rendered and kept by a real `mailseal serve` (root; 2 mail workers, SQLite), in var/bench:

    smtp-source -> entry -> filter (LMTP) -> re-injection -> sink

Only the filter differs from case to case: Mailseal, or the null filter (`null_relay.py --lmtp`). "tables in files": the
same null filter with nothing asked of Mailseal. "one hop": into the re-injection, without any filter. Each of the
senders has an RSA-2048 key, each mail of a turn another recipient. The cases take turns, since a shared machine is
another one from minute to minute: ratios are made within a turn. CPU is user and system time of all processes of each
part, per mail, until the log rows are written too. MAILSEAL_BENCH=short takes fewer mails.
"""

import argparse
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import median

from cpu import cpu_seconds
from cryptography.hazmat.primitives.serialization import Encoding
from instance import FOLDER, PYTHON, Instance, Serving, start, stop
from population import INSIDE, OUTSIDE, Authority, insert, keys, primes

from mailseal.config import load
from mailseal.postfix.entry import CLIENTS
from mailseal.postfix.names import TO_AUTHORISED
from mailseal.postfix.program import Program, is_installed
from mailseal.smime.certificate import parse_certificate
from mailseal.store import domains, setup, trust
from mailseal.store.keks import open_ring
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import run

SINK, ENTRY, REINJECTION, UNUSED = 21680, 21625, 21626, 21880
SIZE = 10_000
WARM = 300
PATIENCE_SECONDS = 60
SETTLE_SECONDS = 3.0
"""Until workers have seen a change of settings, Postfix one of its files, and both are idle again."""
NULL = "null filter"
TABLES = {
    "relay_domains": f"inline:{{ {{ {INSIDE} = ours }} }}",
    "transport_maps": f"inline:{{ {{ {OUTSIDE} = mailseal-smarthost:[127.0.0.1]:{SINK} }} }}",
    "smtp_tls_policy_maps": "",
    "lmtp_tls_policy_maps": "",
}
OFF = {"mode": "never", "sign": "no", "dkim_sign": "off"}
ON = {"mode": "allow", "sign": "yes", "dkim_sign": "off"}
ROLES = {"mail": "mail", "worker": "worker", "maps": "maps", "queue": "mailseal.roles.queue_role"}
"""The processes of the gateway, by a word on their command lines."""


@dataclass(frozen=True)
class Case:
    """`filtered`: by Mailseal, by the null filter, or by nobody (the re-injection's port). `treatment`: in the log."""

    name: str
    port: int = ENTRY
    null: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    treatment: str = ""


CASES = (
    Case(NULL, null=True),
    Case("sign + encrypt", settings=ON, treatment="signed+encrypted"),
    Case("pass through", settings=OFF, treatment="passed"),
    Case("pass through, DKIM", settings=OFF | {"dkim_sign": "on"}, treatment="passed"),
    Case("sign + encrypt, DKIM", settings=ON | {"dkim_sign": "on"}, treatment="signed+encrypted"),
    Case("null filter, tables in files", null=True, tables=TABLES),
    Case("Postfix alone, one hop", port=REINJECTION),
)


@dataclass(frozen=True)
class Result:
    """Of one case in one turn."""

    mails_per_second: float
    cpu_ms: dict[str, float]

    @property
    def cpu_ms_of_all(self) -> float:
        """What the gateway's machine would pay: load and sink are others."""
        return sum(ms for part, ms in self.cpu_ms.items() if part not in {"load", "sink"})


class Site:
    """The gateway with its Postfix, the sink, and who writes to whom."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        name = f"postfix-{options.count}-{options.senders}"
        folder = f'"{FOLDER / name / "mta"}"'
        self.instance = Instance(
            name, UNUSED, REINJECTION,
            extra=f'[postfix]\ninstance = "private"\nfolder = {folder}\nlisten = ["127.0.0.1:{ENTRY}"]\n'
            f'reinjection = "127.0.0.1:{REINJECTION}"\nnetworks = ["127.0.0.1/32"]\nverify_recipients = false\n'
            f'inside = ["smtp://127.0.0.1:{SINK}"]\noutside = ["smtp://127.0.0.1:{SINK}"]\n',
        )  # fmt: skip
        self.config = load(self.instance.config, os.environ)
        self.program = Program(self.config.postfix.active_dir)
        self.counted = self.instance.folder / "sink.count"
        self.null_socket = self.config.listen.lmtp_authorised.path.with_name("null")
        self.sent = 0

    def prepare(self) -> None:
        """Data folder, a key for the DKIM signatures, certificates; once."""
        self.instance.run("init")
        mark = self.config.data_dir / "people"
        if mark.exists():
            return
        setup(self.config)
        domains.add(INSIDE)
        authority = Authority()
        trust.import_roots([parse_certificate(authority.certificate.public_bytes(Encoding.DER))])
        each = self.options.count // self.options.senders + 2
        names = [self.sender(number) for number in range(self.options.senders)]
        names += [f"{one}{self.recipient(number)}" for number in range(self.options.senders) for one in range(each)]
        supply = keys(primes(max(40, int((4 * len(names)) ** 0.5) + 40)))
        batch = []
        for number, (name, key) in enumerate(zip(names, supply, strict=False)):
            batch.append((authority.issue(name, key), key if number < self.options.senders else None))
        kek = open_ring(self.config.keys.kek)
        run(partial(insert, batch, kek))
        run(lambda: bump(Scope.KEYS))
        self.instance.run("dkim", "generate", INSIDE, "--selector", "bench")
        self.instance.run("dkim", "enable", INSIDE, "bench", "--unchecked")
        mark.touch()

    @staticmethod
    def sender(number: int) -> str:
        return f"s{number}@{INSIDE}"

    @staticmethod
    def recipient(number: int) -> str:
        """Without the number that smtp-source puts before it."""
        return f"r{number}@{OUTSIDE}"

    # ---- mail

    def load(self, count: int, port: int) -> float:
        """Send from all senders at once; the CPU seconds of that."""
        one, each = self.options.sessions // self.options.senders, count // self.options.senders
        before = os.times()
        sources = [
            subprocess.Popen(
                ("smtp-source", "-N", "-s", str(one), "-m", str(each), "-l", str(SIZE), "-f", self.sender(number),
                 "-t", self.recipient(number), f"127.0.0.1:{port}"),
                stdout=subprocess.DEVNULL,
            )
            for number in range(self.options.senders)
        ]  # fmt: skip
        if any(source.wait() for source in sources):
            raise SystemExit("smtp-source failed")
        after = os.times()
        self.sent += each * self.options.senders
        return after.children_user + after.children_system - before.children_user - before.children_system

    def await_mails(self) -> float:
        """Until the sink has all that was sent; when that was."""
        until = time.perf_counter() + PATIENCE_SECONDS
        while (there := int(self.counted.read_text().split()[0])) < self.sent:
            if time.perf_counter() > until:
                raise SystemExit(f"{self.sent - there} mails have not come: see {self.config.postfix.log_file}")
            time.sleep(0.02)
        return time.perf_counter()

    def rows(self) -> tuple[int, str]:
        """How many rows the log has, and what became of the last mail."""
        with sqlite3.connect(self.instance.database) as connection:
            last = connection.execute("SELECT treatment FROM store_log ORDER BY id DESC LIMIT 1").fetchone()
            return connection.execute("SELECT count(*) FROM store_log").fetchone()[0], last[0] if last else ""

    # ---- what filters

    def lead(self, case: Case) -> None:
        """Have Postfix take the way of a case; what is written here is undone by the next start."""
        socket = self.null_socket if case.null else self.config.listen.lmtp_authorised.path
        place = socket.relative_to(self.config.postfix.queue_dir)
        self.change({CLIENTS: f"cidr:{{ {{ 127.0.0.1/32 FILTER {TO_AUTHORISED}:unix:{place} }} }}"} | dict(case.tables))

    def change(self, settings: Mapping[str, str]) -> None:
        self.program.must("postconf", "-e", *(f"{name}={value}" for name, value in settings.items()))
        self.program.must("postfix", "reload")

    @contextmanager
    def null_filter(self, *, wanted: bool) -> Iterator[dict[str, int]]:
        if not wanted:
            yield {}
            return
        self.null_socket.unlink(missing_ok=True)
        command = ("bench/null_relay.py", "--lmtp", str(self.null_socket), "--to", f"127.0.0.1:{REINJECTION}")
        child = start(PYTHON, *command, log=self.instance.folder / "null.log")
        try:
            yield {"null": child.pid}
        finally:
            stop(child)


def measure(site: Site, serving: Serving, sink: int, case: Case) -> Result:
    """One case once: warm up, send, wait for the last mail, and for the log."""
    for name, value in case.settings.items():
        site.instance.run("settings", "set", name, value)
    asked = {name: site.program.value(name) for name in case.tables}
    with site.null_filter(wanted=case.null) as watch:
        site.lead(case)
        time.sleep(SETTLE_SECONDS)
        site.load(WARM, case.port)
        site.await_mails()
        time.sleep(SETTLE_SECONDS)
        before_rows = site.rows()[0]
        master = int((site.config.postfix.queue_dir / "pid" / "master.pid").read_text())
        groups = {"postfix": [master], "sink": [sink], **{name: [pid] for name, pid in watch.items()}}
        groups |= {role: serving.roles(word) for role, word in ROLES.items()}
        before = {name: sum(map(cpu_seconds, pids)) for name, pids in groups.items()}
        sent, began = site.sent, time.perf_counter()
        load = site.load(site.options.count, case.port)
        seconds = site.await_mails() - began
        count = site.sent - sent
        if case.treatment:
            await_log(site, before_rows + count, case.treatment)
        cpu = {name: (sum(map(cpu_seconds, pids)) - before[name]) * 1000 / count for name, pids in groups.items()}
    if asked:
        site.change(asked)
    return Result(count / seconds, cpu | {"load": load * 1000 / count})


def await_log(site: Site, count: int, treatment: str) -> None:
    until = time.perf_counter() + PATIENCE_SECONDS
    while (found := site.rows())[0] < count:
        if time.perf_counter() > until:
            raise SystemExit(f"the log has {found[0]} rows instead of {count}")
        time.sleep(0.1)
    if found[1] != treatment:
        raise SystemExit(f"a mail that was to be {treatment} is {found[1]}")


def show(name: str, result: Result, ratio: str) -> None:
    parts = "  ".join(f"{part} {ms:.2f}" for part, ms in result.cpu_ms.items() if ms >= 0.005)
    print(
        f"{name:30} {result.mails_per_second:6.0f}/s {ratio:>7}   CPU ms: {result.cpu_ms_of_all:5.2f} = {parts}",
        flush=True,
    )


def summary(results: Mapping[str, Sequence[Result]]) -> None:
    """Ratios to the null filter within each turn: the median, the lowest and the highest."""
    print(f"\n{'of the null filter':30} {'mails/s':>26}   {'CPU per mail, less is more':>30}")
    for name, some in results.items():
        pairs = list(zip(some, results[NULL], strict=True))
        speed = [one.mails_per_second / null.mails_per_second for one, null in pairs]
        cpu = [null.cpu_ms_of_all / one.cpu_ms_of_all for one, null in pairs]
        print(f"{name:30} {_spread(speed):>26}   {_spread(cpu):>30}")


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.0%} ({min(values):.0%} to {max(values):.0%})"


def main() -> None:
    short = os.environ.get("MAILSEAL_BENCH") == "short"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500 if short else 3000, help="mails of one case in one turn")
    parser.add_argument("--turns", type=int, default=2 if short else 5)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--senders", type=int, default=10, help="each with its share of the sessions")
    parser.add_argument("--only", default="", help="cases with this text in their name, beside the null filter")
    options = parser.parse_args()
    if not is_installed() or os.geteuid() != 0 or shutil.which("smtp-source") is None:
        print("not measured: it takes Postfix with its smtp-source, and root")
        return
    site = Site(options)
    site.prepare()
    chosen = [one for one in CASES if one.name == NULL or options.only in one.name]
    results: dict[str, list[Result]] = {one.name: [] for one in chosen}
    counting = ("bench/sink.py", "--port", str(SINK), "--count-file", str(site.counted))
    sink = start(PYTHON, *counting, log=site.instance.folder / "sink.log")
    try:
        with site.instance.serving() as serving:
            for turn in range(options.turns):
                print(f"turn {turn + 1}, load average {os.getloadavg()[0]:.1f}", flush=True)
                for case in chosen:
                    result = measure(site, serving, sink.pid, case)
                    results[case.name].append(result)
                    null = results[NULL][-1]
                    show(case.name, result, f"{result.mails_per_second / null.mails_per_second:.0%}")
    finally:
        stop(sink)
    summary(results)


if __name__ == "__main__":
    main()
