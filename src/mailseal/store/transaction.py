"""Whole transactions, tried again on a conflict; and what a failing database means to the mail (mta-ha, section 4).

Conflict (1213, 1205, SQLite busy): the whole transaction runs again, with jitter, within a bound. Connection lost
before the commit: once more on a new connection. Node out (1047, 1180, 2002, 2003, 2006, 2013) or the bound reached:
StoreUnavailable, a transient error, never "done". So a unit of work must be idempotent and must touch nothing but the
database.

Mail and jobs run in a `unit_of_work`: there the bound is short, and a database that is known to be away is not waited
for at all (`breaker`). An administrator's command has more patience.
"""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import atomic
from django.db.utils import DatabaseError, Error

from mailseal.store.breaker import BREAKER, Access
from mailseal.store.trouble import StoreUnavailable, Trouble, classify, unavailable

BOUND_SECONDS = 15.0
"""How long a transaction is tried again before its command fails."""
UNIT_BOUND_SECONDS = 3.0
"""The same in a unit of work: our own transactions last milliseconds, and who sends mail tries again."""

MIN_PAUSE_SECONDS = 0.005
MAX_PAUSE_SECONDS = 0.5

P = ParamSpec("P")
T = TypeVar("T")

_thread = threading.local()


def run(work: Callable[[], T], *, bound_seconds: float | None = None) -> T:
    """Run `work` in one transaction and return its result; inside another `run` it joins that transaction.

    Raises StoreUnavailable, and whatever else `work` raises.
    """
    if connection().in_atomic_block:
        return work()
    return _guarded(lambda bound: _persist(work, bound, in_transaction=True), bound_seconds, Access.WRITE)


def read(work: Callable[[], T], *, bound_seconds: float | None = None) -> T:
    """Run reads without a transaction; raises StoreUnavailable, and whatever else `work` raises."""
    if connection().in_atomic_block:
        return work()
    return _guarded(lambda bound: _persist(work, bound, in_transaction=False), bound_seconds, Access.READ)


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


def _guarded(work: Callable[[float], T], bound_seconds: float | None, access: Access) -> T:
    """With the caller's patience; in a unit of work a database that is away fails at once."""
    if not in_unit_of_work():
        return work(BOUND_SECONDS if bound_seconds is None else bound_seconds)
    BREAKER.admit(access)
    try:
        result = work(UNIT_BOUND_SECONDS if bound_seconds is None else bound_seconds)
    except StoreUnavailable as error:
        BREAKER.failed(access, error)
        raise
    except BaseException:
        BREAKER.undecided(access)
        raise
    BREAKER.worked(access)
    return result


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
        except Error as error:
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


def connection() -> BaseDatabaseWrapper:
    """The connection of this thread."""
    return connections[DEFAULT_DB_ALIAS]


def close_connection() -> None:
    """Close this thread's connection, whatever state it is in; the next use opens a new one."""
    with contextlib.suppress(Error):
        connection().close()


@contextlib.contextmanager
def unit_of_work() -> Iterator[None]:
    """Around each mail, job or request of a thread: a connection that broke meanwhile is replaced, and nothing in it
    waits long for the database.
    """
    outer = in_unit_of_work()
    _thread.in_unit = True
    try:
        _renew_connection()
        yield
    finally:
        _thread.in_unit = outer
        _renew_connection()


def in_unit_of_work() -> bool:
    """Whether this thread is in one."""
    return getattr(_thread, "in_unit", False)


def _renew_connection() -> None:
    with contextlib.suppress(Error):
        database = connection()
        database.close_if_unusable_or_obsolete()
        if database.vendor == "sqlite" and _is_another_file(Path(str(database.settings_dict["NAME"]))):
            database.close()


def _is_another_file(path: Path) -> bool:
    """Whether a file was moved, deleted, replaced or mounted since this thread looked: SQLite would not notice, and
    write on to one that nobody finds again.
    """
    try:
        status = path.stat()
        found = status.st_dev, status.st_ino
    except OSError:
        found = None
    before, _thread.file = getattr(_thread, "file", None), found
    return found != before


@lru_cache(maxsize=1024)
def _qmark(sql: str) -> str:
    return sql.replace("%s", "?")


def select(sql: str, parameters: Sequence[object]) -> Sequence[tuple[Any, ...]]:
    """The hot path's SELECT: rows straight from the driver, no transaction, no ORM. `%s` marks a parameter.

    Text, octets and integers come back as such; nothing else may be selected. Raises StoreUnavailable.
    """
    wrapper = connection()
    if wrapper.in_atomic_block:
        return _rows(wrapper, sql, parameters)  # an error is for the transaction around it
    return _guarded(lambda _: _select(wrapper, sql, parameters), None, Access.READ)


def _select(wrapper: BaseDatabaseWrapper, sql: str, parameters: Sequence[object]) -> Sequence[tuple[Any, ...]]:
    for last in (False, True):
        try:
            return _rows(wrapper, sql, parameters)
        except Error as error:
            trouble = classify(error)
            if trouble is Trouble.BUG:
                raise
            if trouble is not Trouble.CONFLICT:
                close_connection()
            if last or trouble is Trouble.AWAY:
                raise unavailable(error) from error
    raise AssertionError("unreachable")


def _rows(wrapper: BaseDatabaseWrapper, sql: str, parameters: Sequence[object]) -> Sequence[tuple[Any, ...]]:
    with wrapper.wrap_database_errors:
        if wrapper.connection is None:
            wrapper.connect()
        if wrapper.vendor == "sqlite":
            rows: Sequence[tuple[Any, ...]] = wrapper.connection.execute(_qmark(sql), parameters).fetchall()
            return rows
        with wrapper.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            fetched: Sequence[tuple[Any, ...]] = cursor.fetchall()
            return fetched


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
    "in_unit_of_work",
    "insert_new",
    "read",
    "reads",
    "run",
    "select",
    "unavailable",
    "unit_of_work",
    "writes",
]
