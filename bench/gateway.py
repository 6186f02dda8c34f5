"""How many mails a second the gateway passes, beside a null relay in the same run.

    python bench/gateway.py [--count 20000] [--population 10000]

Starts a sink, a null relay and a real `mailseal serve` (2 mail workers, SMTP listener, SQLite), on loopback, in
var/bench. Senders and recipients are drawn uniformly, so that caches miss. Prints mails/s, CPU per mail of each part,
and the ratios.
"""

import argparse
import subprocess
import time

from instance import PYTHON, Instance, start, stop
from load import Report, Run
from population import INSIDE, OUTSIDE, make

SINK, NULL, GATEWAY = 21600, 21700, 21800


def measure(arguments: argparse.Namespace, port: int, watch: dict[str, int], count: int | None = None) -> Report:
    return Run(
        f"127.0.0.1:{port}",
        count=count or arguments.count,
        connections=arguments.connections,
        size=10_000,
        lmtp=False,
        senders=[f"s{n}@{INSIDE}" for n in range(arguments.population)],
        recipients=[f"r{n}@{OUTSIDE}" for n in range(arguments.population)],
        watch=watch,
    ).go()


def show(name: str, report: Report, base: Report | None = None) -> None:
    ratio = "" if base is None else f"  {report.mails_per_second / base.mails_per_second:6.1%}"
    cpu = "  ".join(f"{part} {ms:.3f} ms" for part, ms in report.cpu_ms.items())
    latency = f"p50 {report.latency_ms_p50:.1f} ms p99 {report.latency_ms_p99:.1f} ms"
    failed = f"failed {report.failed} {report.first_failure}" if report.failed else ""
    print(f"{name:16} {report.mails_per_second:8.0f}/s{ratio}   {cpu}   {latency}  {failed}", flush=True)


CASES = {
    "everything off": {"mode": "never", "sign": "no"},
    "sign": {"mode": "never", "sign": "yes"},
    "sign + encrypt": {"mode": "allow", "sign": "yes"},
}


def run(arguments: argparse.Namespace, gateway: Instance, sink: subprocess.Popen[bytes]) -> None:
    relay = ("bench/null_relay.py", "--port", str(NULL), "--to", f"127.0.0.1:{SINK}")
    null = start(PYTHON, *relay, log=gateway.folder / "null.log")
    try:
        time.sleep(1)
        base = measure(arguments, NULL, {"relay": null.pid, "sink": sink.pid}, count=4 * arguments.count)
    finally:
        stop(null)
    show("null relay", base)
    results = {}
    for name, settings in CASES.items():
        gateway.set(settings)
        with gateway.serving() as serving:
            measure(arguments, GATEWAY, {}, count=500)
            results[name] = measure(arguments, GATEWAY, {"gateway": serving.pid, "sink": sink.pid})
        show(name, results[name], base)
    off, full = results["everything off"], results["sign + encrypt"]
    print(f"sign + encrypt / everything off: {full.mails_per_second / off.mails_per_second:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--population", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=20)
    arguments = parser.parse_args()
    gateway = Instance("gateway", GATEWAY, SINK)
    gateway.run("init")
    make(gateway.config, arguments.population)
    sink = start(PYTHON, "bench/sink.py", "--port", str(SINK), log=gateway.folder / "sink.log")
    try:
        run(arguments, gateway, sink)
    finally:
        stop(sink)


if __name__ == "__main__":
    main()
