"""The tables as they were after given migrations, parents before children: what a dump holds, what a load fills.

The models of now say nothing about the tables of another release; the migrations do.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.models import Field, Model

from mailseal.errors import PermanentError
from mailseal.store.dump_format import NewerDumpError

APP = "store"

_KINDS = {
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
    """The applied migrations of the store; a driver's error when there are no tables."""
    with database.cursor() as cursor:
        cursor.execute("SELECT name FROM django_migrations WHERE app = %s", [APP])
        return frozenset(name for (name,) in cursor.fetchall())


def last_of(names: Collection[str]) -> tuple[str, ...]:
    """Those of the applied migrations on which no other of them builds; raises NewerDumpError for unknown ones."""
    graph = MigrationLoader(None).graph
    if unknown := _unknown(names):
        raise NewerDumpError(f"the database has tables of a newer release (migration {min(unknown)}); use that release")
    nodes = {name: graph.node_map[APP, name] for name in names}
    return tuple(sorted(name for name, node in nodes.items() if not any(one.key[1] in names for one in node.children)))


def require_known(migrations: Sequence[str], release: str) -> None:
    """Raise NewerDumpError unless this release has these migrations."""
    if unknown := _unknown(migrations):
        raise NewerDumpError(
            f"the dump was made by release {release} with tables that this release does not know (migration "
            f"{min(unknown)}); use release {release} or a newer one"
        )


def schema(migrations: Sequence[str]) -> tuple[TableSchema, ...]:
    """All tables after these migrations, parents before children."""
    state = MigrationLoader(None).project_state([(APP, name) for name in migrations])
    models = [model for model in state.apps.get_models() if model._meta.app_label == APP]  # noqa: SLF001 -- documented API
    return tuple(_table(model) for model in _parents_first(models))


def _unknown(names: Iterable[str]) -> set[str]:
    known = {name for app, name in MigrationLoader(None).graph.node_map if app == APP}
    return set(names) - known


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
