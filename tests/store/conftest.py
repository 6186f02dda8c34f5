"""Every store test runs on SQLite and on a private MariaDB, with empty tables."""

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connections

from harness.folder import short_folder
from harness.mariadb import MariaDb, installed
from mailseal.keys.sealing import Kek
from mailseal.store import with_libraries  # noqa: F401 -- their tables, before a test module names them
from mailseal.store.certificates import StoreCertificates
from mailseal.store.configure import migrate, use
from mailseal.store.directory import StoreDirectory
from mailseal.store.pgp_certificates import StorePgpCertificates
from mailseal.store.stamps import Scope, StampWatch
from mailseal.store.transaction import close_connection, connection
from pki import NOW

APPS = ("usersessions", "sessions", "mfa", "socialaccount", "account", "accounts", "store")
"""Children before parents."""


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDb]:
    if not installed():
        pytest.skip("mariadb-server is not installed")
    server = MariaDb()
    yield server
    close_connection()
    server.stop()


@pytest.fixture(scope="session")
def _sqlite_folder() -> Iterator[Path]:
    with short_folder("store") as folder:
        yield folder


@pytest.fixture(scope="session", params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def engine(request) -> str:
    """One of the two databases, migrated once by each process; its tests run together (with xdist, those of a file)."""
    if request.param not in _places:
        if request.param == "sqlite":
            place = (f"sqlite://{request.getfixturevalue('_sqlite_folder')}/mailseal.db", None)
        else:
            server = request.getfixturevalue("mariadb")
            place = (server.url, server.password)
        use(*place, node="mx1")
        migrate()
        _places[request.param] = place
    return request.param


_places: dict[str, tuple[str, str | None]] = {}


@pytest.fixture
def store(engine) -> Iterator[str]:
    """Empty tables; the name of the engine."""
    use(*_places[engine], node="mx1")  # other tests of the same run may have used another database
    with connection().cursor() as cursor:
        for app in APPS:
            for model in reversed(list(apps.get_app_config(app).get_models())):  # children before parents
                cursor.execute(f"DELETE FROM {model._meta.db_table}")
    yield engine
    connections.close_all()


@pytest.fixture(scope="session")
def kek() -> Kek:
    return Kek(b"k" * 32)


@pytest.fixture
def directory(store) -> StoreDirectory:
    return StoreDirectory()


@pytest.fixture
def certificates(store, kek) -> StoreCertificates:
    return StoreCertificates(kek)


@pytest.fixture
def pgp(store, kek) -> StorePgpCertificates:
    return StorePgpCertificates(kek, now=lambda: NOW)


@pytest.fixture
def watch(directory, certificates, pgp) -> StampWatch:
    return StampWatch({Scope.SETTINGS: [directory.clear], Scope.KEYS: [certificates.clear, pgp.clear]})


@pytest.fixture
def in_threads(store):
    """Run a function in n threads at once; their results. An exception in one of them is raised."""

    def run_all(work, count: int) -> list:
        gate = threading.Barrier(count)
        results: list = []
        errors: list[Exception] = []

        def body(number: int) -> None:
            try:
                gate.wait()
                results.append(work(number))
            except Exception as error:  # noqa: BLE001 -- raised again below, in the test's own thread
                errors.append(error)
            finally:
                close_connection()

        threads = [threading.Thread(target=body, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return results

    return run_all


@pytest.fixture
def meanwhile(store) -> Callable[..., contextlib.AbstractContextManager[list]]:
    """Have another thread do something in the very moment before this one first says `sql…` to the database (or the
    time after so many).

    with meanwhile("INSERT INTO store_node", nodes.beat) as results: ...

    The other one may have to wait for this one's transaction, so after half a second this one goes on. Results: what
    the other one returned or raised, once the block has ended.
    """

    @contextlib.contextmanager
    def beside(sql: str, work: Callable[[], object], *, after: int = 0) -> Iterator[list]:
        results: list = []
        times = iter(range(after, -1, -1))

        def body() -> None:
            try:
                results.append(work())
            except Exception as error:  # noqa: BLE001 -- for the test to look at
                results.append(error)
            finally:
                close_connection()

        other = threading.Thread(target=body)

        def watch(execute, said, *rest):
            if re.sub('[`"]', "", said).startswith(sql) and next(times, None) == 0:
                other.start()
                other.join(0.5)
            return execute(said, *rest)

        with connection().execute_wrapper(watch):
            yield results
        other.join()

    return beside
