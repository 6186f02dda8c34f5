"""Mail workers, the job worker and the supervisor are killed (-9) at random while mail flows: every copy arrives.

MAILSEAL_KILL_MAILS mails (60) to three readers each: one inside, one in To, one in Bcc, so a mail has three effects.
MAILSEAL_KILL_SEED repeats the choice of victims.
"""

import collections
import os
import random
import re
import signal
import threading
import time
from dataclasses import dataclass, field

import pytest

from harness.client import Client
from harness.mail import CANARY, mail
from harness.sink import Transaction
from harness.site import Site, site

ANNA, BERT, OLGA, SARA = "anna@alpha.example", "bert@alpha.example", "olga@out.example", "sara@secret.example"
READERS = (BERT, OLGA, SARA)
MAILS = int(os.environ.get("MAILSEAL_KILL_MAILS", "60"))
SEED = os.environ.get("MAILSEAL_KILL_SEED") or str(random.SystemRandom().randrange(10**6))
MAILS_PER_SECOND = 4.0
SECONDS_BETWEEN_KILLS = 0.7
NEXT_HOP_SECONDS = 0.12
"""Each effect takes so long that there is mail in flight at most kills."""

_LOST = re.compile(r": (\w+): to=<([^>]+)>, .*status=deferred \((?:lost connection|conversation|Connection|timeout)")


@dataclass
class Killer:
    """Kills one process after the other; a killed supervisor is started again, as systemd would."""

    alpha: Site
    random: random.Random
    done: collections.Counter[str] = field(default_factory=collections.Counter)
    stopped: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stopped.wait(self.random.uniform(0.5, 1.5) * SECONDS_BETWEEN_KILLS):
                self._kill(self._next_victim())
        except BaseException as error:  # noqa: BLE001 - shown by the test
            self.error = error

    def _next_victim(self) -> str:
        if self.done["mail"] >= 3 and not self.done["supervisor"]:
            return "supervisor"
        if self.done["mail"] >= 2 and not self.done["worker"]:
            return "worker"
        return self.random.choices(["mail", "worker", "supervisor"], [16, 2, 1])[0]

    def _kill(self, victim: str) -> None:
        gateway = self.alpha.gateway
        if victim == "supervisor":
            gateway.kill()
            gateway.launch()
        else:
            found = gateway.processes(victim)
            if not found:
                return
            os.kill(self.random.choice(found), signal.SIGKILL)
        self.done[victim] += 1


def test_killed_at_random(need_postfix: None) -> None:
    began = time.monotonic()
    with site("kill") as alpha:
        print(f"\nkill test: {MAILS} mails, MAILSEAL_KILL_SEED={SEED}, set up in {time.monotonic() - began:.1f} s")
        for sink in (alpha.inside, alpha.outside):
            sink.data_delay_seconds = NEXT_HOP_SECONDS
        killer = Killer(alpha, random.Random(SEED))
        thread = threading.Thread(target=killer.run)
        thread.start()
        try:
            _send_all(alpha)
        finally:
            killer.stopped.set()
            thread.join(60)
        assert killer.error is None, killer.error
        assert killer.done["mail"] > 2, f"too little was killed: {killer.done}"
        _everything_arrives(alpha)
        _judge(alpha, killer)
        _log_has_every_copy(alpha)
        assert alpha.gateway.stop() == [], "processes were left"
        print(f"kill test: {time.monotonic() - began:.1f} s")


def _send_all(alpha: Site) -> None:
    for number in range(MAILS):
        with Client(alpha.postfix.submission) as client:
            octets = mail(ANNA, f"{BERT}, {OLGA}", subject=f"no {number}", fields=f"Bcc: {SARA}\r\n")
            assert client.send(ANNA, READERS, octets).end[0].startswith("250")
        time.sleep(1 / MAILS_PER_SECOND)


def _copies(alpha: Site) -> collections.Counter[tuple[str, str]]:
    """How often each (mail, reader) has come."""
    kept = alpha.inside.mails + alpha.outside.mails
    return collections.Counter((_number(one), reader) for one in kept for reader in one.recipients)


def _number(one: Transaction) -> str:
    return one.fields("Subject")[0]


def _everything_arrives(alpha: Site) -> None:
    wanted = {(f"no {number}", reader) for number in range(MAILS) for reader in READERS}
    until = time.monotonic() + 60
    while wanted - set(_copies(alpha)):
        assert time.monotonic() < until, (
            f"missing: {sorted(wanted - set(_copies(alpha)))[:10]}\n{alpha.gateway.said()}\n"
            f"{alpha.postfix.maillog()[-3000:]}"
        )
        time.sleep(0.1)
    alpha.postfix.wait_until_empty(seconds=60)
    assert set(_copies(alpha)) == wanted


def _judge(alpha: Site, killer: Killer) -> None:
    for one in alpha.outside.mails:
        assert CANARY not in one.octets, "seen in clear outside"
        assert "enveloped-data" in one.fields("Content-Type")[0]
        assert not one.fields("Bcc")
    duplicates = sum(count - 1 for count in _copies(alpha).values())
    in_flight = _cut_off(alpha.postfix.maillog())
    print(f"killed {dict(killer.done)}; {in_flight} transactions were in flight, {duplicates} copies came twice")
    assert duplicates <= in_flight
    bounces = [one for one in alpha.inside.mails if not one.sender]
    assert not bounces


def _cut_off(maillog: str) -> int:
    """Transactions whose connection Postfix lost, by its own log."""
    lost: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for line in maillog.splitlines():
        if found := _LOST.search(line):
            lost[found[1]][found[2]] += 1
    return sum(max(counter.values()) for counter in lost.values())


def _log_has_every_copy(alpha: Site) -> None:
    until = time.monotonic() + 30
    while True:
        rows = alpha.gateway.log("--limit", "10000")
        logged = {(row["message"], row["recipient"]) for row in rows if row["fate"] == "relayed"}
        if len(logged) >= MAILS * len(READERS):
            break
        if time.monotonic() > until:
            pytest.fail(f"{len(logged)} of {MAILS * len(READERS)} copies are in the log")
        time.sleep(0.5)
    assert len(logged) == MAILS * len(READERS)
