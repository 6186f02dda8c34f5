"""`mailseal pgp import`: keyrings of any size, one broken member never in the way of the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

import click

from mailseal.cli import import_report
from mailseal.cli.cert_import import measured, password_of
from mailseal.cli.errors import CommandError
from mailseal.cli.import_files import Source, sources
from mailseal.cli.import_report import FileReport, Json, Output
from mailseal.cli.output import Row, json_option, read_password, show
from mailseal.cli.pgp_rows import COLUMNS
from mailseal.cli.progress import Meter
from mailseal.cli.session import Session, as_caller, pass_session
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.importing import Password
from mailseal.openpgp.ring import RingError, RingMember, open_ring
from mailseal.store import keks
from mailseal.store.pgp_facts import row_of
from mailseal.store.pgp_import import CHUNK_ROWS, PgpImport, read_member
from mailseal.store.pgp_keep import Arrival

_PENDING_OCTETS = 4 * 1024 * 1024
FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option("--trust", is_flag=True, help="Vouch for them: mail is encrypted to them, their signatures are believed.")
@click.option("--recursive", "-r", is_flag=True, help="Also the folders inside the folders.")
@click.option("--password-file", type=FILE, help="A file with the password of secret keys.")
@json_option
@pass_session
def import_(
    session: Session,
    *,
    paths: Sequence[Path],
    trust: bool,
    recursive: bool,
    password_file: Path | None,
    as_json: bool,
) -> int:
    """Import keyrings, armored or binary, public and secret keys, revocations; also all files of folders.

    Public keys are candidates until `mailseal pgp trust`, unless --trust vouches for them; whose secret key comes along
    is ours and trusted. What is new of a known key is merged into it. Hidden files are passed over, links out of a
    folder are not followed. Exit status 1 if a file gave nothing. An import that was cut off is simply given again.
    """
    given = None if password_file is None else read_password(password_file, "")
    files, octets = measured(paths, recursive=recursive)
    if not files:
        raise CommandError("there is no file to import", "hidden files and folders in folders count only when named")
    config = session.open_store(for_now=True)
    importing = PgpImport(cache(lambda: keks.open_ring(config.keys.kek)))
    with Meter(octets, "keys") as meter:
        output: Output = Json("keys") if as_json else Lines(meter.line)
        run = _Run(importing, meter, output, trust=trust)
        for source in sources(paths, as_caller, recursive=recursive):
            run.file(source, _once(lambda source=source: password_of(given, source, meter)))  # type: ignore[misc]  # a default argument
        run.flush()
    output.end(run.totals, [row_of(info) for info in importing.finish()])
    return int(run.totals.not_good > 0)


def _once(ask: Callable[[], bytes]) -> Password:
    """The password of a file, asked for when it is needed and not again."""

    @cache
    def asked() -> str:
        try:
            return ask().decode()
        except UnicodeDecodeError:
            raise CommandError("the password is not UTF-8") from None

    return asked


@dataclass(slots=True)
class Report(FileReport):
    """What became of one keyring. `updated` are among the known ones; `waiting` are new and not trusted."""

    updated: int = 0
    waiting: int = 0

    def _counts(self) -> list[tuple[int, str]]:
        return [(self.new, "new"), (self.updated, "updated"), (self.known - self.updated, "known"), (self.keys, "keys")]

    def row(self) -> dict[str, object]:
        """As of FileReport."""
        return FileReport.row(self) | {"updated": self.updated}


@dataclass(slots=True)
class Totals(import_report.Totals):
    """Over all files. `waiting`: new keys that nobody has trusted."""

    updated: int = 0

    def count(self, report: FileReport) -> None:
        """As of Totals."""
        import_report.Totals.count(self, report)
        assert isinstance(report, Report)
        self.updated += report.updated
        self.waiting += report.waiting


class Lines(import_report.Lines):
    """For people."""

    def end(self, totals: import_report.Totals, rows: Sequence[Row]) -> None:
        """Keys, then the sum."""
        assert isinstance(totals, Totals)
        if rows:
            show(rows, COLUMNS, as_json=False)
        text = f"{totals.files:,} files: {totals.imported:,} keys imported, {totals.known:,} known already"
        text += f", {totals.updated:,} of them updated" if totals.updated else ""
        text += f", {totals.keys:,} secret keys" if totals.keys else ""
        self._line(text + totals.lost)
        if totals.waiting:
            self._line(
                f"{totals.waiting:,} wait to be trusted, until then they are not used: compare the fingerprint, then"
                " `mailseal pgp trust`"
            )


class _Run:
    """Fills transactions across the borders of files, and reports a file when all of it is stored."""

    def __init__(self, importing: PgpImport, meter: Meter, output: Output, *, trust: bool) -> None:
        self.totals = Totals()
        self._importing = importing
        self._meter = meter
        self._output = output
        self._trust = trust
        self._pending: list[tuple[Report, int, Arrival]] = []
        self._pending_octets = 0
        self._read: list[Report] = []
        self._octets = 0
        self._count = 0

    def file(self, source: Source, password: Password) -> None:
        """Read one file; its keys are stored when a transaction is full."""
        report = Report(source.path)
        if source.problem:
            report.problem(source.problem)
        else:
            self._members(source, password, report)
        self._octets += source.octets
        self._read.append(report)
        if len(self._read) >= CHUNK_ROWS:
            self.flush()

    def _members(self, source: Source, password: Password, report: Report) -> None:
        try:
            with source.open(as_caller) as file:
                ring = open_ring(file)
                report.form = ring.form.value
                for member in ring.members:
                    self._take(member, password, report, file)
        except RingError as error:
            report.problem(str(error))
        except OSError as error:
            report.problem(f"it cannot be read: {error.strerror}")

    def _take(self, member: RingMember, password: Password, report: Report, file: BinaryIO) -> None:
        try:
            arrival = self._arrival(member, password, report)
        except PgpError as error:
            report.problem(f"member {member.number}: {error}")
            return
        self._pending.append((report, member.number, arrival))
        self._pending_octets += len(arrival.octets)
        if len(self._pending) >= CHUNK_ROWS or self._pending_octets >= _PENDING_OCTETS:
            self._store()
        self._meter.at(self._octets + file.tell(), self._count)

    def _arrival(self, member: RingMember, password: Password, report: Report) -> Arrival:
        if not member.is_certificate:
            self._store()  # what it revokes may have come right before
        read = read_member(member, password, vouched=self._trust)
        for note in read.notes:
            report.problem(f"member {member.number}: {note}")
        report.lost_key = report.lost_key or read.lost_key
        return read.arrival

    def _store(self) -> None:
        if not self._pending:
            return
        kept = self._importing.add([arrival for _, _, arrival in self._pending])
        for (report, number, arrival), one in zip(self._pending, kept, strict=True):
            report.new += one.new
            report.known += not one.new
            report.updated += one.changed
            report.keys += len(arrival.keys)
            report.waiting += one.new and not one.counts
            for note in one.notes:
                report.problem(f"member {number}: {note}")
        self._count += len(self._pending)
        self._pending.clear()
        self._pending_octets = 0

    def flush(self) -> None:
        """Store what is pending, and report the files read until now."""
        self._store()
        for report in self._read:
            if not report.is_good and not report.problems:
                report.problem("it holds no OpenPGP key")
            self.totals.count(report)
            self._output.file(report)
        self._read.clear()
