"""What must not leave yet is held; people look at it, release it, delete it; workers die, hops and databases are away.

Two people: the accounts `daemon` and `bin`, as sudo would name them.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from harness import openssl
from harness.client import send
from harness.folder import free_port
from harness.gateway import Gateway
from harness.mail import CANARY, mail, without_trace
from harness.sink import Sink, Transaction
from harness.site import people, smtp_site
from harness.waiting import PATIENCE_SECONDS, wait_until
from mailseal.cli import run
from mailseal.cli.checks.quarantine import quarantine as checked
from mailseal.config import load
from mailseal.mail.reply import HELD
from mailseal.store import setup

ANNA, OLGA, NORA = "anna@alpha.example", "olga@out.example", "nora@out.example"
PIA, QUINN = 1, 2
"""User IDs of two people: daemon, bin."""


@dataclass
class House:
    """A gateway that holds what must be encrypted and cannot be."""

    gateway: Gateway
    port: int
    inside: Sink
    outside: Sink
    number: int = 0
    octets: bytes = b""

    def hand_in(self, to: str, octets: bytes) -> None:
        """Until it is held: a worker that has just found the database away asks for patience."""
        wait_until(lambda: send(self.port, ANNA, [to], octets).end[0] == HELD.line().decode().strip())

    def hold(self) -> tuple[str, str]:
        """Send a mail that is held (`octets`); its recipient, and the ID that it is held under."""
        self.number += 1
        to = f"n{self.number}@secret.example"
        self.octets = mail(ANNA, to, subject=f"mail {self.number}")
        self.hand_in(to, self.octets)
        [(held,)] = self.ask("SELECT id FROM store_quarantine WHERE recipient = ?", to)
        return to, str(UUID(held))

    def type(self, *words: str, status: int = 0) -> str:
        """What `mailseal …` says, in this process: a new one takes half a second."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            ended = run(["--config", str(self.gateway.config), *words])
        connections.close_all()
        assert ended == status, f"mailseal {' '.join(words)}: status {ended}\n{said.getvalue()}"
        return said.getvalue()

    def rows(self, *words: str) -> Any:
        return json.loads(self.type("quarantine", *words, "--json"))

    def check(self) -> str:
        """What `mailseal check` says of the quarantine."""
        config = load(self.gateway.config, {})
        setup(config)
        told = [str(one.as_row()) for one in checked(config)]
        connections.close_all()
        return "\n".join(told)

    def one(self, held: str) -> dict[str, Any]:
        """As it is stored: a command for each look would take half a second."""
        columns = ("state", "error", "asked_by", "releases")
        [row] = self.ask(f"SELECT {', '.join(columns)} FROM store_quarantine WHERE id = ?", UUID(held).hex)
        return dict(zip(columns, row, strict=True))

    def wait(self, held: str, state: str) -> None:
        wait_until(lambda: self.one(held)["state"] == state, lambda: f"{self.one(held)}\n{self.gateway.said()}")

    def events(self, held: str) -> list[tuple[str, str]]:
        return self.ask(
            "SELECT actor_name, action FROM store_quarantine_event WHERE quarantine = ? ORDER BY id", UUID(held).hex
        )

    def ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.gateway.data / "mailseal.db", timeout=PATIENCE_SECONDS)) as database:
            found = database.execute(statement, values).fetchall()
            database.commit()
        return found

    def pass_time(self, held: str, column: str, time: str) -> None:
        """As it will be when so much time has passed."""
        self.ask(f"UPDATE store_quarantine SET {column} = ? WHERE id = ?", f"{time} 00:00:00", UUID(held).hex)

    def hurry(self, kind: str) -> None:
        """Time passes for the jobs of a kind that wait."""
        self.ask("UPDATE store_job SET run_at = '2000-01-01 00:00:00' WHERE kind = ? AND state = 0", kind)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Somebody holds the database."""
        path = self.gateway.data / "mailseal.db"
        with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE_SECONDS)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            try:
                yield
            finally:
                connection.execute("ROLLBACK")


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with smtp_site("quarantine", metrics={"listen": f"127.0.0.1:{free_port()}"}) as (gateway, port, inside, outside):
        gateway.type("settings set on_failure quarantine", "settings set log_subject on")
        gateway.wait_until_noticed()
        yield House(gateway, port, inside, outside)


@pytest.fixture
def house(running: House, monkeypatch: pytest.MonkeyPatch) -> House:
    for sink in (running.inside, running.outside):
        sink.up()
        sink.clear()
    monkeypatch.setenv("SUDO_UID", str(PIA))
    return running


def got(house: House, to: str) -> Transaction:
    return next(one for one in house.outside.wait_for(lambda kept: any(to in one.recipients for one in kept), to)
                if to in one.recipients)  # fmt: skip


def test_held_shown_and_released_once_there_is_a_key(house: House) -> None:
    to, held = house.hold()
    [row] = house.rows("list", "--recipient", to)
    assert (row["id"], row["why"], row["state"], row["sender"]) == (held, "must-encrypt-failed", "held", ANNA)
    [line] = house.gateway.wait_for_log(1, "--recipient", to)
    assert (line["fate"], line["quarantine"]) == ("held", held)
    assert not house.outside.mails

    shown = house.rows("show", held)
    assert ["subject", f"mail {house.number}"] in shown["header"]
    assert CANARY.decode() in "".join(one["text"] for one in shown["texts"])
    assert shown["client"] == "127.0.0.1"

    house.type("quarantine", "release", held, "--note", "please")
    wait_until(lambda: house.one(held)["error"])
    assert house.one(held)["error"].startswith("held again")

    key = people().issue(to, key="p256")
    house.gateway.import_certificates([key])
    house.gateway.wait_until_noticed()
    house.type("quarantine", "release", held)

    mail_sent = got(house, to)
    assert CANARY not in mail_sent.octets
    assert CANARY in openssl.verify(openssl.decrypt(mail_sent.octets, key), people().root)
    house.wait(held, "released")
    assert house.events(held) == [
        ("Mailseal", "held"), ("daemon", "shown"), ("daemon", "release-asked"), ("Mailseal", "held-again"),
        ("daemon", "release-asked"), ("Mailseal", "released"),
    ]  # fmt: skip
    lines = house.gateway.wait_for_log(3, "--recipient", to)
    assert {one["message"] for one in lines} == {line["message"]}
    assert sorted(one["fate"] for one in lines) == ["held", "held", "relayed"]
    assert {one["quarantine"] for one in lines} == {held}


def test_as_it_is_by_two_people(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    to, held = house.hold()
    house.type("quarantine", "release", held, "--as-is")
    assert "another person" in house.type("quarantine", "approve", held, "--yes", status=1)
    assert house.one(held)["asked_by"] == "user:daemon"
    assert not house.outside.mails

    monkeypatch.setenv("SUDO_UID", str(QUINN))
    house.type("quarantine", "approve", held, "--yes")

    assert without_trace(got(house, to).octets) == house.octets
    house.wait(held, "released")
    told = [("daemon", "as-is-asked"), ("daemon", "as-is-denied"), ("bin", "as-is-approved"), ("Mailseal", "released")]
    assert house.events(held)[1:] == told


def test_deleted(house: House) -> None:
    _, held = house.hold()
    raw = house.gateway.folder / "held.eml"
    house.type("quarantine", "export", held, "--output", str(raw))
    assert raw.read_bytes() == house.octets
    assert raw.stat().st_mode & 0o777 == 0o600
    raw.unlink()

    house.type("quarantine", "delete", held, "--yes", "--note", "spam")
    assert house.one(held)["state"] == "deleted"
    assert "it is deleted" in house.type("quarantine", "release", held, status=1)
    wait_until(lambda: house.ask("SELECT sealed FROM store_quarantine WHERE id = ?", UUID(held).hex) == [(None,)])
    wait_until(lambda: house.ask("SELECT COUNT(*) FROM store_message WHERE NOT complete") == [(0,)])  # of others too
    assert house.events(held)[1:] == [("daemon", "exported"), ("daemon", "deleted")]


def test_expires_and_it_is_said_before(house: House) -> None:
    _, held = house.hold()
    house.pass_time(held, "created", "2020-01-01")
    house.type("quarantine", "extend", held, "--days", "2")
    assert "will be deleted within 3 days" in house.check()
    house.hurry("quarantine-expire")
    wait_until(lambda: ("Mailseal", "expiry-noticed") in house.events(held))

    house.pass_time(held, "expires", "2020-02-01")
    house.hurry("quarantine-expire")
    house.wait(held, "expired")
    assert "expired" in house.type("quarantine", "show", held)
    assert house.events(held)[-1] == ("Mailseal", "expired")


def as_it_is(house: House, held: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Released by two people, so that it needs no key."""
    house.type("quarantine", "release", held, "--as-is")
    monkeypatch.setenv("SUDO_UID", str(QUINN))
    house.type("quarantine", "approve", held, "--yes")


def test_a_dead_next_hop(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    to, held = house.hold()
    house.outside.down()
    as_it_is(house, held, monkeypatch)
    wait_until(lambda: house.one(held)["error"])
    assert house.one(held)["state"] == "releasing"
    assert "being released" in house.type("quarantine", "delete", held, "--yes", status=1)

    house.outside.up()
    house.hurry("quarantine-release")
    got(house, to)
    house.wait(held, "released")
    assert len(house.outside.mails) == 1


def test_a_worker_that_is_killed_in_the_middle(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    to, held = house.hold()
    house.outside.data_delay_seconds = PATIENCE_SECONDS
    as_it_is(house, held, monkeypatch)
    wait_until(lambda: house.outside.delays)

    [worker] = house.gateway.processes("worker")
    os.kill(worker, signal.SIGKILL)
    house.outside.clear()  # what came in was never answered, so the next hop has not taken it
    wait_until(lambda: house.gateway.processes("worker") not in ([], [worker]))
    assert house.one(held)["state"] == "releasing"
    house.ask(
        "UPDATE store_job SET lease_until = '2000-01-01 00:00:00' WHERE kind = 'quarantine-release' AND state = 1"
    )

    got(house, to)
    house.wait(held, "released")
    assert len([one for one in house.outside.mails if to in one.recipients]) == 1


def test_a_database_that_is_away(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    away = "away@secret.example"
    with house.locked():
        answer = send(house.port, ANNA, [away], mail(ANNA, away))
        assert answer.end[0].startswith("451"), answer
    assert house.ask("SELECT COUNT(*) FROM store_quarantine WHERE recipient = ?", away) == [(0,)]

    to, held = house.hold()
    house.outside.data_delay_seconds = PATIENCE_SECONDS
    as_it_is(house, held, monkeypatch)
    wait_until(lambda: house.outside.delays)
    with house.locked():
        house.outside.answer()
        assert len([got(house, to)]) == 1
    house.wait(held, "released")
    assert len(house.outside.mails) == 1, "the commit was tried until it worked"


def test_an_identical_mail_is_held_anew(house: House) -> None:
    to, first = house.hold()
    house.hand_in(to, house.octets)
    assert [one["id"] for one in house.rows("list", "--recipient", to)][1:] == [first]


def test_what_was_approved_is_waived_and_nothing_else(house: House) -> None:
    """Nora has no certificate and her mail need not be encrypted, so it is DLP alone that holds it."""
    for name, word in (("project", "Nautilus"), ("client", "Albatros")):
        house.type("dlp", "pattern", "add", name, "--keyword", word, "--action", "quarantine")
    house.type("dlp", "assign", "project", "--domain", "out.example")
    house.gateway.wait_until_noticed()
    octets = mail(ANNA, NORA, body=b"Nautilus is for Albatros.\r\n", subject="Nautilus")
    house.hand_in(NORA, octets)
    [row] = house.rows("list", "--recipient", NORA)
    assert (row["why"], row["findings"]) == ("dlp", ["project (quarantine)"])
    assert "Nautilus" not in house.type("quarantine", "list", "--json") + house.type("log", "--recipient", NORA)
    shown = house.type("quarantine", "show", row["id"], "--json")
    assert "Nautilus" not in shown
    assert "Albatros" in shown, "nobody looks for it yet"

    house.type("dlp", "assign", "client", "--domain", "out.example")
    house.type("quarantine", "release", row["id"])
    wait_until(lambda: house.one(row["id"])["error"])
    [again] = house.rows("list", "--recipient", NORA)
    assert sorted(again["findings"]) == ["client (quarantine)", "project (quarantine)"]
    assert not house.outside.mails

    house.type("dlp", "pattern", "set", "project", "--keyword", "Nautilus", "--keyword", "for")
    house.type("quarantine", "release", row["id"])
    wait_until(lambda: house.one(row["id"])["releases"] == 2 and house.one(row["id"])["state"] == "held")
    assert not house.outside.mails, "what was approved is another revision of the pattern"

    house.type("quarantine", "release", row["id"])
    assert b"Nautilus is for Albatros." in got(house, NORA).octets
    house.wait(row["id"], "released")
    house.type("dlp", "unassign", "project", "client", "--domain", "out.example")


def test_released_encrypted_or_not_at_all(house: House) -> None:
    house.type("dlp", "pattern", "add", "colour", "--keyword", "vermilion", "--action", "quarantine")
    house.type("dlp", "assign", "colour", "--domain", "out.example")
    house.gateway.wait_until_noticed()
    held = {}
    for to in (NORA, OLGA):
        house.hand_in(to, mail(ANNA, to, body=b"vermilion\r\n"))
        [row] = house.rows("list", "--recipient", to)
        held[to] = row["id"]

    house.type("quarantine", "release", *held.values(), "--encrypt")

    octets = got(house, OLGA).octets
    assert b"vermilion" not in octets
    assert b"vermilion" in openssl.verify(openssl.decrypt(octets, people().olga), people().root)
    house.wait(held[OLGA], "released")
    wait_until(lambda: house.one(held[NORA])["state"] == "held")
    assert house.one(held[NORA])["error"]
    assert len(house.outside.mails) == 1
    house.type("quarantine", "delete", held[NORA], "--yes")
    house.type("dlp", "unassign", "colour", "--domain", "out.example")


def test_damaged_it_is_said_and_can_be_deleted(house: House) -> None:
    _, held = house.hold()
    house.ask(
        "DELETE FROM store_message_chunk WHERE message_id = (SELECT stored_id FROM store_quarantine WHERE id = ?)",
        UUID(held).hex,
    )
    assert f"1 held mail cannot be read: {held}" in house.check()
    house.type("quarantine", "show", held, status=75)

    house.type("quarantine", "delete", held, "--yes")
    assert "cannot be read" not in house.check()


def test_numbers(house: House) -> None:
    """Taken every 15 seconds, so most likely since the story began."""
    house.hold()

    def are_there() -> bool:
        with urllib.request.urlopen(house.gateway.metrics, timeout=PATIENCE_SECONDS) as page:
            told = page.read().decode()
        found = re.search(r'(?m)^mailseal_quarantine_mails\{why="must-encrypt-failed"\} (\S+)$', told)
        return found is not None and float(found[1]) >= 1

    wait_until(are_there, every=0.2)
