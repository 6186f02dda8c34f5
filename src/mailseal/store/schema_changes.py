"""Making and changing the tables: wholly or not at all on SQLite, again from where it was cut off on MariaDB.

SQLite does all pending migrations, and the note that they are done, in one transaction. It must: it changes a table by
copying it, and half of that done twice would lose rows.

MariaDB commits each statement (and each is atomic, from 10.6 on), so a migration that was cut off is begun again: what
its statements make and is there already is theirs, because ours only add, and because nothing that uses the new tables
starts before the migration is noted as done. It is noted only if the tables then have what it makes, so another's table
or index of the same name is found out. For the same reasons two processes may do it at once. A migration that changes
or removes something needs another way.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Model
from django.db.utils import DatabaseError

from mailseal.errors import PermanentError
from mailseal.store.transaction import close_connection, read, run

WAIT_SECONDS = 60.0
"""How long to try when others change or use the tables."""
TABLE_WAIT_SECONDS = 5
"""How long to wait for those who use a table; whoever wants to use it then waits for us."""
STATEMENT_SECONDS = 6 * 3600
"""What one statement may take on a large table."""
_EXISTS_CODES = frozenset({1050, 1060, 1061, 1826})


class OtherTablesError(PermanentError):
    """A table that a migration would make is there, and is another."""

    what_to_do = "give Mailseal a database of its own (database.url)"


def apply_migrations() -> None:
    """Apply what is pending. Raises OtherTablesError, StoreUnavailable, a driver's error."""
    with _connection_for_it() as database:
        if database.vendor == "sqlite":
            run(lambda: _migrate(database), bound_seconds=WAIT_SECONDS)
            return
        # Django's editor, but what is there already is made.
        database.SchemaEditorClass = type("Editor", (_Resuming, type(database).SchemaEditorClass), {})
        read(lambda: _migrate(database), bound_seconds=WAIT_SECONDS)  # without a transaction


@contextlib.contextmanager
def _connection_for_it() -> Iterator[BaseDatabaseWrapper]:
    """In place of this thread's: patient on MariaDB; on SQLite without the checks that forbid to replace a table.

    Thrown away afterwards, as Django leaves its transaction open when a deferred statement fails.
    """
    close_connection()
    before, database = connections[DEFAULT_DB_ALIAS], connections.create_connection(DEFAULT_DB_ALIAS)
    options = dict(before.settings_dict["OPTIONS"])
    if database.vendor == "sqlite":
        options["init_command"] += "PRAGMA foreign_keys=OFF;"
    else:
        options["init_command"] += f", lock_wait_timeout={TABLE_WAIT_SECONDS}"
        options |= dict.fromkeys(("read_timeout", "write_timeout"), STATEMENT_SECONDS)
    database.settings_dict = before.settings_dict | {"OPTIONS": options}
    connections[DEFAULT_DB_ALIAS] = database
    try:
        yield database
    finally:
        connections[DEFAULT_DB_ALIAS] = before
        database.close()


class _Resuming(BaseDatabaseSchemaEditor):
    resumed = False
    """Whether something was there already."""

    def execute(self, sql: Any, params: Any = ()) -> None:
        try:
            super().execute(sql, params)
        except DatabaseError as error:
            if not _exists_already(error):
                raise
            type(self).resumed = True


def _exists_already(error: DatabaseError) -> bool:
    code = error.args[0] if error.args else None
    return code in _EXISTS_CODES or (code == 1005 and "errno: 121 " in str(error))  # a foreign key of this name


def _migrate(database: BaseDatabaseWrapper) -> None:
    if database.vendor == "mysql":
        with database.cursor() as cursor:
            # Keys are compared octet by octet: the default collation would take "a" and "ä" for the same address.
            cursor.execute("ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    executor = MigrationExecutor(database)
    executor.recorder = _Recorder(database)
    executor.loader.check_consistent_history(database)
    executor.migrate(executor.loader.graph.leaf_nodes())


class _Recorder(MigrationRecorder):
    def record_applied(self, app: str, name: str) -> None:
        if getattr(self.connection.SchemaEditorClass, "resumed", False):
            state = MigrationLoader(None).project_state((app, name))
            _require_made(self.connection, state.apps.get_models())
        super().record_applied(app, name)


def _require_made(database: BaseDatabaseWrapper, models: Iterable[type[Model]]) -> None:
    """Raise OtherTablesError unless these tables have their columns and named indexes (other names tell what is in).

    Not by Django's introspection: MariaDB 10.11 has crashed over its question while another session made tables.
    """
    quote = database.ops.quote_name
    for model in models:
        meta = model._meta  # noqa: SLF001 -- documented API
        columns = {field.name: quote(str(field.column)) for field in meta.concrete_fields}
        wanted = [f"\n  {column} " for column in columns.values()] + [
            f"KEY {quote(key.name)} ({','.join(columns[name] for name in key.fields)})"
            for key in (*meta.indexes, *meta.constraints)
            if key.condition is None  # MariaDB has no index of some rows; Django makes none
        ]
        with database.cursor() as cursor:
            cursor.execute(f"SHOW CREATE TABLE {quote(meta.db_table)}")
            made = cursor.fetchone()[1]
        for one in wanted:
            if one not in made:
                raise OtherTablesError(f"the table {meta.db_table} is there already, without {one.strip()}")
