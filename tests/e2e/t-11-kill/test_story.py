"""Mail workers, the job worker, the supervisor and the database are killed (-9) while mail flows: every copy arrives.

MAILSEAL_KILL_MAILS mails (40) to three readers each: one inside, one in To, one in Bcc, so a mail has three effects.
They come at MAILSEAL_KILL_RATE a second; something is killed every MAILSEAL_KILL_SECONDS or so. MAILSEAL_KILL_SEED
repeats the choice of victims. MAILSEAL_KILL_ALL=1 runs every way with every database.
"""

from __future__ import annotations

import collections
import contextlib
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from harness.gateway import Gateway
from harness.killer import Killer
from harness.mail import CANARY
from harness.mariadb import MariaDb, installed
from harness.senders import ThroughPostfix, UntilAccepted
from harness.sink import Sink, Transaction
from harness.site import site, smtp_site
from harness.waiting import wait_until

ANNA, BERT, OLGA, SARA = "anna@alpha.example", "bert@alpha.example", "olga@out.example", "sara@secret.example"
READERS = (BERT, OLGA, SARA)
MAILS = int(os.environ.get("MAILSEAL_KILL_MAILS", "40"))
PER_SECOND = float(os.environ.get("MAILSEAL_KILL_RATE", "4"))
SECONDS_BETWEEN_KILLS = float(os.environ.get("MAILSEAL_KILL_SECONDS", "0.7"))
SEED = os.environ.get("MAILSEAL_KILL_SEED") or str(random.SystemRandom().randrange(10**6))
NEXT_HOP_SECONDS = 0.12
"""Each effect takes so long that there is mail in flight at most kills."""

PAIRS = [("lmtp", "sqlite"), ("smtp", "mariadb")]
if os.environ.get("MAILSEAL_KILL_ALL"):
    PAIRS += [("lmtp", "mariadb"), ("smtp", "sqlite")]


def octets(number: int) -> bytes:
    """Mail N, the same octets each time it is sent."""
    return (
        (
            f"From: {ANNA}\r\nTo: {BERT}, {OLGA}\r\nBcc: {SARA}\r\nSubject: no {number}\r\n"
            f"Message-ID: <story-{number}@client.example>\r\nDate: Mon, 02 Mar 2026 10:00:00 +0000\r\n"
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        ).encode()
        + b"The numbers: "
        + CANARY
        + b"\r\n"
    )


@dataclass
class Place:
    gateway: Gateway
    inside: Sink
    outside: Sink
    sender: ThroughPostfix | UntilAccepted


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[MariaDb | None]:
    if request.param == "sqlite":
        yield None
        return
    if not installed():
        pytest.skip("mariadb-server is not installed")
    server = MariaDb()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def place(way: str, database: MariaDb | None) -> Iterator[Place]:
    tables = {"database": {"url": database.url, "password": database.password}} if database else {}
    if way == "lmtp":
        with site("kill", **tables) as alpha:
            sender = ThroughPostfix(alpha.postfix, ANNA, READERS, octets)
            yield Place(alpha.gateway, alpha.inside, alpha.outside, sender)
    else:
        with smtp_site("kill", **tables) as (gateway, port, inside, outside):
            yield Place(gateway, inside, outside, UntilAccepted(port, ANNA, READERS, octets))


@pytest.mark.parametrize(("way", "database"), PAIRS, indirect=["database"])
def test_killed_at_random(need_postfix: None, way: str, database: MariaDb | None) -> None:
    began = time.monotonic()
    with place(way, database) as here:
        print(f"\nkill test: {way}, {MAILS} mails, MAILSEAL_KILL_SEED={SEED}")
        for sink in (here.inside, here.outside):
            sink.data_delay_seconds = NEXT_HOP_SECONDS
        with Killer(here.gateway, random.Random(SEED), SECONDS_BETWEEN_KILLS, database) as killer:
            here.sender.send(MAILS, PER_SECOND)
            wait_until(lambda: killer.done["mail"] > 2, lambda: f"too little was killed: {killer.done}")
        here.gateway.wait_until_ready()
        here.sender.finish(120 + MAILS / 5)
        _everything_arrived(here)
        _nothing_in_clear(here)
        _few_came_twice(here, killer)
        _log_has_every_copy(here.gateway)
        assert here.gateway.stop() == [], "processes were left"
        assert not list((here.gateway.data / "spool").iterdir()), "spool files were left"
        print(f"kill test: {time.monotonic() - began:.1f} s")


def _copies(here: Place) -> collections.Counter[tuple[str, str]]:
    """How often each (mail, reader) has come."""
    kept = here.inside.mails + here.outside.mails
    return collections.Counter((_name(one), reader) for one in kept for reader in one.recipients)


def _name(one: Transaction) -> str:
    return one.fields("Message-ID")[0].strip("<>").partition("@")[0]


def _everything_arrived(here: Place) -> None:
    wanted = {(f"story-{number}", reader) for number in range(MAILS) for reader in READERS}
    came = set(_copies(here))
    assert came == wanted, f"missing: {sorted(wanted - came)[:10]}\n{here.gateway.said()}"
    reports = [one for one in here.inside.mails if not one.sender]
    assert not reports, "a report was sent about a mail that arrived"


def _nothing_in_clear(here: Place) -> None:
    for one in here.outside.mails:
        assert CANARY not in one.octets, "seen in clear outside"
        assert "enveloped-data" in one.fields("Content-Type")[0]
        assert not one.fields("Bcc")


def _few_came_twice(here: Place, killer: Killer) -> None:
    """A copy comes again at most once for each transaction of its mail that was in flight."""
    in_flight, twice = here.sender.in_flight(), 0
    for (name, reader), count in _copies(here).items():
        twice += count - 1
        assert count - 1 <= in_flight[name], f"{name} came {count} times to {reader}: {in_flight[name]} in flight"
    print(f"killed {dict(killer.done)}; {in_flight.total()} transactions were in flight, {twice} copies came twice")
    assert twice <= in_flight.total()


def _log_has_every_copy(gateway: Gateway) -> None:
    all_of_them = MAILS * len(READERS)

    def told() -> str:
        return f"{len(_logged(gateway))} of {all_of_them} copies are in the log"

    wait_until(lambda: len(_logged(gateway)) >= all_of_them, told, every=0.5)
    assert len(_logged(gateway)) == all_of_them


def _logged(gateway: Gateway) -> set[tuple[str, str]]:
    """(Message-ID, recipient) of every copy that the message log calls relayed."""
    found: set[tuple[str, str]] = set()
    page: list[dict[str, str]] = gateway.log("--fate", "relayed", "--limit", "10000")
    while page:
        found |= {(row["message_id"], row["recipient"]) for row in page}
        page = gateway.log("--fate", "relayed", "--limit", "10000", "--before", page[0]["id"])
    return found
