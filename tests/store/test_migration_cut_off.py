"""A migration that is cut off at any statement is finished by the next `mailseal init`; two at once do it once."""

import contextlib
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.apps import apps
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.db.utils import DatabaseError

from mailseal.store import (
    pending_migrations,
    schema_changes,
    with_libraries,  # noqa: F401 -- the libraries' tables too
)
from mailseal.store.configure import migrate, use
from mailseal.store.schema_changes import OtherTablesError
from mailseal.store.transaction import StoreUnavailable, connection

SEED = random.SystemRandom().randrange(10**6)


@pytest.fixture
def finished(store):
    """The tables as an undisturbed run made them."""
    return tables()


@pytest.fixture
def empty(finished, engine, tmp_path, request):
    """A database of its own without a table; (url, password)."""
    back = connection().settings_dict
    connection().close()
    if engine == "sqlite":
        place = (f"sqlite://{tmp_path}/fresh.db", None)
    else:
        server = request.getfixturevalue("mariadb")
        with server.connect() as root, root.cursor() as cursor:
            cursor.execute("DROP DATABASE IF EXISTS cut_off")
            cursor.execute("CREATE DATABASE cut_off")
            cursor.execute("GRANT ALL ON cut_off.* TO mailseal@localhost")
        place = (server.url.replace("/mailseal?", "/cut_off?"), server.password)
    use(*place, node="mx1")
    yield place
    connection().close()
    if engine == "sqlite":
        use(f"sqlite://{back['NAME']}", node="mx1")
    else:
        use(server.url, server.password, node="mx1")


def tables() -> list:
    """Everything that the migrations made, as the database tells it."""
    with connection().cursor() as cursor:
        if connection().vendor == "sqlite":
            cursor.execute("SELECT type, tbl_name, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
            return sorted(map(str, cursor.fetchall()))
        cursor.execute("SHOW TABLES")
        names = sorted(name for (name,) in cursor.fetchall())
        made = []
        for name in names:
            cursor.execute(f"SHOW CREATE TABLE `{name}`")
            text = re.sub(r" AUTO_INCREMENT=\d+", "", cursor.fetchone()[1])  # there where rows have been
            made += [name, *sorted(line.rstrip(",") for line in text.splitlines())]
        return made


class CutOff(BaseException):
    """As kill -9: nobody catches it."""


def cut_off_after(statements: int, monkeypatch) -> bool:
    """Migrate until so many statements are done (or all: then it says False)."""
    editor = type(connection()).SchemaEditorClass
    real, left = editor.execute, [statements]

    def execute(self, sql, params=()):
        real(self, sql, params)
        left[0] -= 1
        if left[0] == 0:
            raise CutOff

    with monkeypatch.context() as patch:
        patch.setattr(editor, "execute", execute)
        try:
            migrate()
        except CutOff:
            return True
    return False


def test_cut_off_at_any_statement_it_is_finished_by_the_next_run(empty, finished, monkeypatch):
    chosen = random.Random(SEED)
    if connection().vendor == "sqlite":
        cuts = chosen.sample(range(1, 60), 5)
        for statements in cuts:
            assert cut_off_after(statements, monkeypatch)
            assert tables() == [], "not wholly or not at all"
        migrate()
    else:
        cuts = [chosen.randint(5, 15)]
        while cut_off_after(cuts[-1], monkeypatch):
            cuts.append(chosen.randint(5, 15))
    print(f"seed {SEED}: cut off after {cuts} statements")
    assert len(cuts) > 2
    assert pending_migrations() == ()
    assert tables() == finished


def test_cut_off_before_it_was_noted_it_is_not_done_twice(empty, finished, monkeypatch):
    def forget(self, migration):
        raise CutOff

    with monkeypatch.context() as patch:
        patch.setattr(MigrationExecutor, "record_migration", forget)
        with pytest.raises(CutOff):
            migrate()
    assert pending_migrations()
    migrate()
    assert pending_migrations() == ()
    assert tables() == finished


def test_the_migrations_are_what_the_models_and_the_libraries_say():
    loader = MigrationLoader(None)
    changes = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps)).changes(graph=loader.graph)
    assert changes == {}


def test_a_table_of_somebody_else_is_not_taken_for_ours(empty):
    if connection().vendor == "sqlite":
        Path(connection().settings_dict["NAME"]).touch()
    with connection().cursor() as cursor:
        cursor.execute("CREATE TABLE store_domain (id CHAR(32) PRIMARY KEY, name VARCHAR(255), colour INTEGER)")
    for _ in range(2):
        with pytest.raises((OtherTablesError, DatabaseError), match=r"store_domain.* already"):
            migrate()
    assert "store.0001_initial" in pending_migrations()


def test_an_index_of_our_name_on_other_columns_is_not_taken_for_ours(empty, monkeypatch):
    if connection().vendor == "sqlite":
        pytest.skip("one transaction: there is never half of a migration")
    assert not cut_off_after(10**6, monkeypatch)
    with connection().cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE name <> '0001_initial'")
        cursor.execute("DROP INDEX store_certificate_harvested ON store_certificate")
        cursor.execute("CREATE INDEX store_certificate_harvested ON store_certificate (trusted)")
        cursor.execute("ALTER TABLE store_node DROP COLUMN keks")
    with pytest.raises(OtherTablesError, match="store_certificate_harvested"):
        migrate()
    assert "store.0002_harvested" in pending_migrations()


_RUN = """
import sys
from mailseal.store.configure import migrate, use
use(sys.argv[1], sys.argv[2])
print("begun", flush=True)
migrate()
"""


def start(place) -> subprocess.Popen:
    url, password = place
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", _RUN, url, password or ""], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )


def test_killed_at_a_random_moment_it_is_finished_by_the_next_run(empty, finished):
    child = start(empty)
    assert child.stdout.readline() == "begun\n"
    time.sleep(random.Random(SEED).uniform(0, 0.2))
    child.send_signal(signal.SIGKILL)
    child.communicate()
    migrate()
    assert pending_migrations() == ()
    assert tables() == finished, f"seed {SEED}"


def test_two_at_once(empty, finished):
    children = [start(empty) for _ in range(2)]
    said = [child.communicate()[1] for child in children]
    assert [child.returncode for child in children] == [0, 0], said
    assert pending_migrations() == ()
    assert tables() == finished


@contextlib.contextmanager
def used(request):
    """Somebody writes, or keeps a table for himself, and does not end."""
    if connection().vendor == "sqlite":
        with contextlib.closing(sqlite3.connect(connection().settings_dict["NAME"], isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
        return
    with request.getfixturevalue("mariadb").connect(database="cut_off") as root, root.cursor() as cursor:
        cursor.execute("LOCK TABLES store_node WRITE")
        yield


def test_one_that_waits_in_vain_says_so(empty, request, monkeypatch):
    monkeypatch.setattr(schema_changes, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(schema_changes, "TABLE_WAIT_SECONDS", 1)
    cut_off_after(75, monkeypatch)
    with used(request), pytest.raises(StoreUnavailable, match=r"1205|locked"):
        migrate()
    migrate()
    assert pending_migrations() == ()
