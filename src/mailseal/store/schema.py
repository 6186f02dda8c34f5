"""The tables as they were after given migrations, parents before children: what a dump holds, what a load fills.

The models of now say nothing about the tables of another release; the migrations do. Those of other apps than the
store are named with their app: "mfa.0003_authenticator_type_uniq".
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.models import Field, Model

from mailseal.errors import PermanentError
from mailseal.store import with_libraries  # noqa: F401 -- the tables of all apps
from mailseal.store.dump_format import NewerDumpError

APP = "store"
APPS = (APP, "accounts", "account", "mfa", "socialaccount")
"""Whose tables are in a dump: not sessions, which end with the node, nor what Django makes by itself."""

_KINDS = {
    "AutoField": "integer",
    "BigAutoField": "integer",
    "UUIDField": "uuid",
    "CharField": "text",
    "TextField": "text",
    "BooleanField": "boolean",
    "SmallIntegerField": "integer",
    "IntegerField": "integer",
    "BigIntegerField": "integer",
    "PositiveIntegerField": "integer",
    "DateTimeField": "time",
    "BinaryField": "octets",
    "JSONField": "json",
}


class UnknownColumnError(PermanentError):
    """A column has a type that a dump has no form for."""


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A table: its columns with their kinds, and the fields that make a database's values of Python's."""

    name: str
    columns: Mapping[str, str]
    fields: Sequence["Field[Any, Any]"]


def applied(database: BaseDatabaseWrapper) -> frozenset[str]:
    """The applied migrations of APPS; a driver's error when there are no tables."""
    with database.cursor() as cursor:
        cursor.execute(f"SELECT app, name FROM django_migrations WHERE app IN ({', '.join(['%s'] * len(APPS))})", APPS)  # noqa: S608 -- marks
        return frozenset(_named(app, name) for app, name in cursor.fetchall())


def last_of(names: AbstractSet[str]) -> tuple[str, ...]:
    """Those of the applied migrations on which no other of their app builds; raises NewerDumpError for unknown ones."""
    graph = MigrationLoader(None).graph
    if unknown := _unknown(names):
        raise NewerDumpError(f"the database has tables of a newer release (migration {min(unknown)}); use that release")
    nodes = {name: graph.node_map[key_of(name)] for name in names}
    built_on = {
        name
        for name, node in nodes.items()
        for one in node.children
        if one.key[0] == node.key[0] and _named(*one.key) in names
    }
    return tuple(sorted(names - built_on, key=_order))


def _order(name: str) -> tuple[int, str]:
    """The store first."""
    return APPS.index(key_of(name)[0]), name


def key_of(name: str) -> tuple[str, str]:
    """App and name of a migration."""
    app, _, rest = name.rpartition(".")
    return app or APP, rest


def _named(app: str, name: str) -> str:
    return name if app == APP else f"{app}.{name}"


def require_known(migrations: Sequence[str], release: str) -> None:
    """Raise NewerDumpError unless this release has these migrations."""
    if unknown := _unknown(migrations):
        raise NewerDumpError(
            f"the dump was made by release {release} with tables that this release does not know (migration "
            f"{min(unknown)}); use release {release} or a newer one"
        )


def schema(migrations: Sequence[str]) -> tuple[TableSchema, ...]:
    """All tables after these migrations, parents before children."""
    nodes = [key_of(name) for name in migrations]
    apps = {app for app, _ in nodes}
    state = MigrationLoader(None).project_state(nodes)
    models = [model for model in state.apps.get_models() if model._meta.app_label in apps]  # noqa: SLF001 -- documented API
    return tuple(_table(model) for model in _parents_first(models))


def _unknown(names: Iterable[str]) -> set[str]:
    known = MigrationLoader(None).graph.node_map
    return {name for name in names if key_of(name)[0] not in APPS or key_of(name) not in known}


def _table(model: type[Model]) -> TableSchema:
    meta = model._meta  # noqa: SLF001 -- documented API
    fields = [field for field in meta.concrete_fields if not field.generated]
    columns = {str(field.column): _kind(meta.db_table, field) for field in fields}
    return TableSchema(meta.db_table, columns, fields)


def _kind(table: str, field: "Field[Any, Any]") -> str:
    inner = field
    while inner.remote_field is not None:
        inner = inner.target_field  # type: ignore[attr-defined]  # a relation has it, and nothing else comes here
    kind = _KINDS.get(inner.get_internal_type())
    if kind is None:
        raise UnknownColumnError(f"column {table}.{field.column} is of a type that a dump has no form for")
    return kind


def _parents_first(models: Iterable[type[Model]]) -> list[type[Model]]:
    found: dict[str, type[Model]] = {}

    def take(model: type[Model]) -> None:
        meta = model._meta  # noqa: SLF001 -- documented API
        for field in meta.concrete_fields:
            parent = field.related_model
            if isinstance(parent, type) and parent is not model:
                take(parent)
        found.setdefault(meta.db_table, model)

    for model in sorted(models, key=lambda model: model._meta.db_table):  # noqa: SLF001 -- as above
        take(model)
    return list(found.values())
