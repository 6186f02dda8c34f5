"""A database that is away, locked or read-only: everybody is told at once, and it is noticed when it is back."""

import gc
import logging
import shutil
import sqlite3
import sys
import threading
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from harness.small_disk import remount, small_disk
from mailseal.store import breaker, domains, transaction
from mailseal.store.breaker import BREAKER, Access, Breaker
from mailseal.store.configure import use
from mailseal.store.ledger import StoreLedger
from mailseal.store.models import Domain
from mailseal.store.transaction import StoreUnavailable, close_connection, connection, run, select, unit_of_work


@pytest.fixture(autouse=True)
def _closed(monkeypatch):
    monkeypatch.setattr(transaction, "UNIT_BOUND_SECONDS", 0.2)
    BREAKER.reset()
    yield
    BREAKER.reset()


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    made = Clock()
    monkeypatch.setattr(breaker, "time", made)
    return made


def test_one_probe_a_second(clock):
    one = Breaker()
    one.admit(Access.WRITE)
    one.failed(Access.WRITE, StoreUnavailable("full"))
    with pytest.raises(StoreUnavailable, match="full"):
        one.admit(Access.WRITE)
    one.admit(Access.READ)
    clock.now += breaker.PAUSE_SECONDS
    one.admit(Access.WRITE)
    with pytest.raises(StoreUnavailable):
        one.admit(Access.WRITE)  # somebody is asking
    one.failed(Access.WRITE, StoreUnavailable("full"))
    with pytest.raises(StoreUnavailable):
        one.admit(Access.WRITE)
    clock.now += breaker.PAUSE_SECONDS
    one.admit(Access.WRITE)
    one.worked(Access.WRITE)
    one.admit(Access.WRITE)
    one.admit(Access.WRITE)


def test_a_probe_that_fails_otherwise_or_never_ends_lets_the_next_one_ask(clock):
    one = Breaker()
    one.failed(Access.READ, StoreUnavailable("gone"))
    clock.now += breaker.PAUSE_SECONDS
    one.admit(Access.READ)
    one.undecided(Access.READ)
    one.admit(Access.READ)
    clock.now += breaker.PROBE_SECONDS
    one.admit(Access.READ)


def test_the_log_says_once_when_it_begins_and_when_it_is_over(clock, caplog):
    caplog.set_level(logging.INFO)
    one = Breaker()
    for _ in range(3):
        one.failed(Access.WRITE, StoreUnavailable("gone"))
        one.failed(Access.READ, StoreUnavailable("gone"))
        clock.now += 10
    one.worked(Access.READ)
    one.worked(Access.WRITE)
    one.worked(Access.READ)
    assert [record.getMessage() for record in caplog.records] == [
        "no write until the database is better: gone", "the database works again after 30 s",
    ]  # fmt: skip
    one.admit(Access.WRITE)


def test_reading_says_nothing_of_writing(clock):
    one = Breaker()
    one.failed(Access.WRITE, StoreUnavailable("full"))
    one.worked(Access.READ)
    with pytest.raises(StoreUnavailable):
        one.admit(Access.WRITE)


@contextmanager
def locked(engine):
    """Somebody else writes, and does not end."""
    if engine == "sqlite":
        with closing(sqlite3.connect(connection().settings_dict["NAME"], isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield
            other.execute("ROLLBACK")
        return
    ready, finish = threading.Event(), threading.Event()

    def hold():
        run(lambda: (Domain.objects.filter(name="a.test").update(internal=False), ready.set(), finish.wait()))
        close_connection()

    holder = threading.Thread(target=hold)
    holder.start()
    ready.wait()
    try:
        yield
    finally:
        finish.set()
        holder.join()


def touch():
    run(lambda: Domain.objects.filter(name="a.test").update(internal=True))


def test_a_lock_is_waited_for_once_and_reads_go_on(store, in_threads, monkeypatch, caplog):
    domains.add("a.test")
    monkeypatch.setattr(breaker, "PAUSE_SECONDS", 60.0)
    with locked(store), unit_of_work():
        with pytest.raises(StoreUnavailable):
            touch()
        asked = []
        persist = transaction._persist
        monkeypatch.setattr(
            transaction,
            "_persist",
            lambda *args, in_transaction: asked.append(in_transaction) or persist(*args, in_transaction=in_transaction),
        )

        def mail(number):
            with unit_of_work():
                assert StoreLedger().settled(b"x" * 32) == {}
                with pytest.raises(StoreUnavailable):
                    touch()

        in_threads(mail, 20)
        assert asked == [], "each waited for itself"
    monkeypatch.setattr(breaker, "PAUSE_SECONDS", 0.0)
    BREAKER.failed(Access.WRITE, StoreUnavailable("locked"))  # the probe is due now
    with unit_of_work():
        touch()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("no write until")
    assert said[1].startswith("the database works again")


def test_a_command_has_patience(store):
    domains.add("a.test")
    with locked(store):
        results = []

        def command():
            touch()
            results.append("done")
            close_connection()

        thread = threading.Thread(target=command)
        thread.start()
        thread.join(1.2)
        assert results == []
    thread.join()
    assert results == ["done"]


def test_a_read_only_server_takes_no_write_and_is_asked_again(store, request, monkeypatch):
    if store != "mariadb":
        pytest.skip("of MariaDB")
    monkeypatch.setattr(breaker, "PAUSE_SECONDS", 0.0)
    server = request.getfixturevalue("mariadb")
    domains.add("a.test")
    with server.connect() as root, root.cursor() as cursor:
        cursor.execute("SET GLOBAL read_only=1")
        try:
            with unit_of_work():
                with pytest.raises(StoreUnavailable, match="1290"):
                    touch()
                assert select("SELECT name FROM store_domain", ()) == (("a.test",),)
        finally:
            cursor.execute("SET GLOBAL read_only=0")
    with unit_of_work():
        touch()


def test_a_server_that_is_killed_again_and_again_leaves_no_connection(store, request, monkeypatch, in_threads):
    if store != "mariadb":
        pytest.skip("of MariaDB")
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # PyMySQL leaves a failed connect to the collector
    monkeypatch.setattr(breaker, "PAUSE_SECONDS", 0.0)
    server = request.getfixturevalue("mariadb")
    domains.add("a.test")

    def descriptors():
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    for _ in range(2):
        server.kill()

        def mail(number):
            for _ in range(10):
                with unit_of_work(), pytest.raises(StoreUnavailable):
                    StoreLedger().settled(b"x" * 32)

        in_threads(mail, 4)
        server.start()
        with unit_of_work():
            touch()
    assert descriptors() <= before
    with server.connect() as root, root.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'mailseal'")
        assert cursor.fetchone() == (1,)


def test_a_frozen_server_is_given_up(store, request, monkeypatch):
    if store != "mariadb":
        pytest.skip("of MariaDB")
    server = request.getfixturevalue("mariadb")
    domains.add("a.test")
    options = connection().settings_dict["OPTIONS"]
    for name in ("read_timeout", "write_timeout", "connect_timeout"):
        assert options[name] <= 10
        monkeypatch.setitem(options, name, 1)
    close_connection()
    touch()
    server.freeze()
    try:
        with unit_of_work(), pytest.raises(StoreUnavailable):
            touch()
        monkeypatch.setattr(transaction, "_persist", None)  # nobody asks it
        with unit_of_work(), pytest.raises(StoreUnavailable):
            touch()
        monkeypatch.undo()
    finally:
        server.thaw()
        close_connection()
    touch()


def test_a_file_that_was_moved_is_not_written_to_and_works_when_it_is_back(store, monkeypatch, in_threads):
    if store != "sqlite":
        pytest.skip("of SQLite")
    monkeypatch.setattr(breaker, "PAUSE_SECONDS", 0.0)
    path = Path(connection().settings_dict["NAME"])
    elsewhere = path.with_name("elsewhere.db")
    domains.add("a.test")
    with unit_of_work():
        touch()
    path.rename(elsewhere)
    try:
        for work in (touch, lambda: StoreLedger().settled(b"x" * 32)):
            with unit_of_work(), pytest.raises(StoreUnavailable, match="cannot be opened"):
                work()
    finally:
        elsewhere.rename(path)
    with unit_of_work():
        touch()
    assert not elsewhere.exists()


def test_a_read_only_file_system_takes_no_write_and_is_asked_again(store, tmp_path, monkeypatch):
    if store != "sqlite":
        pytest.skip("of SQLite")
    monkeypatch.setattr(breaker, "PAUSE_SECONDS", 0.0)
    path = Path(connection().settings_dict["NAME"])
    close_connection()
    with small_disk(tmp_path, path.stat().st_size + (8 << 20)) as mounted:
        if not mounted:
            pytest.skip("no right to mount")
        shutil.copy(path, tmp_path / "mailseal.db")
        use(f"sqlite://{tmp_path}/mailseal.db", node="mx1")
        with unit_of_work():
            domains.add("a.test")
            close_connection()
            remount(tmp_path, "ro")
            with pytest.raises(StoreUnavailable):
                touch()
            remount(tmp_path, "rw")
            touch()
        close_connection()
