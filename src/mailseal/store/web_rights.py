"""What the web role's own account may do in MariaDB (GRANT): read no sealed column, change none, write no history.

Made from the models, so that a new table is there with the next `mailseal store grants`; what is sealed is known from
`rewrap.SEALED`. On SQLite there are no accounts: there the web reads what is sealed, and has no key for it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from django.apps import apps
from django.db.utils import DatabaseError

from mailseal.store.models import JobRow
from mailseal.store.rewrap import SEALED
from mailseal.store.transaction import connection

DENIED_CODES: Final = frozenset({1142, 1143})
"""ER_TABLEACCESS_DENIED_ERROR, ER_COLUMNACCESS_DENIED_ERROR."""

_HIDDEN: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        **{column.model._meta.db_table: frozenset({"sealed"}) for column in SEALED},  # noqa: SLF001 -- documented API
        "store_login": frozenset({"password"}),
        "store_message_chunk": frozenset({"octets"}),
    }
)
"""Columns that are not read. Those of `SEALED` are not written, either."""
_ADDED: Final = frozenset({JobRow._meta.db_table, "store_login", "store_console_key"})  # noqa: SLF001 -- as above
"""Tables with hidden columns to which the web adds rows all the same."""
_SEEN: Final = frozenset(
    {
        "django_migrations",
        "store_audit_key",
        "store_audit_signature",
        "store_journal",
        "store_kek",
        "store_log",
        "store_log_queue",
        "store_node",
        "store_traffic",
    }
)
"""Tables that the web only looks at."""
_APPENDED: Final = frozenset({"store_audit", "store_quarantine_event"})
"""Tables in which nothing that stands there is changed."""
_DROPPED: Final = frozenset({"store_tls_identity"})
"""Tables in which nothing is added or changed, but something given up: the worker asks the CA that stands there."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What is granted on a table; `hidden`: its columns that are not read."""

    table: str
    columns: tuple[str, ...]
    hidden: frozenset[str]
    insert: bool
    update: tuple[str, ...]
    delete: bool

    @property
    def granted(self) -> str:
        """As GRANT names it."""
        read = tuple(name for name in self.columns if name not in self.hidden)
        return ", ".join(
            [
                f"SELECT ({_listed(read)})" if self.hidden else "SELECT",
                *(["INSERT"] if self.insert else []),
                *([f"UPDATE ({_listed(self.update)})"] if self.update else []),
                *(["DELETE"] if self.delete else []),
            ]
        )


def rights() -> tuple[Rights, ...]:
    """Of every table, by name."""
    tables = {
        model._meta.db_table: tuple(str(field.column) for field in model._meta.concrete_fields)  # noqa: SLF001 -- as above
        for model in apps.get_models(include_auto_created=True)
    }
    tables["django_migrations"] = ("id", "app", "name", "applied")
    return tuple(_rights(name, columns) for name, columns in sorted(tables.items()))


def _rights(table: str, columns: tuple[str, ...]) -> Rights:
    hidden = _HIDDEN.get(table, frozenset())
    if table in _SEEN:
        return Rights(table, columns, hidden, insert=False, update=(), delete=False)
    if table in _APPENDED:
        return Rights(table, columns, hidden, insert=True, update=(), delete=False)
    if table in _DROPPED:
        return Rights(table, columns, hidden, insert=False, update=(), delete=True)
    written = tuple(name for name in columns if name not in hidden or name == "password")
    return Rights(table, columns, hidden, insert=not hidden or table in _ADDED, update=written, delete=True)


def statements(database: str, account: str) -> Iterator[str]:
    """What MariaDB's root has to say, once now and again after each update; `account`: 'user'@'host', quoted."""
    yield f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account};"
    for one in rights():
        yield f"GRANT {one.granted} ON {_quoted(database)}.{_quoted(one.table)} TO {account};"


@dataclass(frozen=True, slots=True)
class Judged:
    """Of the account that is used now: tables that it cannot read, and hidden columns that it can."""

    lacking: tuple[str, ...]
    excess: tuple[str, ...]


def judge() -> Judged:
    """Try what may be read and what may not; nothing on SQLite. Raises StoreUnavailable's causes as they come."""
    database = connection()
    if database.vendor == "sqlite":
        return Judged((), ())
    lacking, excess = [], []
    for one in rights():
        if not _reads(one.table, [name for name in one.columns if name not in one.hidden]):
            lacking.append(one.table)
        excess += [f"{one.table}.{name}" for name in sorted(one.hidden) if _reads(one.table, [name])]
    return Judged(tuple(lacking), tuple(excess))


def _reads(table: str, columns: list[str]) -> bool:
    with connection().cursor() as cursor:
        try:
            cursor.execute(f"SELECT {_listed(columns)} FROM {_quoted(table)} LIMIT 0")  # noqa: S608 -- names of ours
        except DatabaseError as error:
            if error.args and error.args[0] in DENIED_CODES:
                return False
            raise
    return True


def _listed(columns: tuple[str, ...] | list[str]) -> str:
    return ", ".join(map(_quoted, columns))


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"
