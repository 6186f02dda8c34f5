"""What grows with the number of addresses, log rows and bytes: throughput, memory, start-up, latency beside other work.

    python bench/scale.py [--short] [--addresses 100000] [--rows 10000000] [--only throughput,latency,...]

Two gateways with 2 mail workers on SQLite, one with 10 addresses and an empty log, one with many of both; they take
turns, so that what else the machine does hits both. Half of the addresses are senders with RSA-2048 keys of their own,
half recipients with certificates. Made once and kept in var/bench: 100,000 addresses and 10 million rows take a
quarter of an hour and 6 GB. MAILSEAL_BENCH=short makes `make bench` use the short form.
"""

import argparse
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import log_rows
import scale_reading
from instance import PYTHON, ROOT, Instance, Serving, memory_bytes, start, stop
from load import OpenRun, Report, Run, content_of
from population import INSIDE, OUTSIDE, Authority, keys, make, primes

SINK, HOLDING_SINK, GATEWAY = 21650, 21651, 21850
FEW = 10
MIB = 1 << 20
TREATMENT = {"everything off": "passed", "sign + encrypt": "signed+encrypted"}
CASES = {
    "everything off": {"mode": "never", "sign": "no"},
    "sign + encrypt": {"mode": "allow", "sign": "yes"},
}
LIMITS = '[limits]\nmax_bytes_in_flight = "2 GiB"\n'


@dataclass
class Site:
    """One of the two gateways, and who writes to whom there."""

    instance: Instance
    people: int
    started: list[Serving] = field(default_factory=list)

    def names(self, count: int, *, skewed: bool = False) -> tuple[list[str], list[str]]:
        """Senders and recipients: all alike, or drawn by Zipf's law, in which the n-th writes 1/n as often."""
        everybody = range(self.people)
        if skewed:
            weights = [1 / (n + 1) for n in everybody]
            draw = random.Random(2)
            picks = (draw.choices(everybody, weights, k=count), draw.choices(everybody, weights, k=count))
        else:
            picks = (everybody, everybody)
        return [f"s{n}@{INSIDE}" for n in picks[0]], [f"r{n}@{OUTSIDE}" for n in picks[1]]

    @contextmanager
    def serving(self) -> Iterator[Serving]:
        with self.instance.serving() as serving:
            self.started.append(serving)
            yield serving

    def load(self, count: int, watch: dict[str, int] | None = None, *, skewed: bool = False, **others) -> Report:
        return self._run(Run, count, watch or {}, skewed=skewed, **others)

    def open_load(self, seconds: float, rate: float) -> Report:
        return self._run(OpenRun, int(seconds * rate), {}, connections=60, rate_per_second=rate)

    def _run(self, kind: Callable[..., Run], count: int, watch: dict[str, int], *, skewed: bool = False, **others):
        senders, recipients = self.names(count, skewed=skewed)
        values = {"connections": 20, "size": 10_000, "lmtp": False, "watch": watch} | others
        return kind(f"127.0.0.1:{GATEWAY}", count=count, senders=senders, recipients=recipients, **values).go()


def prepare(addresses: int, rows: int) -> Site:
    site = Site(Instance(f"scale-{addresses}-{rows}", GATEWAY, SINK, extra=LIMITS), addresses // 2)
    site.instance.run("init")
    log_rows.fill(site.instance.database, rows, site.people)
    make(site.instance.config, site.people)
    return site


def throughput(few: Site, many: Site, options: argparse.Namespace) -> dict[str, float]:
    """Mails a second of both, in turns; returns those of the many by case."""
    found: dict[str, float] = {}
    for case, settings in CASES.items():
        for site in (few, many):
            site.instance.set(settings)
        reports: dict[str, list[Report]] = {"few": [], "many": [], "many, skewed": []}
        for _ in range(options.rounds):
            for name, site in (("few", few), ("many", many), ("many, skewed", many)):
                with site.serving() as serving:
                    site.load(500)
                    skewed = name.endswith("skewed")
                    reports[name].append(site.load(options.count, {"gateway": serving.pid}, skewed=skewed))
        base = reports["few"]
        for name, some in reports.items():
            speed = statistics.median(one.mails_per_second for one in some)
            cpu = statistics.median(one.cpu_ms["gateway"] for one in some)
            ratio = statistics.median(a.mails_per_second / b.mails_per_second for a, b in zip(some, base, strict=True))
            more = statistics.median(a.cpu_ms["gateway"] / b.cpu_ms["gateway"] for a, b in zip(some, base, strict=True))
            show(f"{case}, {name}", f"{speed:6.0f}/s {ratio:5.0%}   CPU {cpu:.2f} ms {more:5.0%}   {failed(some)}")
        found[case] = statistics.median(one.mails_per_second for one in reports["many"])
    return found


def idle(few: Site, many: Site, options: argparse.Namespace) -> None:
    """Start-up and memory before and after the caches have filled."""
    for name, site in (("few", few), ("many", many)):
        site.instance.set(CASES["sign + encrypt"])
        with site.serving() as serving:
            time.sleep(1)
            fresh = max(memory_bytes(pid)["VmRSS"] for pid in serving.roles("mail"))
            site.load(options.count * 2)
            full = max(memory_bytes(pid)["VmRSS"] for pid in serving.roles("mail"))
        ready = statistics.median(one.ready_seconds for one in site.started)
        cpu = statistics.median(one.ready_cpu_seconds for one in site.started)
        show(
            f"start-up, idle worker: {name}",
            f"{ready:.2f} s ({cpu:.2f} s of CPU)   {fresh / MIB:.0f} MiB fresh, {full / MIB:.0f} MiB after mail",
        )


def large(few: Site, options: argparse.Namespace) -> None:
    """A large mail, passed and made, in turns; then several at once, and what they take of memory."""
    content = content_of(options.big_mib * MIB)
    few.instance.set({"smime_max_bytes": str(1 << 30)})
    seconds: dict[str, list[float]] = {case: [] for case in CASES}
    for _ in range(options.rounds + 1):
        for case, settings in CASES.items():
            few.instance.set(settings)
            with few.serving():
                few.load(50)
                report = few.load(options.big_times, connections=1, content=content)
                seconds[case].append(report.latency_ms_p50 / 1000)
            check_treatment(few, case)
    off, full = seconds.values()
    ratio = statistics.median(b / a for a, b in zip(off, full, strict=True))
    times = f"{statistics.median(off):.2f} s off, {statistics.median(full):.2f} s sign + encrypt"
    show(f"{options.big_mib} MiB", f"{times}: {ratio:.1f} times   {failed([report])}")
    few.instance.configure(workers=1, sink_port=HOLDING_SINK)
    for case, settings in CASES.items():
        few.instance.set(settings)
        for count in options.in_flight:
            with few.serving() as serving:
                few.load(20)
                in_flight(few, serving, case, count, content)
            check_treatment(few, case)
    few.instance.configure(workers=2, sink_port=SINK)


def check_treatment(site: Site, case: str) -> None:
    """The log's last row: a large mail that was too large to sign is quick."""
    with sqlite3.connect(site.instance.database) as connection:
        found = connection.execute("SELECT treatment FROM store_log ORDER BY id DESC LIMIT 1").fetchone()[0]
    if found != TREATMENT[case]:
        raise SystemExit(f"a mail that was to be {TREATMENT[case]} is {found}")


def in_flight(site: Site, serving: Serving, case: str, count: int, content: bytes) -> None:
    """The next hop holds its answer, so that all mails are there at the same time."""
    (worker,) = serving.roles("mail")
    before = memory_bytes(worker)
    watching = subprocess.Popen(
        (PYTHON, "bench/scale_memory.py", str(worker)), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    watching.stdout.readline()
    with ThreadPoolExecutor(count) as pool:
        sent = [pool.submit(site.load, 1, connections=1, content=content) for _ in range(count)]
        reports = [one.result() for one in sent]
    watching.send_signal(signal.SIGTERM)
    own, both = (int(value) for value in watching.communicate()[0].split())
    octets = count * len(content)
    show(
        f"{count} of {len(content) // MIB} MiB at once, {case}",
        f"{(own - before['RssAnon']) / octets:.2f} of their size in memory, "
        f"{(both - before['VmRSS']) / octets:.2f} with mapped spool   {failed(reports)}",
    )


def latency(many: Site, options: argparse.Namespace, speeds: dict[str, float]) -> None:
    """At half of what the closed loop gave: alone, beside pruning, beside an import of certificates."""
    for case, settings in CASES.items():
        many.instance.set(settings)
        rate = (speeds.get(case) or measure_rate(many, options)) / 2
        beside = {"alone": nothing, "pruning the log": prune, "importing certificates": import_certificates}
        for name, work in beside.items():
            with work(many, options) as said:
                report = many.open_load(options.seconds, rate)
                what = said()
            show(f"{case}, {rate:.0f}/s, {name}", f"{quantiles(report)}   {what}")


def measure_rate(site: Site, options: argparse.Namespace) -> float:
    with site.serving():
        site.load(500)
        return site.load(options.count).mails_per_second


@contextmanager
def nothing(site: Site, _options: argparse.Namespace) -> Iterator[Callable[[], str]]:
    with site.serving():
        site.load(500)
        yield lambda: ""


@contextmanager
def prune(site: Site, options: argparse.Namespace) -> Iterator[Callable[[], str]]:
    """The worker's own hourly job, made due: it finds some days of rows too old."""
    days = int((time.time() - log_rows.oldest(site.instance.database)) / 86_400) - 1
    site.instance.configure(extra=f"{LIMITS}[log]\nretention_days = {days}\n")
    _job_due(site, "purge")
    before = log_rows.oldest(site.instance.database)
    with site.serving():
        site.load(200)
        yield lambda: f"{(log_rows.oldest(site.instance.database) - before) / 3600:.0f} hours of rows pruned"
    site.instance.configure(extra=LIMITS)
    log_rows.fill(site.instance.database, options.rows, site.people)


def _job_due(site: Site, kind: str) -> None:
    with sqlite3.connect(site.instance.database) as connection:
        connection.execute("UPDATE store_job SET run_at = '2020-01-01 00:00:00', state = 0 WHERE kind = ?", (kind,))


@contextmanager
def import_certificates(site: Site, options: argparse.Namespace) -> Iterator[Callable[[], str]]:
    bundle = site.instance.folder / "bundle.pem"
    authority, supply = Authority(), keys(primes(80))
    run = random.getrandbits(32)
    pem = [authority.issue_pem(f"i{n}@{run:x}.example", next(supply)) for n in range(options.imported)]
    bundle.write_bytes(b"".join(pem))
    with site.serving():
        site.load(200)
        began = time.perf_counter()
        child = subprocess.Popen(site.instance.command("cert", "import", str(bundle)), stdout=subprocess.DEVNULL)
        try:
            yield (
                lambda: (
                    f"{options.imported} certificates, "
                    f"{'done' if child.poll() is not None else 'not done'} in {time.perf_counter() - began:.0f} s"
                )
            )
        finally:
            stop(child)


def quantiles(report: Report) -> str:
    return (
        f"p50 {report.latency_ms_p50:.1f} ms p99 {report.latency_ms_p99:.0f} ms "
        f"longest {report.latency_ms_max:.0f} ms   {failed([report])}"
    )


def failed(reports: Sequence[Report]) -> str:
    count = sum(one.failed for one in reports)
    return f"FAILED {count}: {next(one.first_failure for one in reports if one.failed)}" if count else ""


def show(name: str, text: str) -> None:
    print(f"{name:48} {text}".rstrip(), flush=True)


PARTS = ("throughput", "idle", "large", "latency", "reading")


def main() -> None:
    short = os.environ.get("MAILSEAL_BENCH") == "short"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", default=short)
    parser.add_argument("--addresses", type=int)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--count", type=int, help="mails of one run")
    parser.add_argument("--seconds", type=int, help="of one run at a given rate")
    parser.add_argument("--big-mib", type=int)
    parser.add_argument("--big-times", type=int, default=3)
    options = parser.parse_args()
    sizes = (2000, 200_000, 1, 1500, 6, 300) if options.short else (100_000, 10_000_000, 3, 6000, 30, 3000)
    addresses, rows, rounds, count, seconds, options.imported = sizes
    options.addresses, options.rows = options.addresses or addresses, options.rows or rows
    options.rounds, options.count = options.rounds or rounds, options.count or count
    options.seconds = options.seconds or seconds
    options.in_flight = (1, 5) if options.short else (1, 5, 20)
    options.big_mib = options.big_mib or (20 if options.short else 50)
    few, many = prepare(FEW, 0), prepare(options.addresses, options.rows)
    holding = ("--port", str(HOLDING_SINK), "--hold", "4" if options.short else "8")
    sinks = [
        start(PYTHON, "bench/sink.py", *arguments, log=many.instance.folder / "sink.log")
        for arguments in (("--port", str(SINK)), holding)
    ]
    try:
        parts(few, many, options, set(options.only.split(",")))
    finally:
        for sink in sinks:
            stop(sink)


def parts(few: Site, many: Site, options: argparse.Namespace, wanted: set[str]) -> None:
    print(f"few: {FEW} addresses, no log; many: {options.addresses} addresses, {options.rows} log rows")
    speeds = throughput(few, many, options) if "throughput" in wanted else {}
    if "idle" in wanted:
        idle(few, many, options)
    if "large" in wanted:
        large(few, options)
    if "latency" in wanted:
        latency(many, options, speeds)
    if "reading" in wanted:
        scale_reading.main(many.instance)


if __name__ == "__main__":
    main()
