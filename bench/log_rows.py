"""Millions of rows of the message log, made by the database itself and kept between runs. For measuring only.

Row n of N is of `start` + n * SPAN / N; a run that has pruned the oldest gets them back. Indexes are made after a
first filling, as a sort, and kept up to date after that.
"""

import sqlite3
import time
from pathlib import Path

SPAN_SECONDS = 60 * 86_400
BATCH = 500_000
_COUNTED = "WITH RECURSIVE number(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM number WHERE n < :last - 1)"
# Knuth's multiplicative hash spreads neighbours over the population; a UUIDv7 begins with its time (RFC 9562, 5.7).
_ROWS = (
    " INSERT INTO store_log SELECT"
    " printf('%012x7%03x8%015x', ms, n % 4096, abs(random() % 1152921504606846976)),"
    " printf('%08x%08x', n * 2654435761 % 4294967296, n),"
    " printf('<%d.%x@load.test>', n, n * 2654435761 % 4294967296),"
    " strftime('%Y-%m-%d %H:%M:%f000', ms / 1000.0, 'unixepoch'),"
    " iif(inward, 'in', 'out'), sender, sender, recipient, recipient,"
    " CASE WHEN n % 1000 = 0 THEN 'deferred' WHEN n % 50 = 0 THEN 'refused' ELSE 'relayed' END,"
    " iif(n % 50 = 0, 'none', iif(n % 3 = 1, 'signed+encrypted', 'passed')),"
    " iif(n % 3 = 1 AND n % 50 <> 0, 'smime', ''),"
    " iif(n % 50 = 0, '550 5.1.1 No such user', '250 2.0.0 OK'),"
    " '[{\"code\": \"mode-never\", \"parameters\": {}}]', '[]', ''"
    " FROM (SELECT n, :start + n * :step AS ms, n % 3 = 0 AS inward,"
    " iif(n % 3 = 0, printf('p%d@%d.example', n * 2654435761 % 999983, n % 9973), printf('s%d@inside.test', own))"
    " AS sender,"
    " iif(n % 3 = 0, printf('s%d@inside.test', own), printf('r%d@outside.test', n * 40503 % :people)) AS recipient"
    " FROM (SELECT n, n * 2654435761 % 4294967296 % :people AS own FROM number))"
)


def fill(database: Path, rows: int, people: int) -> int:
    """Have the log hold `rows` rows of the made-up mails of `people` on either side; returns how many were added."""
    connection = sqlite3.connect(database, isolation_level=None)
    try:
        return _fill(connection, rows, people)
    finally:
        connection.close()


def oldest(database: Path) -> float:
    """When the oldest row was made, as UNIX time."""
    connection = sqlite3.connect(database)
    try:
        first = connection.execute("SELECT min(id) FROM store_log").fetchone()[0]
    finally:
        connection.close()
    return time.time() if first is None else int(first[:12], 16) / 1000


def _fill(connection: sqlite3.Connection, rows: int, people: int) -> int:
    connection.execute("CREATE TABLE IF NOT EXISTS bench_log (start INTEGER, rows INTEGER)")
    known = connection.execute("SELECT start, rows FROM bench_log").fetchone()
    if known is not None and known[1] == rows:
        start, missing = known[0], _missing(connection, known[0], rows)
        _insert(connection, start, rows, missing, people)
        return missing
    start = int(time.time() - SPAN_SECONDS) * 1000
    connection.execute("DELETE FROM bench_log")
    connection.execute("DELETE FROM store_log")
    later = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE tbl_name = 'store_log' AND type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -1000000")
    for name, _ in later:
        connection.execute(f'DROP INDEX "{name}"')
    try:
        _insert(connection, start, rows, rows, people)
    finally:
        for _, sql in later:
            connection.execute(sql)
    connection.execute("INSERT INTO bench_log VALUES (?, ?)", (start, rows))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return rows


def _missing(connection: sqlite3.Connection, start: int, rows: int) -> int:
    oldest = connection.execute("SELECT min(id) FROM store_log").fetchone()[0]
    if oldest is None:
        return rows
    return min(rows, max(0, int(oldest[:12], 16) - start) * rows // (SPAN_SECONDS * 1000))


def _insert(connection: sqlite3.Connection, start: int, rows: int, upto: int, people: int) -> None:
    step = SPAN_SECONDS * 1000 // max(1, rows)
    for first in range(0, upto, BATCH):
        last = min(first + BATCH, upto)
        values = {"first": first, "last": last, "start": start, "step": step, "people": people}
        connection.execute(_COUNTED + _ROWS, values)
        print(f"\r{last} of {upto} log rows", end="", flush=True)
    if upto:
        print()
