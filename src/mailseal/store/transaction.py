"""Whole transactions, tried again on a conflict; and what a failing database means to the mail (mta-ha, section 4).

Conflict (1213, 1205, SQLite busy): the whole transaction runs again, with jitter, within a bound. Connection lost
before the commit: once more on a new connection. Node out (1047, 1180, 2002, 2003, 2006, 2013) or the bound reached:
StoreUnavailable, a transient error, never "done". So a unit of work must be idempotent and must touch nothing but the
database.
"""

import contextlib
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

import pymysql
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import atomic
from django.db.utils import DatabaseError, Error, InterfaceError

from mailseal.errors import TransientError

BOUND_SECONDS = 15.0
"""How long a transaction is tried again before the mail is deferred instead."""

MIN_PAUSE_SECONDS = 0.005
MAX_PAUSE_SECONDS = 0.5

_CONFLICT_CODES = frozenset({1205, 1213})
_LOST_CODES = frozenset({0, 2006, 2013, 2055, 1927, 4031})
_AWAY_CODES = frozenset({1040, 1044, 1045, 1047, 1049, 1053, 1129, 1130, 1146, 1180, 1203, 1290, 2002, 2003})
_BUSY_WORDS = ("database is locked", "table is locked", "schema is locked")
_AWAY_WORDS = (
    "unable to open", "disk i/o error", "readonly database", "database or disk is full", "disk image is malformed",
    "file is not a database", "no such table",
)  # fmt: skip
_DRIVER_ERRORS = (Error, sqlite3.Error, pymysql.err.MySQLError)

P = ParamSpec("P")
T = TypeVar("T")


class StoreUnavailable(TransientError):  # noqa: N818 -- it names a state of the database, as RFC replies do
    """The database cannot be used now: mail is deferred, an administrator's command says so."""


class Trouble(Enum):
    """What a database error means."""

    CONFLICT = "conflict"
    LOST = "lost"
    AWAY = "away"
    BUG = "bug"


def classify(error: BaseException) -> Trouble:
    """Tell a conflict from a lost connection, a database that is away, and a mistake of ours."""
    code = error.args[0] if error.args else None
    if isinstance(code, int):
        if code in _CONFLICT_CODES:
            return Trouble.CONFLICT
        if code in _LOST_CODES:
            return Trouble.LOST
        return Trouble.AWAY if code in _AWAY_CODES else Trouble.BUG
    text = str(error).lower()
    if any(words in text for words in _BUSY_WORDS):
        return Trouble.CONFLICT
    if any(words in text for words in _AWAY_WORDS):
        return Trouble.AWAY
    return Trouble.LOST if isinstance(error, InterfaceError | pymysql.err.InterfaceError) else Trouble.BUG


def run(work: Callable[[], T], *, bound_seconds: float = BOUND_SECONDS) -> T:
    """Run `work` in one transaction and return its result; inside another `run` it joins that transaction.

    Raises StoreUnavailable, and whatever else `work` raises.
    """
    if connection().in_atomic_block:
        return work()
    return _persist(work, bound_seconds, in_transaction=True)


def read(work: Callable[[], T], *, bound_seconds: float = BOUND_SECONDS) -> T:
    """Run reads without a transaction; raises StoreUnavailable, and whatever else `work` raises."""
    if connection().in_atomic_block:
        return work()
    return _persist(work, bound_seconds, in_transaction=False)


def writes(function: Callable[P, T]) -> Callable[P, T]:
    """The decorated function is one transaction."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        return run(lambda: function(*args, **kwargs))

    return wrapped


def reads(function: Callable[P, T]) -> Callable[P, T]:
    """The decorated function only reads."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        return read(lambda: function(*args, **kwargs))

    return wrapped


def _persist(work: Callable[[], T], bound_seconds: float, *, in_transaction: bool) -> T:
    give_up_at = time.monotonic() + bound_seconds
    reconnected = False
    pause = MIN_PAUSE_SECONDS
    while True:
        worked = False
        try:
            with atomic() if in_transaction else contextlib.nullcontext():
                result = work()
                worked = True
        except _DRIVER_ERRORS as error:
            trouble = classify(error)
            if trouble is Trouble.BUG:
                raise
            # After the work only the commit can have failed: whether it happened is unknown, so do not repeat it here.
            again = trouble is Trouble.CONFLICT or (trouble is Trouble.LOST and not worked and not reconnected)
            if trouble is not Trouble.CONFLICT:
                reconnected = True
                close_connection()
            if not again or time.monotonic() + pause > give_up_at:
                raise unavailable(error) from error
            time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 -- jitter, not a secret
            pause = min(pause * 2, MAX_PAUSE_SECONDS)
        else:
            return result


def unavailable(error: BaseException) -> StoreUnavailable:
    """The error that the mail path sees; the driver's text stays out of it but for its number."""
    code = error.args[0] if error.args else ""
    if code == 1146 or "no such table" in str(error):
        return StoreUnavailable("the database has no tables of Mailseal yet: run `mailseal init`")
    detail = f"error {code}" if isinstance(code, int) else str(error)
    return StoreUnavailable(f"the database cannot be used now ({detail})")


def connection() -> BaseDatabaseWrapper:
    """The connection of this thread."""
    return connections[DEFAULT_DB_ALIAS]


def close_connection() -> None:
    """Close this thread's connection, whatever state it is in; the next use opens a new one."""
    with contextlib.suppress(*_DRIVER_ERRORS):
        connection().close()


@contextlib.contextmanager
def unit_of_work() -> Iterator[None]:
    """Around each mail, job or request of a thread: a connection that broke meanwhile is replaced."""
    connection().close_if_unusable_or_obsolete()
    try:
        yield
    finally:
        connection().close_if_unusable_or_obsolete()


@lru_cache(maxsize=1024)
def _qmark(sql: str) -> str:
    return sql.replace("%s", "?")


def select(sql: str, parameters: Sequence[object]) -> Sequence[tuple[Any, ...]]:
    """The hot path's SELECT: rows straight from the driver, no transaction, no ORM. `%s` marks a parameter.

    Text, octets and integers come back as such; nothing else may be selected. Raises StoreUnavailable.
    """
    wrapper = connection()
    for last in (False, True):
        try:
            if wrapper.connection is None:
                wrapper.connect()
            if wrapper.vendor == "sqlite":
                rows: Sequence[tuple[Any, ...]] = wrapper.connection.execute(_qmark(sql), parameters).fetchall()
                return rows
            with wrapper.connection.cursor() as cursor:
                cursor.execute(sql, parameters)
                fetched: Sequence[tuple[Any, ...]] = cursor.fetchall()
                return fetched
        except _DRIVER_ERRORS as error:
            trouble = classify(error)
            if wrapper.in_atomic_block:
                raise  # the transaction around it decides
            if trouble is Trouble.BUG:
                raise
            if trouble is not Trouble.CONFLICT:
                close_connection()
            if last or trouble is Trouble.AWAY:
                raise unavailable(error) from error
    raise AssertionError("unreachable")


_INSERT_NEW = {"sqlite": "INSERT OR IGNORE ", "mysql": "INSERT IGNORE "}


def insert_new(into: str, rows: Sequence[Sequence[str | int]]) -> int:
    """Insert many rows (`into`: "INTO table (…) VALUES (%s, …)") in the caller's transaction; how many were new.

    A row whose key is taken is left out. For the hot paths: cheaper than the ORM.
    """
    if not rows:
        return 0
    database = connection()
    with database.cursor() as cursor:
        cursor.executemany(_INSERT_NEW[database.vendor] + into, rows)
        return int(cursor.rowcount)


__all__ = [
    "DatabaseError",
    "StoreUnavailable",
    "Trouble",
    "classify",
    "close_connection",
    "connection",
    "insert_new",
    "read",
    "reads",
    "run",
    "select",
    "unavailable",
    "unit_of_work",
    "writes",
]
