"""What an import says: a line or a JSON object for each file as it is done, then what it stored if that is little."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import click

from mailseal.cli.certificate_rows import COLUMNS
from mailseal.cli.output import Row, jsonable, plain, show

MAX_PROBLEMS = 20
"""Told of one file; the others are counted."""
_JUDGED_A_MINUTE = 7500


@dataclass(slots=True)
class FileReport:
    """What became of one file. `keys` are private keys that are stored now; `lost_key`: one could not be read."""

    path: Path
    form: str = ""
    new: int = 0
    known: int = 0
    keys: int = 0
    lost_key: bool = False
    problems: list[str] = field(default_factory=list)
    more_problems: int = 0

    def problem(self, text: str) -> None:
        """Note what is wrong."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(text)
        else:
            self.more_problems += 1

    @property
    def is_good(self) -> bool:
        """Whether the file gave something, and all the keys that it has."""
        return self.new + self.known > 0 and not self.lost_key

    @property
    def counts(self) -> str:
        """What the file gave, for people."""
        return "  ".join(f"{count:>6} {what}" for count, what in self._counts())

    def _counts(self) -> list[tuple[int, str]]:
        return [(self.new, "new"), (self.known, "known"), (self.keys, "keys")]

    @property
    def told(self) -> list[str]:
        """The problems, as far as they are shown."""
        return [*self.problems, f"and {self.more_problems} more"] if self.more_problems else self.problems

    def row(self) -> dict[str, object]:
        """As a script reads it."""
        return {
            "file": str(self.path),
            "form": self.form or None,
            "imported": self.new,
            "known": self.known,
            "keys": self.keys,
            "good": self.is_good,
            "problems": self.told,
        }


@dataclass(slots=True)
class Totals:
    """Over all files. `waiting`: certificates that the worker has yet to judge."""

    files: int = 0
    not_good: int = 0
    imported: int = 0
    known: int = 0
    keys: int = 0
    waiting: int = 0

    def count(self, report: FileReport) -> None:
        """Add a file."""
        self.files += 1
        self.not_good += not report.is_good
        self.imported += report.new
        self.known += report.known
        self.keys += report.keys

    @property
    def lost(self) -> str:
        """What did not come in, for people; "" for nothing."""
        return f"; {self.not_good:,} files gave nothing, or not their key" if self.not_good else ""


class Output(Protocol):
    """Where reports go."""

    def file(self, report: FileReport) -> None:
        """A file is done."""

    def end(self, totals: Totals, rows: Sequence[Row]) -> None:
        """All are; `rows` tell what was stored, nothing if that was much."""


class Lines:
    """For people."""

    def __init__(self, line: Callable[[str], None]) -> None:
        self._line = line

    def file(self, report: FileReport) -> None:
        """A line, and one on standard error for each problem."""
        name = plain(str(report.path))
        self._line(f"{report.form or '-':<6}  {report.counts}  {name}")
        for problem in report.told:
            click.echo(f"note: {name}: {plain(problem)}", err=True)

    def end(self, totals: Totals, rows: Sequence[Row]) -> None:
        """Certificates, then the sum."""
        if rows:
            show(rows, (*COLUMNS, "reason"), as_json=False)
        text = f"{totals.files:,} files: {totals.imported:,} certificates imported, {totals.known:,} known already"
        text += f", {totals.keys:,} private keys" if totals.keys else ""
        self._line(text + totals.lost)
        if totals.waiting:
            minutes = -(-totals.waiting // _JUDGED_A_MINUTE)
            self._line(
                f"{totals.waiting:,} certificates wait for the worker of `mailseal serve` to judge them, which takes it"
                f" about {minutes} min; until then they are not used"
            )


class Json:
    """For scripts: one object, written as the import goes on, so that it need not be held. `what` names the rows."""

    def __init__(self, what: str = "certificates") -> None:
        self._before = '{"files": ['
        self._what = what

    def file(self, report: FileReport) -> None:
        """An element of `files`."""
        click.echo(f"{self._before}\n  {_json(report.row())}", nl=False)
        self._before = ","

    def end(self, totals: Totals, rows: Sequence[Row]) -> None:
        """The rest of the object."""
        told = ",\n  ".join(map(_json, rows))
        click.echo(f'\n],\n"{self._what}": [{told}],\n"summary": {_json(asdict(totals))}}}')


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, default=jsonable)
