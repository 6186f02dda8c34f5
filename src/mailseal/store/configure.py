"""Django for the store: registering its models, and the database that the configuration names."""

import contextlib
import os
import stat
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import django
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from mailseal.config import Config
from mailseal.errors import PermanentError
from mailseal.store.breaker import BREAKER
from mailseal.store.schema_changes import apply_migrations
from mailseal.store.trouble import driver_trouble

STATEMENT_WAIT_SECONDS = 1
"""How long one statement waits for a lock; the transaction around it is tried again (see `transaction`)."""
CONNECT_SECONDS = 3
ANSWER_SECONDS = 10
"""How long a MariaDB may take for one statement; a cluster that loses a node holds a commit for 3 to 6.5 seconds."""
CHECKPOINT_PAGES = 4000
"""A commit that finds so many pages (16 MB) in SQLite's write-ahead log moves them; the worker does so before."""
WAL_BYTES = 32 * 1024 * 1024
"""To what SQLite cuts its write-ahead log when all of it is moved."""

SHARED_FOLDER = 0o2750
"""The mode of a folder that is shared with the web role, and of few others (see `roles.users`)."""

_MYSQL = "django.db.backends.mysql"
_SQL_MODE = "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"


class DatabaseUrlError(PermanentError):
    """The URL names no database that the store can use."""


def register() -> None:
    """Make the models importable. A process that has configured Django itself (the web role) is left as it is."""
    if settings.configured or os.environ.get("DJANGO_SETTINGS_MODULE"):
        return
    from mailseal.store import django_settings  # noqa: PLC0415 -- a submodule of the package being imported

    values: dict[str, Any] = {name: value for name, value in vars(django_settings).items() if name.isupper()}
    settings.configure(**(values | {"DATABASES": {}, "INSTALLED_APPS": values["OWN_APPS"]}))
    django.setup()


def setup(config: Config) -> None:
    """Use the configured database from now on. Opens no connection; calling it again is harmless."""
    use(config.database.url, config.database.password, node=config.node)


def use(url: str, password: str | None = None, *, node: str = "localhost") -> None:
    """Use the database at a URL: `sqlite:///path` or `mysql://user@host:port/name?unix_socket=/path`."""
    database = database_settings(url, password)
    if database["ENGINE"] == _MYSQL:
        import pymysql  # noqa: PLC0415 -- 0.14 s that SQLite need not pay

        pymysql.install_as_MySQLdb()  # PyMySQL's documented way to be Django's MySQL driver
    settings.MAILSEAL_NODE = node
    if settings.DATABASES.get(DEFAULT_DB_ALIAS, {}).items() >= database.items():
        return
    settings.DATABASES = {DEFAULT_DB_ALIAS: database}
    if "settings" in vars(connections):
        connections.close_all()
        with contextlib.suppress(AttributeError):  # this thread may have used none yet
            del connections[DEFAULT_DB_ALIAS]
    connections.settings = connections.configure_settings(settings.DATABASES)
    BREAKER.reset()


def this_node() -> str:
    """The name of this node, the first half of every per-node key."""
    return str(settings.MAILSEAL_NODE)


def database_settings(url: str, password: str | None) -> dict[str, Any]:
    """Django's settings for a database URL; raises DatabaseUrlError."""
    parts = urlsplit(url)
    match parts.scheme:
        case "sqlite":
            return _sqlite(unquote(parts.path))
        case "mysql" | "mariadb":
            query = dict(parse_qsl(parts.query))
            unknown = query.keys() - {"unix_socket", "ssl_ca"}
            if unknown:
                raise DatabaseUrlError(f"the database URL has an unknown parameter {min(unknown)!r}")
            return _mariadb(
                name=unquote(parts.path.strip("/")),
                user=unquote(parts.username or ""),
                password=password,
                host=query.get("unix_socket") or parts.hostname or "127.0.0.1",
                port=parts.port,
                ssl_ca=query.get("ssl_ca"),
            )
        case _:
            raise DatabaseUrlError("the database URL must start with sqlite:// or mysql://")


def _sqlite(path: str) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            # Never made by looking: a file system that is not mounted shall not get an empty database in its place.
            "database": f"file:{quote(path)}?mode=rw",
            "timeout": STATEMENT_WAIT_SECONDS,
            # BEGIN IMMEDIATE: a transaction that reads first and writes later cannot fail half-way for a lock.
            "transaction_mode": "IMMEDIATE",
            "init_command": (
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000;"
                f" PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}; PRAGMA journal_size_limit={WAL_BYTES};"
            ),
        },
    }


def _mariadb(
    *, name: str, user: str, password: str | None, host: str, port: int | None, ssl_ca: str | None
) -> dict[str, Any]:
    if not name or not user:
        raise DatabaseUrlError("the database URL must be mysql://user@host:port/name")
    options: dict[str, Any] = {
        "charset": "utf8mb4",
        "isolation_level": "read committed",
        "init_command": (
            f"SET SESSION sql_mode='{_SQL_MODE}', innodb_lock_wait_timeout={STATEMENT_WAIT_SECONDS},"
            f" lock_wait_timeout={STATEMENT_WAIT_SECONDS}"
        ),
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": ANSWER_SECONDS,
        "write_timeout": ANSWER_SECONDS,
    }
    if ssl_ca is not None:
        options["ssl"] = {"ca": ssl_ca}
    return {
        "ENGINE": _MYSQL,
        "NAME": name,
        "USER": user,
        "PASSWORD": password or "",
        "HOST": host,
        "PORT": str(port or ""),
        "CONN_MAX_AGE": None,
        "OPTIONS": options,
    }


def migrate() -> None:
    """Make the tables, or bring them up to date; after it was cut off, finish that (`mailseal init`).

    Raises OtherTablesError, and StoreUnavailable, also when another process does not end doing the same.
    """
    from mailseal.store import with_libraries  # noqa: F401, PLC0415 -- their tables, which few others need

    connection = connections[DEFAULT_DB_ALIAS]
    if connection.vendor == "sqlite":
        # The file holds sealed keys and the log: nobody else may read it, but the web role where its folder is shared
        # with that. SQLite gives -wal and -shm the same mode.
        path = Path(str(connection.settings_dict["NAME"]))
        mode = 0o660 if stat.S_IMODE(path.parent.stat().st_mode) == SHARED_FOLDER else 0o600
        path.touch(mode=0o600)
        if path.stat().st_size == 0:
            path.chmod(mode)
    with driver_trouble():
        apply_migrations()


def pending_migrations() -> tuple[str, ...]:
    """Names of migrations that `migrate` would apply; empty when the tables fit this release."""
    connection = connections[DEFAULT_DB_ALIAS]
    if is_missing():
        return tuple(f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations)
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return tuple(f"{migration.app_label}.{migration.name}" for migration, _ in plan)


def is_missing() -> bool:
    """Whether `migrate` would make the file; one that cannot be seen for want of rights or of a mount is away."""
    connection = connections[DEFAULT_DB_ALIAS]
    path = Path(str(connection.settings_dict["NAME"]))
    return connection.vendor == "sqlite" and path.parent.is_dir() and not path.exists()
