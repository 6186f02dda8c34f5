"""The database or a disk fails under a running gateway: mail waits (451), and flows again without a restart.

MAILSEAL_TEST_OUTAGE_SECONDS=60 makes the outages as long as the long form wants them.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest

from harness import openssl
from harness.client import Client
from harness.folder import short_folder
from harness.gateway import Gateway
from harness.mail import CANARY, entity, envelope_header, mail
from harness.mariadb import MariaDb, installed
from harness.sink import Sink
from harness.small_disk import fill, small_disk
from harness.waiting import PATIENCE_SECONDS, wait_until
from pki import Authority

ANNA, BERT, OLGA = "anna@alpha.example", "bert@alpha.example", "olga@out.example"
OUTAGE_SECONDS = float(os.environ.get("MAILSEAL_TEST_OUTAGE_SECONDS", "1"))
MIB = 1 << 20


class Database(Protocol):
    """One that can be made to fail."""

    tables: dict[str, str]

    def gone(self) -> contextlib.AbstractContextManager[None]: ...
    def takes_no_writes(self) -> contextlib.AbstractContextManager[None]: ...
    def execute(self, sql: str) -> None: ...


class SqliteFile:
    """In a folder of its own, a small disk where this process may mount one."""

    def __init__(self, folder: Path, *, mounted: bool) -> None:
        self.folder, self.mounted = folder, mounted
        self.path = folder / "mailseal.db"
        self.tables = {"url": f"sqlite://{self.path}"}

    @contextlib.contextmanager
    def gone(self) -> Iterator[None]:
        away = self.path.with_name("away")
        self.path.rename(away)
        try:
            yield
        finally:
            away.rename(self.path)

    @contextlib.contextmanager
    def takes_no_writes(self) -> Iterator[None]:
        if not self.mounted:
            pytest.skip("no right to mount a small disk")
        filler = self.folder / "filler"
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what is written next needs room
        fill(filler)
        try:
            yield
        finally:
            filler.unlink()

    def execute(self, sql: str) -> None:
        with closing(sqlite3.connect(self.path, isolation_level=None, timeout=PATIENCE_SECONDS)) as connection:
            connection.execute(sql).fetchall()


class MariaServer:
    def __init__(self, server: MariaDb) -> None:
        self.server = server
        self.tables = {"url": server.url, "password": server.password}

    @contextlib.contextmanager
    def gone(self) -> Iterator[None]:
        self.server.kill()
        try:
            yield
        finally:
            self.server.start()

    @contextlib.contextmanager
    def takes_no_writes(self) -> Iterator[None]:
        self.execute("SET GLOBAL read_only=1")
        try:
            yield
        finally:
            self.execute("SET GLOBAL read_only=0")

    def execute(self, sql: str) -> None:
        with self.server.connect(database="mailseal") as root, root.cursor() as cursor:
            cursor.execute(sql)


@dataclass
class Place:
    gateway: Gateway
    database: Database
    inside: Sink
    outside: Sink
    anna: object
    olga: object
    workers: list[int]

    def reply(self, recipients: list[str], octets: bytes, sender: str = ANNA) -> tuple[str, ...]:
        """The first three digits for each recipient, by the socket for this sender."""
        name = "lmtp-authorised" if sender.endswith("@alpha.example") else "lmtp-outside"
        with Client(path=self.gateway.data / "run" / name, lmtp=True) as client:
            return tuple(one[:3] for one in client.send(sender, recipients, octets).end)

    def until_taken(self, recipients: list[str], octets: bytes, sender: str = ANNA) -> None:
        """Again and again for those who were deferred, as Postfix does."""
        waiting = list(recipients)

        def is_taken() -> bool:
            replies = self.reply(waiting, octets, sender)
            assert set(replies) <= {"250", "451"}, replies
            waiting[:] = [one for one, code in zip(waiting, replies, strict=True) if code == "451"]
            return not waiting

        wait_until(is_taken, self.gateway.said, every=0.1)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    now = datetime.now(UTC).replace(microsecond=0)
    span = {"not_before": now - timedelta(days=1), "not_after": now + timedelta(days=300)}
    root = Authority("Faults Root", **span)
    anna, olga = (root.issue(address, key="p256", **span) for address in (ANNA, OLGA))
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(short_folder("faults"))
        inside, outside = stack.enter_context(Sink()), stack.enter_context(Sink())
        database: Database
        if request.param == "sqlite":
            (folder / "db").mkdir()
            database = SqliteFile(folder / "db", mounted=stack.enter_context(small_disk(folder / "db", 40 * MIB)))
        else:
            if not installed():
                pytest.skip("mariadb-server is not installed")
            server = MariaDb()
            stack.callback(server.stop)
            database = MariaServer(server)
        gateway = Gateway(
            folder / "mailseal",
            top={"workers": 1, "threads": 1},
            database=database.tables,
            relay={name: f"smtp://127.0.0.1:{sink.port}" for name, sink in (("inside", inside), ("outside", outside))},
        )
        stack.enter_context(gateway)
        gateway.init("alpha.example")
        gateway.import_roots(root)
        gateway.import_certificates([olga], own=[anna])
        gateway.start()
        yield Place(gateway, database, inside, outside, anna, olga, gateway.processes("mail"))


@pytest.fixture(autouse=True)
def _unharmed(place: Place) -> Iterator[None]:
    """Whatever the fault was: the same worker goes on, and nothing was ever seen in clear."""
    for sink in (place.inside, place.outside):
        sink.clear()
    yield
    assert place.gateway.processes("mail") == place.workers, place.gateway.said()
    assert all(CANARY not in one.octets for one in place.outside.mails)


def test_the_database_is_gone_for_a_while(place: Place) -> None:
    assert place.reply([BERT], mail(ANNA, BERT)) == ("250",)  # its connection is open
    place.inside.clear()
    octets = mail(ANNA, f"{BERT}, {OLGA}")
    with place.database.gone():
        until = time.monotonic() + OUTAGE_SECONDS
        while time.monotonic() < until:
            assert place.reply([BERT, OLGA], octets) == ("451", "451")
            time.sleep(OUTAGE_SECONDS / 10)
        assert not place.inside.mails + place.outside.mails
        check = place.gateway.run("check")
        assert check.returncode == 1
        assert "database" in check.stdout

    place.until_taken([BERT, OLGA], octets)

    assert [one.recipients for one in place.inside.wait(1)] == [(BERT,)]
    assert [one.recipients for one in place.outside.wait(1)] == [(OLGA,)]
    assert openssl.can_decrypt(place.outside.mails[0].octets, place.olga)
    place.gateway.wait_until_said("until the database is better")
    place.gateway.wait_until_said("the database works again")
    place.gateway.wait_for_log(2, "--fate", "relayed")


def test_the_database_takes_no_writes_for_a_while(place: Place) -> None:
    """A mail of several effects has one, and waits with the others: that one could not be accounted for."""
    with place.database.takes_no_writes():
        until = time.monotonic() + OUTAGE_SECONDS
        while time.monotonic() < until:
            assert place.reply([BERT], mail(ANNA, BERT)) == ("250",)
            time.sleep(OUTAGE_SECONDS / 10)
        place.inside.clear()
        octets = mail(ANNA, f"{BERT}, {OLGA}")
        first = place.reply([BERT, OLGA], octets)
        assert sorted(first) == ["250", "451"]
        copies = place.inside.mails + place.outside.mails
        assert len(copies) == 1
    rest = [one for one, code in zip((BERT, OLGA), first, strict=True) if code == "451"]
    place.until_taken(rest, octets)
    place.inside.wait(1)
    place.outside.wait(1)
    assert [one.recipients for one in place.inside.mails + place.outside.mails] == [(BERT,), (OLGA,)]
    both = mail(ANNA, f"{BERT}, {OLGA}")
    wait_until(lambda: place.reply([BERT, OLGA], both) == ("250", "250"), place.gateway.said)


def test_a_sealed_row_is_corrupt(place: Place) -> None:
    """Mail that needs that key waits, all other mail goes on, check names the row; the key imported again mends it."""
    spki = place.anna.certificate.spki_sha256
    sealed = "CONCAT(LEFT(sealed, LENGTH(sealed) - 1), 'x')"
    if isinstance(place.database, SqliteFile):
        sealed = "CAST(substr(sealed, 1, length(sealed) - 1) || 'x' AS BLOB)"
    place.database.execute(f"UPDATE store_private_key SET sealed = {sealed} WHERE spki_sha256 = '{spki}'")
    place.database.execute("UPDATE store_stamp SET value = value + 1 WHERE scope = 'keys'")  # no cache has it any more
    encrypted = envelope_header(OLGA, ANNA) + openssl.encrypt(entity(), [place.anna])
    wait_until(lambda: place.reply([ANNA], encrypted, OLGA) == ("451",))

    assert place.reply([OLGA], mail(ANNA, OLGA)) == ("451",)
    assert place.reply([OLGA], mail(BERT, OLGA), BERT) == ("250",)
    check = place.gateway.run("check")
    assert check.returncode == 1
    assert spki[:16] in check.stdout

    place.gateway.import_certificates([place.olga], own=[place.anna])
    place.until_taken([ANNA], encrypted, OLGA)
    place.until_taken([OLGA], mail(ANNA, OLGA))


def test_the_disk_of_the_journal_is_full(place: Place) -> None:
    """No copy leaves whose outcome could not be written down."""
    journal = place.gateway.data / "journal"
    octets = mail(ANNA, OLGA)
    with small_disk(journal, 3 * MIB) as mounted:
        if not mounted:
            pytest.skip("no right to mount a small disk")
        fill(journal / "filler")
        for _ in range(3):
            assert place.reply([OLGA], octets) == ("451",)
        assert not place.outside.mails
        assert "is full: no mail is taken" in " ".join(place.gateway.run("check").stdout.split())
        (journal / "filler").unlink()
        place.until_taken([OLGA], octets)
        [message_id] = place.outside.wait(1)[0].fields("Message-ID")
        place.gateway.wait_for_log(1, "--message-id", message_id)
    place.gateway.wait_until_said("no mail is taken: the journal")
    place.until_taken([OLGA], mail(ANNA, OLGA))
