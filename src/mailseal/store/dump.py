"""Dumps the database from one consistent snapshot, page by page, while mail goes on.

SQLite: a read transaction, which in WAL neither blocks a writer nor sees what it writes. MariaDB: START TRANSACTION
WITH CONSISTENT SNAPSHOT at REPEATABLE READ (its manual, "START TRANSACTION").
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import load_backend

from mailseal import __version__
from mailseal.store.configure import database_settings, this_node
from mailseal.store.dump_format import ENCODE, Head, Sum, Table, end_line, head_line, row_line, table_line
from mailseal.store.row import utc_now
from mailseal.store.schema import applied, last_of, schema
from mailseal.store.trouble import StoreUnavailable, driver_trouble

PAGE_ROWS = 500
PAGE_ROWS_OF = {"store_message_chunk": 8}
"""Where a row may have a MiB."""
PATIENCE_SECONDS = 3600
PASSING_TABLES = frozenset({"store_console_parcel", "store_console_chunk"})
"""What is gone after ten minutes, uploads and their passwords among it: never in a dump."""
LOG_TABLES = frozenset({"store_log", "store_log_queue"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a database is, as `configure.use` takes it."""

    url: str
    password: str | None = None

    def __repr__(self) -> str:
        return f"Place({self.url!r})"


@contextmanager
def snapshot(place: Place) -> Iterator[BaseDatabaseWrapper]:
    """A connection of its own that sees the database as it is now, for as long as it is used; StoreUnavailable."""
    database = _separate(place)
    try:
        with driver_trouble():
            with database.cursor() as cursor:
                if database.vendor == "sqlite":
                    cursor.execute("PRAGMA query_only=ON")
                    cursor.execute("BEGIN")
                else:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                    cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
                cursor.execute("SELECT 1 FROM django_migrations")  # SQLite's snapshot begins with the first read
            yield database
    finally:
        database.close()


class Dump:
    """The dump of one snapshot. `head` is worked out at once; `sums` is whole when `lines` is exhausted."""

    def __init__(self, database: BaseDatabaseWrapper, *, without: Collection[str] = ()) -> None:
        """`without`: tables whose rows are left out. Raises StoreUnavailable, NewerDumpError."""
        self._database = database
        left_out = PASSING_TABLES.union(without)
        with driver_trouble():
            migrations = last_of(applied(database))
            tables = tuple(
                Table(one.name, one.columns, 0 if one.name in left_out else _count(database, one.name))
                for one in schema(migrations)
            )
        self.head = Head(__version__, migrations, this_node(), utc_now(), tables)
        self.sums = {table.name: Sum() for table in tables}

    def lines(self) -> Iterator[bytes]:
        """The dump, a line at a time; raises StoreUnavailable."""
        digest = hashlib.sha256()
        for line in self._lines():
            digest.update(line)
            yield line
        yield end_line(self.sums, digest.hexdigest())

    def _lines(self) -> Iterator[bytes]:
        yield head_line(self.head)
        for table in self.head.tables:
            yield table_line(table.name)
            if table.rows:
                for line in row_lines(self._database, table.name, table.columns):
                    self.sums[table.name].add(line)
                    yield line


def row_lines(database: BaseDatabaseWrapper, name: str, columns: Mapping[str, str]) -> Iterator[bytes]:
    """Every row of a table as a line of a dump, by key, a page at a time; raises StoreUnavailable."""
    encoders = [ENCODE[kind] for kind in columns.values()]
    for page in _pages(database, name, list(columns)):
        for row in page:
            yield row_line(encoders, row[1:])


def sums_of(database: BaseDatabaseWrapper, tables: Sequence[Table], place_of: Callable[[str], str]) -> dict[str, Sum]:
    """What is in these tables now; `place_of` gives the name under which each of them is."""
    found: dict[str, Sum] = {}
    for table in tables:
        one = found[table.name] = Sum()
        for line in row_lines(database, place_of(table.name), table.columns):
            one.add(line)
    return found


def _pages(database: BaseDatabaseWrapper, name: str, columns: Sequence[str]) -> Iterator[Sequence[tuple[Any, ...]]]:
    quote = database.ops.quote_name
    select = f"SELECT {', '.join(map(quote, ['id', *columns]))} FROM {quote(name)}"  # noqa: S608 -- names of our own
    page_rows = PAGE_ROWS_OF.get(name, PAGE_ROWS)
    order = f" ORDER BY {quote('id')} LIMIT {page_rows}"
    where = ""
    parameters: list[Any] = []
    while True:
        with driver_trouble(), database.cursor() as cursor:
            cursor.execute(select + where + order, parameters)
            page = cursor.fetchall()
        if page:
            yield page
        if len(page) < page_rows:
            return
        where, parameters = f" WHERE {quote('id')} > %s", [page[-1][0]]


def _count(database: BaseDatabaseWrapper, name: str) -> int:
    with database.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {database.ops.quote_name(name)}")  # noqa: S608 -- a name of our own
        return int(cursor.fetchone()[0])


def _separate(place: Place) -> BaseDatabaseWrapper:
    """A connection beside that of this thread, which may be to another database."""
    settings = connections.configure_settings({DEFAULT_DB_ALIAS: database_settings(place.url, place.password)})
    database = settings[DEFAULT_DB_ALIAS]
    if database["ENGINE"].endswith("sqlite3") and not Path(str(database["NAME"])).exists():
        raise StoreUnavailable(f"the database {database['NAME']} does not exist")
    if "read_timeout" in database["OPTIONS"]:
        import pymysql  # noqa: PLC0415 -- 0.14 s that SQLite need not pay

        pymysql.install_as_MySQLdb()
        # Counting millions of rows takes longer than a mail may wait for an answer.
        database["OPTIONS"] = database["OPTIONS"] | {"read_timeout": PATIENCE_SECONDS}
    made: BaseDatabaseWrapper = load_backend(database["ENGINE"]).DatabaseWrapper(database, "snapshot")
    return made
