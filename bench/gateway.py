"""How many mails a second the gateway passes, beside a null relay in the same run.

    python bench/gateway.py [--count 20000] [--population 10000] [--turns 3] [--only OpenPGP]

Starts a sink, a null relay and a real `mailseal serve` (2 mail workers, SMTP listener, SQLite), on loopback, in
var/bench. Senders and recipients are drawn uniformly, so that caches miss; a mail to open is sent once in a turn, each
to another reader. Prints mails/s, CPU per mail of each part, and the ratios: to the null relay, and to what is passed
on unchanged the same way.
"""

import argparse
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import incoming
import pgp_population
import population
from instance import PYTHON, Instance, start, stop
from load import Mail, Report, Run
from population import INSIDE, OUTSIDE

from mailseal.openpgp.generate import KeyKind

SINK, NULL, GATEWAY = 21600, 21700, 21800
OFF = {"mode": "never", "sign": "no"}
ON = {"mode": "allow", "sign": "yes"}


def inside(number: int) -> str:
    return f"s{number}@{INSIDE}"


def outside(number: int) -> str:
    return f"r{number}@{OUTSIDE}"


@dataclass(frozen=True)
class Case:
    """`people`: who writes and who is written to. `base`: the case that passes on unchanged what this one changes."""

    name: str
    settings: dict[str, str]
    people: tuple[Callable[[int], str], Callable[[int], str]] = (inside, outside)
    base: str = ""
    mails: Sequence[Mail] = field(default=(), repr=False)


def cases(smime: Path, pgp: dict[KeyKind, Path]) -> list[Case]:
    """By the files with mails to open."""
    of_kind = {kind: (partial(pgp_population.inside, kind), partial(pgp_population.outside, kind)) for kind in pgp}
    return [
        Case("everything off", OFF),
        Case("S/MIME: sign", {"mode": "never", "sign": "yes"}, base="everything off"),
        Case("S/MIME: sign + encrypt", ON, base="everything off"),
        *(Case(f"OpenPGP {kind}: sign + encrypt", ON, of_kind[kind], "everything off") for kind in pgp),
        Case("in, clear", OFF, (outside, inside)),
        Case("in, S/MIME", OFF, base="in, clear", mails=incoming.read(smime)),
        *(
            Case(f"in, OpenPGP {kind}", OFF, base="in, clear", mails=incoming.read(mails))
            for kind, mails in pgp.items()
        ),
    ]


def measure(
    arguments: argparse.Namespace, case: Case, port: int, watch: dict[str, int], count: int | None = None
) -> Report:
    senders, recipients = case.people
    count = count or arguments.count
    return Run(
        f"127.0.0.1:{port}",
        count=min(count, len(case.mails) or count),
        connections=arguments.connections,
        size=10_000,
        lmtp=False,
        senders=[senders(number) for number in range(arguments.population)],
        recipients=[recipients(number) for number in range(arguments.population)],
        watch=watch,
        mails=case.mails,
    ).go()


def show(name: str, report: Report, ratio: str = "") -> None:
    cpu = "  ".join(f"{part} {ms:.3f} ms" for part, ms in report.cpu_ms.items())
    latency = f"p50 {report.latency_ms_p50:.1f} ms p99 {report.latency_ms_p99:.1f} ms"
    failed = f"failed {report.failed} {report.first_failure}" if report.failed else ""
    print(f"{name:32} {report.mails_per_second:8.0f}/s {ratio:>15}   {cpu}   {latency}  {failed}", flush=True)


class Turns:
    """Each case once a turn: the machine is another one from minute to minute, so only ratios within a turn count."""

    def __init__(self, arguments: argparse.Namespace, gateway: Instance, sink: subprocess.Popen[bytes]) -> None:
        self.arguments = arguments
        self.gateway = gateway
        self.sink = sink
        self.ratios: dict[str, list[float]] = {}

    def turn(self, chosen: Sequence[Case]) -> None:
        null = self.null_relay(chosen[0])
        rates: dict[str, float] = {}
        for case in chosen:
            report = self.through_gateway(case)
            rate = rates[case.name] = report.mails_per_second
            ratio = f"{rate / null:6.1%}"
            if case.base in rates:
                self.ratios.setdefault(f"{case.name} / {case.base}", []).append(rate / rates[case.base])
                ratio += f" {rate / rates[case.base]:7.1%}"
            show(case.name, report, ratio)

    def null_relay(self, case: Case) -> float:
        relay = ("bench/null_relay.py", "--port", str(NULL), "--to", f"127.0.0.1:{SINK}")
        null = start(PYTHON, *relay, log=self.gateway.folder / "null.log")
        try:
            time.sleep(1)
            watch = {"relay": null.pid, "sink": self.sink.pid}
            report = measure(self.arguments, case, NULL, watch, count=4 * self.arguments.count)
        finally:
            stop(null)
        show("null relay", report)
        return report.mails_per_second

    def through_gateway(self, case: Case) -> Report:
        self.gateway.set(case.settings)
        with self.gateway.serving() as serving:
            warm = Case("", {}, case.people)
            measure(self.arguments, warm, GATEWAY, {}, count=500)
            return measure(self.arguments, case, GATEWAY, {"gateway": serving.pid, "sink": self.sink.pid})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--population", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--only", default="", help="cases with this text in their name, and what they are compared to")
    arguments = parser.parse_args()
    gateway = Instance("gateway", GATEWAY, SINK)
    gateway.run("init")
    smime = population.make(gateway.config, arguments.population)
    kinds = (KeyKind.ED25519, KeyKind.RSA3072)
    pgp = {kind: pgp_population.make(gateway.config, arguments.population, kind) for kind in kinds}
    wanted = cases(smime, pgp)
    bases = {one.base for one in wanted if arguments.only in one.name}
    chosen = [one for one in wanted if arguments.only in one.name or one.name in bases]
    sink = start(PYTHON, "bench/sink.py", "--port", str(SINK), log=gateway.folder / "sink.log")
    try:
        turns = Turns(arguments, gateway, sink)
        for _ in range(arguments.turns):
            turns.turn(chosen)
    finally:
        stop(sink)
    for name, ratios in turns.ratios.items():
        print(f"{name}: {median(ratios):.1%}  ({min(ratios):.1%} to {max(ratios):.1%})")


if __name__ == "__main__":
    main()
