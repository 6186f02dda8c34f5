"""What commands print: tables for people, JSON for scripts. Values are data: they are never read as markup.

Subjects, names and addresses come from outside, so a character that a terminal could obey is shown escaped.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mailseal.cli.errors import CommandError

WIDE = 10_000
_NOTHING: tuple[object, ...] = (None, "", (), [])
MAX_INPUT_BYTES = 256 * 1024 * 1024

Row = Mapping[str, object]

json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="JSON, for scripts.")
yes_option: Callable[[Any], Any] = click.option("--yes", is_flag=True, help="Do not ask.")


def counted(count: int, noun: str) -> str:
    """Like "1 mail" and "2 mails": the noun is regular."""
    return f"{count} {noun}{'' if count == 1 else 'es' if noun.endswith('s') else 's'}"


def show(rows: Sequence[Row], columns: Sequence[str], *, as_json: bool, nothing: str = "nothing found") -> None:
    """Print rows: as a table of these columns (names of the rows' keys), or all of each row as a JSON list.

    On a terminal, which is seldom so wide, a column without any value is left out.
    """
    if as_json:
        print_json([dict(row) for row in rows])
        return
    if not rows:
        click.echo(nothing, err=True)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    if sys.stdout.isatty():
        columns = [column for column in columns if any(row.get(column) not in _NOTHING for row in rows)]
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold", no_wrap=column == "fingerprint")
    for row in rows:
        table.add_row(*(Text(_short(column, row.get(column))) for column in columns))
    console().print(table)


def show_one(row: Row, *, as_json: bool) -> None:
    """Print one thing: a line for each of its facts, or a JSON object."""
    if as_json:
        print_json(dict(row))
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in row.items():
        table.add_row(name.replace("_", " "), Text(cell(value)))
    console().print(table)


def print_json(value: object) -> None:
    """One JSON value; times are ISO 8601."""
    click.echo(json.dumps(value, default=jsonable, indent=2))


def console() -> Console:
    """Standard output; a pipe gets no line breaks."""
    return Console(width=None if sys.stdout.isatty() else WIDE, markup=False, highlight=False, emoji=False)


def cell(value: object) -> str:
    """A value as text for a person."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value)
    return plain(str(value))


def plain(text: str) -> str:
    """Text that a terminal only shows: control and formatting characters are escaped."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def one_of(kind: type[StrEnum]) -> click.Choice[str]:
    """The type of an option whose values are those of an enumeration, as they are written everywhere."""
    return click.Choice([one.value for one in kind])


def read_file(path: Path) -> bytes:
    """An input file; `-` is standard input. Raises CommandError."""
    try:
        if str(path) == "-":
            octets = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
        else:
            with path.open("rb") as file:
                octets = file.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None
    if len(octets) > MAX_INPUT_BYTES:
        raise CommandError(f"{path} is larger than {MAX_INPUT_BYTES // (1 << 20)} MiB")
    return octets


def read_password(file: Path | None, prompt: str) -> bytes:
    """A password from a file (its line end removed) or asked for; never an argument, which other users could see."""
    if file is not None:
        return read_file(file).rstrip(b"\r\n")
    if not sys.stdin.isatty():
        raise CommandError("a password is needed", "name a file that holds it with --password-file")
    return str(click.prompt(prompt, hide_input=True, default="", show_default=False)).encode()


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is lost; ends the command on no."""
    if not yes:
        click.confirm(question, abort=True, err=True)


def _short(column: str, value: object) -> str:
    """A fingerprint is shown by its beginning, which every command understands."""
    return str(value)[:16] if column == "fingerprint" else cell(value)


def jsonable(value: object) -> object:
    """What JSON has no form for: times in ISO 8601, octets in hexadecimal."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, set | frozenset | tuple):
        return sorted(value) if isinstance(value, set | frozenset) else list(value)
    return str(value)
