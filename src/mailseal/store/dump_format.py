"""The portable form of the database: JSON lines that name no engine.

    {"mailseal-dump": 1, "release": …, "migrations": […], "node": …, "tables": [{"name", "columns", "rows"}, …]}
    {"table": "store_domain"}
    ["0198…", "example.com", true, "2026-11-24T03:00:00.000000Z"]
    …
    {"end": {"store_domain": {"rows": 1, "digest": …}, …}, "sha256": …}

Octets are base64, times aware UTC, keys UUIDs, JSON columns the text that is stored. A table's digest is the sum of
the SHA-256 of its rows modulo 2^256, so it does not depend on the order in which an engine sorts keys. `sha256` covers
every line before the last: a dump that was cut, changed or put together anew is noticed.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from mailseal.errors import PermanentError

VERSION: Final = 1
MAX_LINE_BYTES: Final = 128 * 1024 * 1024
_MARK: Final = "mailseal-dump"


class DumpError(PermanentError):
    """What should be a dump is none, or a damaged one."""


class NewerDumpError(DumpError):
    """The dump was made by a newer release than this one."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a dump: its columns with their kinds (`KINDS`), and how many rows follow."""

    name: str
    columns: Mapping[str, str]
    rows: int


@dataclass(frozen=True, slots=True)
class Head:
    """The first line. `migrations`: the last applied ones of each app, see `schema`."""

    release: str
    migrations: tuple[str, ...]
    node: str
    made: datetime
    tables: tuple[Table, ...]

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(table.rows for table in self.tables)


@dataclass(slots=True)
class Sum:
    """What is known of a table's rows: how many, and their digest."""

    rows: int = 0
    digest: int = 0

    def add(self, line: bytes) -> None:
        """Count a row."""
        self.rows += 1
        self.digest = (self.digest + int.from_bytes(hashlib.sha256(line).digest(), "big")) & ((1 << 256) - 1)

    def plain(self) -> dict[str, int | str]:
        """As it stands in the last line."""
        return {"rows": self.rows, "digest": f"{self.digest:064x}"}


def json_line(value: object) -> bytes:
    """A value as a line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def head_line(head: Head) -> bytes:
    """The first line of a dump."""
    tables = [{"name": one.name, "columns": dict(one.columns), "rows": one.rows} for one in head.tables]
    return json_line(
        {
            _MARK: VERSION,
            "release": head.release,
            "migrations": head.migrations,
            "node": head.node,
            "made": head.made.isoformat(),
            "tables": tables,
        }
    )


def table_line(name: str) -> bytes:
    """The line before the rows of a table."""
    return json_line({"table": name})


def end_line(sums: Mapping[str, Sum], sha256: str) -> bytes:
    """The last line of a dump."""
    return json_line({"end": {name: one.plain() for name, one in sums.items()}, "sha256": sha256})


# ---- values


def _text(raw: Any) -> str:
    return raw if isinstance(raw, str) else str(raw)


def _time(raw: datetime) -> str:
    naive = raw.astimezone(UTC).replace(tzinfo=None) if raw.tzinfo else raw
    return naive.isoformat(timespec="microseconds") + "Z"


def _octets(raw: Any) -> str:
    return base64.b64encode(bytes(raw)).decode()


def _uuid(raw: Any) -> str:
    return str(raw if isinstance(raw, UUID) else UUID(_text(raw)))


ENCODE: Final[Mapping[str, Callable[[Any], object]]] = {
    "uuid": _uuid,
    "text": _text,
    "integer": int,
    "boolean": bool,
    "time": _time,
    "octets": _octets,
    "json": _text,
}
"""Of each kind of column: what a driver gives, as JSON. NULL is null."""


def _is(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError
        return value

    return read


def _read_time(value: Any) -> datetime:
    found = datetime.fromisoformat(value)
    if found.tzinfo is None:
        raise ValueError
    return found


DECODE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "uuid": UUID,
    "text": _is(str),
    "integer": _is(int),
    "boolean": _is(bool),
    "time": _read_time,
    "octets": lambda value: base64.b64decode(value, validate=True),
    "json": _is(str),
}
"""The way back; raises ValueError, TypeError or AttributeError."""

KINDS: Final = frozenset(ENCODE)


def row_line(encoders: Sequence[Callable[[Any], object]], raw: Sequence[Any]) -> bytes:
    """A row as a line."""
    return json_line([None if value is None else encode(value) for encode, value in zip(encoders, raw, strict=True)])


def decode_row(table: Table, values: Sequence[object]) -> list[Any]:
    """The values of a row as Python has them; raises DumpError."""
    try:
        return [
            None if value is None else DECODE[kind](value)
            for kind, value in zip(table.columns.values(), values, strict=True)
        ]
    except (ValueError, TypeError, AttributeError, binascii.Error):
        raise DumpError(f"the dump has a row in {table.name} that does not fit its columns") from None


# ---- reading


class DumpReader:
    """Reads a dump line by line; `head` is there at once, `sums` is whole when `rows` is exhausted."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        """Read the head; raises DumpError, NewerDumpError."""
        self._lines = iter(lines)
        self._digest = hashlib.sha256()
        first = self._next()
        self.head = _read_head(_object(first))
        self.sums = {table.name: Sum() for table in self.head.tables}

    def rows(self) -> Iterator[tuple[Table, list[Any]]]:
        """Each row with its table, values as in JSON; raises DumpError when the dump is not whole."""
        for table in self.head.tables:
            if _object(self._next()) != {"table": table.name}:
                raise DumpError(f"the dump is damaged where {table.name} should begin")
            found = self.sums[table.name]
            for _ in range(table.rows):
                line = self._next()
                found.add(line)
                values = _parse(line)
                if not isinstance(values, list):
                    raise DumpError(f"the dump has fewer rows in {table.name} than it says")
                yield table, values
        self._end()

    def _end(self) -> None:
        expected = end_line(self.sums, self._digest.hexdigest())
        if self._next() != expected:
            raise DumpError("the dump is damaged: its rows are not those of which it tells at its end")
        if next(self._lines, None) is not None:
            raise DumpError("the dump has something behind its end")

    def _next(self) -> bytes:
        line = next(self._lines, b"")
        if not line.endswith(b"\n"):
            raise DumpError("the dump is cut off")
        self._digest.update(line)
        return line


def split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Chunks as lines, each with its line end, the last perhaps without; raises DumpError for an endless one."""
    rest: list[bytes] = []
    size = 0
    for chunk in chunks:
        *whole, last = chunk.split(b"\n")
        for line in whole:
            yield b"".join((*rest, line, b"\n"))
            rest, size = [], 0
        if last:
            rest.append(last)
            size += len(last)
        if size > MAX_LINE_BYTES:
            raise DumpError("the dump has a line without an end")
    if rest:
        yield b"".join(rest)


def _parse(line: bytes) -> object:
    try:
        found: object = json.loads(line)
    except (ValueError, RecursionError):
        raise DumpError("the dump has a line that is no JSON") from None
    return found


def _object(line: bytes) -> Mapping[str, Any]:
    found = _parse(line)
    if not isinstance(found, dict):
        raise DumpError("the dump is damaged: it has rows where none should be")
    return found


def _read_head(found: Mapping[str, Any]) -> Head:
    version = found.get(_MARK)
    if not isinstance(version, int):
        raise DumpError("this is not a dump of Mailseal")
    if version > VERSION:
        raise NewerDumpError(
            f"the dump has format {version}, made by release {found.get('release')}; this release reads format "
            f"{VERSION}: use a newer release"
        )
    try:
        tables = tuple(Table(one["name"], dict(one["columns"]), int(one["rows"])) for one in found["tables"])
        return Head(
            release=str(found["release"]),
            migrations=tuple(map(str, found["migrations"])),
            node=str(found["node"]),
            made=datetime.fromisoformat(found["made"]),
            tables=tables,
        )
    except (KeyError, TypeError, ValueError):
        raise DumpError("the dump has a head that cannot be read") from None
