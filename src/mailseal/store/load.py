"""Loads a dump into an empty database, in short transactions, and compares what is there afterwards.

The tables are first made as they were when the dump was made, then filled, then migrated to this release: so what a
migration does to old rows is done to these as well.

While a load is under way the table of stamps has another name. No mail worker can work on a database without it, so
one that is half full (and may lack what says "must be encrypted") answers 451 until the load is finished.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.exceptions import IrreversibleError
from django.db.migrations.executor import MigrationExecutor

from mailseal.errors import PermanentError
from mailseal.store.configure import is_missing, migrate
from mailseal.store.dump import Dump, Place, snapshot, sums_of
from mailseal.store.dump_format import DumpError, DumpReader, Head, Sum, Table, decode_row
from mailseal.store.schema import APPS, TableSchema, key_of, require_known, schema
from mailseal.store.transaction import connection, run
from mailseal.store.trouble import driver_trouble

BATCH_ROWS = 500
BATCH_OCTETS = 1024 * 1024

STAMPS = "store_stamp"
STAMPS_WHILE_LOADING = "store_stamp_of_an_unfinished_load"

Progress = Callable[[int, int], None]


class NotEmptyError(PermanentError):
    """The database to load into has rows."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.what_to_do = (
            "name an empty database; if nothing in this one is needed, delete the file (SQLite), or drop the database "
            "and create it anew (MariaDB)"
        )


class NotTheSameError(PermanentError):
    """After a load the database does not hold what the dump held."""


def is_unfinished() -> bool:
    """Whether the database of this thread holds a load that was not finished; raises StoreUnavailable."""
    if is_missing():
        return False
    database = connection()
    with driver_trouble(), database.cursor() as cursor:
        return STAMPS_WHILE_LOADING in database.introspection.table_names(cursor)


def require_empty() -> None:
    """Raise NotEmptyError if the database of this thread has a row in any table of the store."""
    database = connection()
    if database.vendor == "sqlite" and not Path(str(database.settings_dict["NAME"])).exists():
        return
    with driver_trouble(), database.cursor() as cursor:
        ours = tuple(f"{app}_" for app in APPS)
        names = sorted(name for name in database.introspection.table_names(cursor) if name.startswith(ours))
        if STAMPS_WHILE_LOADING in names:
            raise NotEmptyError("the database holds a restore or copy that was not finished")
        for name in names:
            cursor.execute(f"SELECT 1 FROM {database.ops.quote_name(name)} LIMIT 1")  # noqa: S608 -- a name of our own
            if cursor.fetchone() is not None:
                raise NotEmptyError(f"the database is not empty: {name} has rows")


def load(reader: DumpReader, *, progress: Progress = lambda _rows, _total: None) -> dict[str, Sum]:
    """Fill the database of this thread; returns what was loaded.

    Raises DumpError, NewerDumpError, NotEmptyError, NotTheSameError, StoreUnavailable. After an error in the middle
    the database is of no use, and no mail worker takes it for one.
    """
    head = reader.head
    require_known(head.migrations, head.release)
    tables = _fitting(head)
    _make_tables(head.migrations)
    _rename(STAMPS, STAMPS_WHILE_LOADING)
    _fill(reader, tables, progress)
    _compare(reader)
    _rename(STAMPS_WHILE_LOADING, STAMPS)
    migrate()
    return reader.sums


def copy(source: Place, *, progress: Progress = lambda _rows, _total: None) -> dict[str, Sum]:
    """Copy the database at `source` into that of this thread, as `load` does; `source` stays as it is."""
    require_empty()
    with snapshot(source) as database:
        return load(DumpReader(Dump(database).lines()), progress=progress)


def _fitting(head: Head) -> dict[str, TableSchema]:
    """The tables to fill; raises DumpError unless the dump has exactly those, with their columns."""
    known = {one.name: one for one in schema(head.migrations)}
    for table in head.tables:
        if table.name not in known:
            raise DumpError(f"the dump has a table {table.name} that release {head.release} does not have")
        if list(known[table.name].columns.items()) != list(table.columns.items()):
            raise DumpError(f"the dump has other columns in {table.name} than release {head.release} has")
    if missing := known.keys() - {table.name for table in head.tables}:
        raise DumpError(f"the dump lacks the table {min(missing)}")
    return known


def _make_tables(migrations: Sequence[str]) -> None:
    migrate()
    require_empty()
    targets = [key_of(name) for name in migrations]
    try:
        with driver_trouble():
            executor = MigrationExecutor(connection())
            leaves = {node for app, _ in targets for node in executor.loader.graph.leaf_nodes(app)}
            if set(targets) != leaves:
                executor.migrate(targets)
    except IrreversibleError:
        raise DumpError(
            f"this release cannot make tables as of migration {migrations[0]}; load with that one"
        ) from None


def _rename(old: str, new: str) -> None:
    database = connection()
    quote = database.ops.quote_name
    with driver_trouble(), database.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {quote(old)} RENAME TO {quote(new)}")


def place_of(name: str) -> str:
    """The name of a table while a load is under way."""
    return STAMPS_WHILE_LOADING if name == STAMPS else name


def _fill(reader: DumpReader, tables: dict[str, TableSchema], progress: Progress) -> None:
    batch: list[list[Any]] = []
    current: Table | None = None
    octets = done = 0
    for table, values in reader.rows():
        if batch and (table is not current or len(batch) >= BATCH_ROWS or octets >= BATCH_OCTETS):
            _insert(tables[(current or table).name], batch)
            done += len(batch)
            progress(done, reader.head.rows)
            batch, octets = [], 0
        current = table
        batch.append(decode_row(table, values))
        octets += sum(len(value) for value in values if isinstance(value, str))
    if current is not None and batch:
        _insert(tables[current.name], batch)
        progress(done + len(batch), reader.head.rows)


def _insert(table: TableSchema, rows: Sequence[Sequence[Any]]) -> None:
    database = connection()
    quote = database.ops.quote_name
    names = ", ".join(map(quote, table.columns))
    marks = ", ".join(["%s"] * len(table.columns))
    sql = f"INSERT INTO {quote(place_of(table.name))} ({names}) VALUES ({marks})"  # noqa: S608 -- names of our own
    ready = [_prepared(table, row, database) for row in rows]

    def work() -> None:
        with database.cursor() as cursor:
            cursor.executemany(sql, ready)

    run(work)


def _prepared(table: TableSchema, row: Sequence[Any], database: BaseDatabaseWrapper) -> list[Any]:
    """A row as the driver wants it; the text of a JSON column goes in as it is."""
    return [
        value if value is None or kind == "json" else field.get_db_prep_save(value, database)
        for value, kind, field in zip(row, table.columns.values(), table.fields, strict=True)
    ]


def _compare(reader: DumpReader) -> None:
    found = sums_of(connection(), reader.head.tables, place_of)
    for name, expected in reader.sums.items():
        if found[name] != expected:
            raise NotTheSameError(
                f"{name} has {found[name].rows} rows after the load, not the {expected.rows} rows of the dump, or "
                "others: the database changed something on the way"
            )
