import gc
import sqlite3
import subprocess
import sys
import threading
import time

import pymysql
import pytest
from django.db.utils import OperationalError

from harness.waiting import PATIENCE_SECONDS
from mailseal.errors import TransientError
from mailseal.store import domains, ledger, transaction
from mailseal.store.breaker import BREAKER
from mailseal.store.configure import use
from mailseal.store.directory import StoreDirectory
from mailseal.store.models import Domain
from mailseal.store.transaction import (
    StoreUnavailable,
    Trouble,
    classify,
    close_connection,
    connection,
    read,
    run,
    select,
    unit_of_work,
)


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (OperationalError(1213, "Deadlock found"), Trouble.CONFLICT),
        (OperationalError(1205, "Lock wait timeout"), Trouble.CONFLICT),
        (OperationalError("database is locked"), Trouble.CONFLICT),
        (sqlite3.OperationalError("database table is locked"), Trouble.CONFLICT),
        (pymysql.err.OperationalError(2006, "gone away"), Trouble.LOST),
        (pymysql.err.InterfaceError(0, ""), Trouble.LOST),
        (OperationalError(2013, "Lost connection"), Trouble.LOST),
        (OperationalError(1047, "WSREP has not yet prepared node"), Trouble.AWAY),
        (OperationalError(1180, "Got error 5 during COMMIT"), Trouble.AWAY),
        (OperationalError(2003, "Can't connect"), Trouble.AWAY),
        (OperationalError("disk I/O error"), Trouble.AWAY),
        (OperationalError("attempt to write a readonly database"), Trouble.AWAY),
        (OperationalError("database or disk is full"), Trouble.AWAY),
        (OperationalError("locking protocol"), Trouble.CONFLICT),
        (OperationalError(1290, "running with the --read-only option"), Trouble.AWAY),
        (OperationalError(1836, "Running in read-only mode"), Trouble.AWAY),
        (OperationalError(1114, "The table is full"), Trouble.AWAY),
        (OperationalError(1054, "Unknown column"), Trouble.BUG),
        (OperationalError('near "x": syntax error'), Trouble.BUG),
    ],
)
def test_what_an_error_means(error, trouble):
    assert classify(error) is trouble


def test_a_conflict_runs_the_whole_transaction_again(store):
    runs = []

    def work():
        runs.append(Domain.objects.count())
        Domain.objects.create(name=f"d{len(runs)}.test")
        if len(runs) < 3:
            raise OperationalError(1213, "Deadlock found when trying to get lock")
        return "done"

    assert run(work) == "done"
    assert runs == [0, 0, 0]
    assert list(Domain.objects.values_list("name", flat=True)) == ["d3.test"]


def test_a_lasting_conflict_is_unavailable(store):
    def work():
        raise OperationalError("database is locked")

    with pytest.raises(StoreUnavailable) as caught:
        run(work, bound_seconds=0.1)
    assert isinstance(caught.value, TransientError)


def test_a_mistake_of_ours_is_not_tried_again(store):
    runs = []

    def work():
        runs.append(1)
        raise OperationalError(1054, "Unknown column")

    with pytest.raises(OperationalError):
        run(work)
    assert runs == [1]


def test_inside_another_transaction_it_joins(store):
    def inner():
        Domain.objects.create(name="b.test")
        raise ValueError

    def outer():
        Domain.objects.create(name="a.test")
        run(inner)

    with pytest.raises(ValueError):
        run(outer)
    assert Domain.objects.count() == 0


def test_a_connection_lost_before_the_commit_is_replaced(store):
    runs = []

    def work():
        runs.append(1)
        if len(runs) == 1:
            raise OperationalError(2006, "Server has gone away")
        return len(runs)

    assert run(work) == 2


def test_a_connection_lost_at_the_commit_is_not_repeated(store, monkeypatch):
    runs = []

    def lose():
        raise OperationalError(2013, "Lost connection during commit")

    with monkeypatch.context() as patch:
        patch.setattr(connection(), "_commit", lose)
        with pytest.raises(StoreUnavailable):
            run(lambda: runs.append(1))
    assert runs == [1]


def test_real_deadlocks_are_survived(store, in_threads):
    for name in ("a.test", "b.test"):
        domains.add(name)

    def swap(number):
        names = ["a.test", "b.test"] if number % 2 else ["b.test", "a.test"]

        def work():
            for name in names:
                Domain.objects.filter(name=name).update(internal=bool(number % 2))
                time.sleep(0.01)

        run(work)
        return number

    assert sorted(in_threads(swap, 4)) == [0, 1, 2, 3]


def test_a_locked_sqlite_file_is_unavailable(store, monkeypatch):
    if store != "sqlite":
        pytest.skip("of SQLite")
    path = connection().settings_dict["NAME"]
    close_connection()
    monkeypatch.setitem(connection().settings_dict["OPTIONS"], "timeout", 0.05)
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            run(lambda: Domain.objects.create(name="a.test"), bound_seconds=0.3)
        assert read(Domain.objects.count) == 0
        other.execute("ROLLBACK")
    other.close()
    run(lambda: Domain.objects.create(name="a.test"))
    close_connection()


def test_a_locked_row_is_unavailable(store, monkeypatch):
    if store != "mariadb":
        pytest.skip("of MariaDB")
    domains.add("a.test")
    started, finish = threading.Event(), threading.Event()

    def hold():
        def work():
            Domain.objects.filter(name="a.test").update(internal=False)
            started.set()
            finish.wait()

        run(work)
        close_connection()

    holder = threading.Thread(target=hold)
    holder.start()
    started.wait()
    with connection().cursor() as cursor:
        cursor.execute("SET SESSION innodb_lock_wait_timeout=1")
    try:
        with pytest.raises(StoreUnavailable, match="1205"):
            run(lambda: Domain.objects.filter(name="a.test").update(internal=True), bound_seconds=0.5)
    finally:
        finish.set()
        holder.join()


@pytest.fixture
def failed_connects(monkeypatch):
    """PyMySQL leaves the socket of a failed connect to the garbage collector, which warns of it."""
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    yield
    gc.collect()


@pytest.mark.usefixtures("failed_connects")
def test_a_killed_server_is_unavailable_and_comes_back(store, request):
    if store != "mariadb":
        pytest.skip("of MariaDB")
    server = request.getfixturevalue("mariadb")
    domains.add("a.test")
    server.kill()
    try:
        with pytest.raises(StoreUnavailable):
            domains.add("b.test")
        with pytest.raises(StoreUnavailable):
            StoreDirectory().party(None)
        with pytest.raises(StoreUnavailable):
            ledger.StoreLedger().settled(b"x" * 32)
        with unit_of_work():
            pass
    finally:
        server.start()
    assert [one.name for one in domains.list_domains()] == ["a.test"]
    server.kill()
    server.start()
    # The first statement on the dead connection finds the server back: nobody notices.
    assert select("SELECT name FROM store_domain", ()) == (("a.test",),)
    domains.add("c.test")
    server.kill()
    server.start()
    domains.add("d.test")
    assert len(domains.list_domains()) == 3


def test_a_database_without_tables_says_what_to_do(engine, tmp_path):
    if engine != "sqlite":
        pytest.skip("of SQLite")
    path = connection().settings_dict["NAME"]
    fresh = tmp_path / "empty.db"
    try:
        use(f"sqlite://{fresh}")
        with pytest.raises(StoreUnavailable, match="mailseal init"):
            domains.list_domains()
        assert not fresh.exists(), "looking must not make a database"
        fresh.touch()
        with pytest.raises(StoreUnavailable, match="mailseal init"):
            domains.list_domains()
        with pytest.raises(StoreUnavailable, match="mailseal init"):
            StoreDirectory().party(None)
    finally:
        close_connection()
        use(f"sqlite://{path}")


def test_mysql_is_imported_for_mysql_alone():
    code = (
        "import sys\nfrom mailseal.store.configure import use\nfrom mailseal.store import transaction\n"
        "use('sqlite:///nowhere')\nassert 'pymysql' not in sys.modules\n"
        "use('mysql://u@localhost/x')\nassert 'pymysql' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_table_that_is_being_changed_is_not_waited_for_long(store, request, monkeypatch):
    if store != "mariadb":
        pytest.skip("of MariaDB")
    monkeypatch.setattr(transaction, "UNIT_BOUND_SECONDS", 0.5)
    domains.add("a.test")
    with request.getfixturevalue("mariadb").connect(database="mailseal") as root, root.cursor() as cursor:
        cursor.execute("LOCK TABLES store_domain WRITE")  # as ALTER TABLE, or a dump, does
        began = time.monotonic()
        with unit_of_work(), pytest.raises(StoreUnavailable, match="1205"):
            run(lambda: Domain.objects.update(internal=False))
        assert time.monotonic() - began < PATIENCE_SECONDS  # MariaDB's own limit is a day
        BREAKER.reset()
        cursor.execute("UNLOCK TABLES")
    run(lambda: Domain.objects.update(internal=False))
