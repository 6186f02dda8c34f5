"""What happened can be read: a line for each decision, numbers that agree with what was sent, and no secret in them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness.client import send
from harness.folder import free_port, short_folder
from harness.gateway import P12_PASSWORD, Gateway
from harness.mail import mail
from harness.sink import Sink
from harness.site import furnish, people
from harness.waiting import PATIENCE_SECONDS, wait_until

ANNA, BERT, CARL = "anna@alpha.example", "bert@alpha.example", "carl@alpha.example"
OLGA, NORA, NILS = "olga@out.example", "nora@out.example", "nils@secret.example"
OUTSIDE = "127.0.0.9"
BODY = "body-marker-71c3"
SUBJECT = "subject-marker-5be0"
OPEN_SUBJECT = "open-marker-99fa"


@dataclass
class Watched:
    """A gateway by SMTP whose lines go to a file as JSON, at level debug, with metrics."""

    gateway: Gateway
    port: int
    metrics: int
    log: Path
    inside: Sink
    outside: Sink
    tables: dict[str, dict[str, object]]

    def reload(self, **log: str) -> None:
        """With these keys of [log] changed; returns when the processes of before are gone."""
        workers = set(self.gateway.processes("mail"))
        self.gateway.write_config(**self.tables | {"log": self.tables["log"] | log})
        os.kill(self.gateway.pid, signal.SIGHUP)
        wait_until(lambda: not workers & set(self.gateway.processes("mail")))

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}{path}", timeout=PATIENCE_SECONDS) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def numbers(self) -> dict[tuple[str, ...], float]:
        """Samples by (name, label values in order of their names)."""
        status, page = self.get("/metrics")
        assert status == 200
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }

    def copies(self) -> Counter[tuple[str, ...]]:
        """(direction, method, outcome, treatment) of all copies so far."""
        return Counter(
            {key[1:]: int(value) for key, value in self.numbers().items() if key[0] == "mailseal_messages_total"}
        )

    def lines(self, **wanted: object) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in found if all(line.get(name) == value for name, value in wanted.items())]

    def send(self, sender: str, recipients: list[str], octets: bytes, **more: str) -> str:
        return send(self.port, sender, recipients, octets, **more).end[0]


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    port, metrics = free_port(), free_port()
    with short_folder("logs") as folder, Sink() as inside, Sink() as outside:
        log = folder / "mailseal.log"
        tables = {
            "listen": {"smtp": f"127.0.0.1:{port}", "smtp_authorised_networks": ["127.0.0.1/32"]},
            "relay": {"inside": f"smtp://127.0.0.1:{inside.port}", "outside": f"smtp://127.0.0.1:{outside.port}"},
            "log": {"level": "debug", "format": "json", "destination": str(log)},
            "metrics": {"listen": f"127.0.0.1:{metrics}"},
        }
        with Gateway(folder / "mailseal", **tables) as gateway:
            furnish(gateway)
            for party in (CARL, OLGA):  # both must allow it
                gateway.set("log_subject", "true", "--address", party)
            gateway.start()
            yield Watched(gateway, port, metrics, log, inside, outside, tables)


def body_mail(sender: str, to: str, subject: str = SUBJECT) -> bytes:
    return mail(sender, to, subject=subject, body=f"{BODY}\r\n".encode())


def test_lines_and_numbers_agree_with_what_was_sent(watched: Watched) -> None:
    before = watched.copies()
    watched.outside.rcpt_replies[NORA] = "450 4.2.0 <nora@out.example> mailbox busy"

    assert watched.send(ANNA, [OLGA], body_mail(ANNA, OLGA)).startswith("250")
    assert watched.send(ANNA, [BERT, CARL], body_mail(ANNA, f"{BERT}, {CARL}")).startswith("250")
    assert watched.send(ANNA, [NILS], body_mail(ANNA, NILS)).startswith("550")
    assert watched.send(ANNA, [NORA], body_mail(ANNA, NORA)).startswith("450")
    assert watched.send(OLGA, [NORA], body_mail(OLGA, NORA), source=OUTSIDE).startswith("550 5.7.1")
    assert watched.send(CARL, [OLGA], body_mail(CARL, OLGA, OPEN_SUBJECT)).startswith("250")

    lines = watched.lines(event="decision")[-7:]
    assert [(one["sender"], one["recipient"], one["fate"], one["direction"], one["client"]) for one in lines] == [
        (ANNA, OLGA, "relayed", "out", "authorised"),
        (ANNA, BERT, "relayed", "in", "authorised"),
        (ANNA, CARL, "relayed", "in", "authorised"),
        (ANNA, NILS, "refused", "out", "authorised"),
        (ANNA, NORA, "deferred", "out", "authorised"),
        (OLGA, NORA, "refused", "out", "outside"),
        (CARL, OLGA, "relayed", "out", "authorised"),
    ]
    assert lines[0]["treatment"] == "signed+encrypted"
    assert lines[0]["method"] == "smime"
    assert lines[3]["code"] == 550
    assert lines[3]["status"] == "5.7.1"
    assert lines[3]["reasons"][-1] == "must-encrypt-failed"
    assert lines[4]["reasons"][-1] == "next-hop-replied"
    assert lines[5]["reasons"] == ["relay-denied"]
    assert all(0 <= one["milliseconds"] < 60_000 and one["bytes"] > 100 for one in lines)
    assert [one.get("subject") for one in lines] == [None, None, None, None, None, None, OPEN_SUBJECT]

    counted = watched.copies() - before
    told = Counter((one["direction"], one.get("method", "none"), one["fate"], one["treatment"]) for one in lines)
    assert counted == told
    numbers = watched.numbers()
    assert numbers["mailseal_refusals_total", "deferred", "next-hop-replied"] == 1
    assert numbers["mailseal_refusals_total", "refused", "relay-denied"] == 1
    assert numbers["mailseal_next_hop_failures_total", "outside"] == 1
    assert numbers["mailseal_mail_seconds_count", "authorised"] == 5
    assert numbers["mailseal_mail_seconds_count", "outside"] == 1
    assert numbers["mailseal_mail_bytes_count",] == 6
    watched.outside.clear()


def test_the_id_in_received_and_the_message_log_tells_the_whole_story(watched: Watched) -> None:
    watched.inside.clear()
    # One recipient is refused, so that the sender gets a report, by another process.
    assert watched.send(ANNA, [BERT, NILS], body_mail(ANNA, f"{BERT}, {NILS}")).startswith("250")
    got = next(one for one in watched.inside.wait(2) if one.recipients == (BERT,))
    name = got.fields("Received")[0].partition(" id ")[2].partition(";")[0]

    wait_until(lambda: watched.lines(mail=name, role="worker"))
    story = sorted(watched.lines(mail=name), key=lambda one: one["role"])  # two processes write them
    assert [(one["event"], one.get("recipient")) for one in story] == [
        ("decision", BERT),
        ("decision", NILS),
        ("a report to the sender was sent on", None),
    ]
    assert story[1]["code"] == 550
    assert story[1]["answer"] == 250
    rows = watched.gateway.wait_for_log(2, "--message", name)
    assert {row["recipient"] for row in rows} == {BERT, NILS}


def test_the_store_and_the_processes_are_measured(watched: Watched) -> None:
    sent = sum(watched.copies().values())
    wait_until(lambda: len(watched.gateway.log("--limit", "1000")) == sent, every=0.2)
    wait_until(lambda: watched.numbers()["mailseal_log_rows_imported_total",] == sent)
    wait_until(lambda: watched.numbers()["mailseal_jobs_total", "report", "done"] >= 1)
    # These each mail worker tells once a second.
    wait_until(lambda: watched.numbers()["mailseal_connections", "authorised"] == 0)
    wait_until(lambda: watched.numbers()["mailseal_mails_in_flight",] == 0)
    numbers = watched.numbers()
    assert numbers["mailseal_processes_ready", "mail"] == numbers["mailseal_processes_expected", "mail"] == 2
    assert numbers["mailseal_processes_ready", "worker"] == 1
    assert abs(time.time() - numbers["mailseal_heartbeat_timestamp_seconds",]) < 30
    assert abs(time.time() - numbers["mailseal_journal_imported_timestamp_seconds",]) < 60
    expires = min(one.certificate.not_after for one in (people().anna, people().bert))
    assert numbers["mailseal_key_expiry_timestamp_seconds",] == expires.timestamp()
    assert numbers["mailseal_keys_expiring",] == 0
    assert {key[1] for key in numbers if key[0] == "mailseal_jobs_waiting"} >= {"report", "purge"}
    assert [key for key in numbers if key[0] == "mailseal_build_info"]


def test_only_two_questions_are_answered(watched: Watched) -> None:
    assert watched.get("/healthz") == (200, "ok\n")
    checked = watched.gateway.run("check").stdout
    assert f"metrics: http on 127.0.0.1:{watched.metrics}, origin none" in checked
    assert "health check) answers" in checked
    assert watched.get("/")[0] == 404
    assert watched.get("/metrics/../healthz")[0] == 404
    request = urllib.request.Request(f"http://127.0.0.1:{watched.metrics}/metrics", method="POST", data=b"x")
    with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(request, timeout=PATIENCE_SECONDS):
        pass
    refused.value.close()
    assert refused.value.code == 405


def test_a_killed_worker_neither_loses_nor_doubles_what_it_counted(watched: Watched) -> None:
    before = watched.copies()
    assert sum(before.values()) > 0
    for worker in watched.gateway.processes("mail"):
        os.kill(worker, signal.SIGKILL)
    wait_until(lambda: watched.get("/healthz")[0] == 503 or watched.numbers()["mailseal_processes_ready", "mail"] == 2)
    assert watched.copies() == before
    wait_until(lambda: watched.get("/healthz") == (200, "ok\n"))

    assert watched.send(ANNA, [BERT], body_mail(ANNA, BERT)).startswith("250")
    assert watched.copies() - before == Counter({("in", "none", "relayed", "passed"): 1})
    files = sorted(path.name for path in (watched.gateway.data / "run" / "metrics").glob("counter_mail*"))
    assert files == ["counter_mail-1-0.db", "counter_mail-2-0.db"]


def test_the_file_may_be_moved_away(watched: Watched) -> None:
    assert stat.S_IMODE(watched.log.stat().st_mode) == 0o640
    old = watched.log.rename(watched.log.with_suffix(".1"))
    wait_until(lambda: watched.send(ANNA, [BERT], body_mail(ANNA, BERT)) and watched.log.exists())
    wait_until(lambda: watched.send(ANNA, [BERT], body_mail(ANNA, BERT)) and watched.lines(event="decision"))
    assert watched.lines(event="decision")[-1]["recipient"] == BERT
    old.unlink()


def test_a_reload_keeps_the_counters_and_journald_gets_fields(watched: Watched) -> None:
    """The old workers drain beside the new ones, which count in files of their own."""
    before = watched.copies()
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as journald:
        path = watched.log.with_name("journald")
        journald.bind(str(path))
        path.chmod(0o777)
        journald.settimeout(PATIENCE_SECONDS)
        watched.reload(destination=f"journald:{path}", addresses="hashed")
        assert watched.copies() == before
        assert watched.send(ANNA, [BERT], body_mail(ANNA, BERT)).startswith("250")
        decision = next(one for one in _datagrams(journald) if one["MESSAGE"].startswith("decision "))
    assert watched.log.with_name("journald").is_socket()
    assert decision["PRIORITY"] == "6"
    assert decision["SYSLOG_IDENTIFIER"] == "mailseal"
    assert decision["MAILSEAL_FATE"] == "relayed"
    assert re.fullmatch("[0-9a-f]{16}", decision["MAILSEAL_MAIL"])
    assert re.fullmatch("[0-9a-f]{16}", decision["MAILSEAL_SENDER"])
    assert decision["MAILSEAL_SENDER"] != decision["MAILSEAL_RECIPIENT"]
    assert "@" not in str(decision)
    assert BODY not in str(decision)
    assert SUBJECT not in str(decision)

    wait_until(lambda: watched.numbers()["mailseal_processes_ready", "mail"] == 2)
    wait_until(lambda: watched.get("/healthz") == (200, "ok\n"))
    assert sum(watched.copies().values()) == sum(before.values()) + 1
    assert len(list((watched.gateway.data / "run" / "metrics").glob("counter_mail-1-*"))) == 2


def _datagrams(journald: socket.socket) -> Iterator[dict[str, str]]:
    while True:
        fields = journald.recv(65536).decode().splitlines()
        yield {name: value for name, _, value in (field.partition("=") for field in fields)}


def test_nothing_secret_was_ever_written(watched: Watched) -> None:
    """Last: everything above went through it, at level debug."""
    written = b"".join(
        path.read_bytes()
        for path in (*watched.log.parent.glob("mailseal.log*"), watched.gateway.output)
    )  # fmt: skip
    page = watched.get("/metrics")[1].encode()
    assert b"decision" in written
    kek = next(
        path for path in (watched.gateway.data / "kek", *watched.gateway.data.glob("keks/*.kek")) if path.exists()
    )
    key = kek.read_bytes().partition(b":")[2].strip()
    for secret in (BODY.encode(), SUBJECT.encode(), P12_PASSWORD, key):
        assert secret not in written
        assert secret not in page
    assert b"alpha.example" not in page
    assert b"out.example" not in page
