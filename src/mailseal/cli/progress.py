"""How far a long command is: a bar on a terminal, else a line every few seconds. Both on standard error."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

LINE_SECONDS = 5.0
_BAR_SECONDS = 0.2


class Meter:
    """Counts `what` against the octets of `total`; nothing is shown of what is over in a moment."""

    def __init__(self, total: int, what: str) -> None:
        self._total = max(total, 1)
        self._what = what
        self._started = self._shown = time.monotonic()
        self._bar = _bar() if sys.stderr.isatty() else None
        self._task = None if self._bar is None else self._bar.add_task("", total=self._total)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def at(self, octets: int, count: int) -> None:
        """So far."""
        now = time.monotonic()
        if now - self._shown < (LINE_SECONDS if self._bar is None else _BAR_SECONDS):
            return
        self._shown = now
        rate = count / (now - self._started)
        text = f"{count:,} {self._what}, {rate:,.0f} a second"
        if self._bar is None or self._task is None:
            click.echo(f"{text}, {min(octets / self._total, 1):.0%}", err=True)
        else:
            self._bar.update(self._task, completed=octets, description=text)
            self._bar.refresh()

    def line(self, text: str) -> None:
        """A line of the command's output, above the bar where both are on one terminal."""
        if self._bar is not None and sys.stdout.isatty():
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            click.echo(text)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """While the command asks something."""
        if self._bar is not None:
            self._bar.stop()
        try:
            yield
        finally:
            if self._bar is not None:
                self._bar.start()


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
