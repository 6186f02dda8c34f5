"""The gateway's throughput with DLP on against off, in turns: `python bench/dlp_gateway.py [--count 1500] [--turns 3]`.

The gateway, the null relay and the sink of `bench/gateway.py`, with the starter library whole assigned to everybody;
only the setting `dlp` differs. Nothing is found in any of these mails: plain ones of 10 KB, passed on or signed and
encrypted, and such with a small .docx, which the sandbox reads. Prints mails/s and CPU per mail (of the gateway with
its sandbox), and the ratios within a turn.
"""

import argparse
import os
from statistics import median

import population
from dlp_documents import Here, attached, docx, entity, prose
from gateway import GATEWAY, OFF, ON, SINK, Case, Turns, inside, outside
from instance import PYTHON, Instance, start, stop
from load import Mail, dot_stuffed

from mailseal.extract.mail import inspect
from mailseal.mail.mime import parse
from mailseal.policy.dlp.library import starters
from mailseal.policy.dlp.scanner import Scanner

DOCX_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
HEAD = b"Subject: load\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\nMIME-Version: 1.0\r\n"


def written(content: bytes, count: int, people: int) -> list[Mail]:
    """The same content from and to one after the other; a SystemExit when the library finds something in it."""
    library = Scanner([one.pattern for one in starters()])
    found = library.findings(inspect(parse(HEAD + content), Here(), float("inf")))
    if found:
        raise SystemExit(f"these mails are not clean: {found}")
    octets = dot_stuffed(HEAD + content)
    return [Mail(inside(one % people).encode(), outside(one % people).encode(), octets) for one in range(count)]


def cases(count: int, people: int) -> list[Case]:
    """Off before on: what the other is compared to."""
    text = prose(9_500).replace("\n", "\r\n").encode() + b"\r\n"
    plain = written(entity(text, "text/plain; charset=utf-8"), count, people)
    with_docx = written(attached(docx(10_000), "letter.docx", DOCX_TYPE), count, people)
    kinds = (("passed on", OFF, plain), ("sign + encrypt", ON, plain), ("passed on, docx", OFF, with_docx))
    return [
        Case(f"{name}, DLP {switch}", {**settings, "dlp": value}, base=base.format(name), mails=mails)
        for name, settings, mails in kinds
        for switch, value, base in (("off", "false", ""), ("on", "true", "{}, DLP off"))
    ]


def assign(gateway: Instance) -> None:
    """The whole library to everybody."""
    groups = [option for one in sorted({one.group for one in starters()}) for option in ("--group", one)]
    gateway.run("dlp", "pattern", "library", "import", "--replace", *groups)
    gateway.run("dlp", "assign", *groups, "--global")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    short = os.environ.get("MAILSEAL_BENCH") == "short"
    parser.add_argument("--count", type=int, default=500 if short else 2000)
    parser.add_argument("--population", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--turns", type=int, default=1 if short else 3)
    parser.add_argument("--only", default="", help="cases with this text in their name, and what they are compared to")
    arguments = parser.parse_args()
    gateway = Instance("dlp-gateway", GATEWAY, SINK)
    gateway.run("init")
    population.make(gateway.config, arguments.population)
    assign(gateway)
    made = cases(arguments.count, arguments.population)
    bases = {one.base for one in made if arguments.only in one.name}
    chosen = [one for one in made if arguments.only in one.name or one.name in bases]
    sink = start(PYTHON, "bench/sink.py", "--port", str(SINK), log=gateway.folder / "sink.log")
    try:
        turns = Turns(arguments, gateway, sink)
        for _ in range(arguments.turns):
            turns.turn(chosen)
            print(f"load average {os.getloadavg()[0]:.1f}", flush=True)
    finally:
        stop(sink)
    for name, ratios in turns.ratios.items():
        print(f"{name}: {median(ratios):.1%}  ({min(ratios):.1%} to {max(ratios):.1%})")


if __name__ == "__main__":
    main()
