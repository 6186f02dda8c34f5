"""The domain of an address key, worked out by the database: for columns that are made of others, and have an index."""

from typing import Any

from django.db.models import CharField, Func
from django.db.models.sql.compiler import SQLCompiler

_Sql = tuple[str, tuple[str, ...]]


class DomainOf(Func):
    """All behind the last @ of a column; "" stays "". One column's name, nothing else."""

    arity = 1
    output_field = CharField(max_length=255)

    def as_sqlite(self, compiler: SQLCompiler, *_: Any, **__: Any) -> _Sql:
        """SQLite finds no last @: trim from the end all characters of the text but @, begin behind what is left."""
        column, _none = compiler.compile(self.source_expressions[0])
        return f"substr({column}, 1 + length(rtrim({column}, replace({column}, '@', ''))))", ()

    def as_mysql(self, compiler: SQLCompiler, *_: Any, **__: Any) -> _Sql:
        """MariaDB."""
        column, _none = compiler.compile(self.source_expressions[0])
        return f"SUBSTRING_INDEX({column}, '@', -1)", ()
