"""`mailseal cert import`: files and folders of any size, one bad file never in the way of the others."""

import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import BinaryIO

import click

from mailseal.cli.certificate_rows import row_of
from mailseal.cli.errors import CommandError
from mailseal.cli.import_files import Source, sources
from mailseal.cli.import_report import FileReport, Json, Lines, Output, Totals
from mailseal.cli.output import json_option, plain, read_password
from mailseal.cli.progress import Meter
from mailseal.cli.session import Session, as_caller, pass_session
from mailseal.keys import PrivateKey
from mailseal.smime.certificate import Certificate
from mailseal.smime.importing import ImportingError, Member, open_file
from mailseal.store.certificate_import import CHUNK_ROWS, CertificateImport
from mailseal.store.keks import open_ring

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option("--recursive", "-r", is_flag=True, help="Also the folders inside the folders.")
@click.option("--password-file", type=FILE, help="A file with the password of PKCS#12 files and of keys in PEM.")
@click.option("--bind-keys", is_flag=True, help="Let certificates renewed for a stored private key use that key.")
@json_option
@pass_session
def import_(
    session: Session,
    *,
    paths: Sequence[Path],
    recursive: bool,
    password_file: Path | None,
    bind_keys: bool,
    as_json: bool,
) -> int:
    """Import PKCS#12, PEM (also with private keys), DER and PKCS#7 files, and all files of folders.

    CA certificates become intermediates; a root is imported by `mailseal root import`. Hidden files are passed over,
    links out of a folder are not followed. Exit status 1 if a file gave nothing. What was stored before is counted
    and left alone: an import that was cut off is simply given again.
    """
    given = None if password_file is None else read_password(password_file, "")
    files, octets = measured(paths, recursive=recursive)
    if not files:
        raise CommandError("there is no file to import", "hidden files and folders in folders count only when named")
    config = session.open_store(for_now=True)
    importing = CertificateImport(cache(lambda: open_ring(config.keys.kek)), bind_keys=bind_keys)
    with Meter(octets, "certificates") as meter:
        output: Output = Json() if as_json else Lines(meter.line)
        run = _Run(importing, meter, output)
        for source in sources(paths, as_caller, recursive=recursive):
            run.file(source, lambda source=source: password_of(given, source, meter))  # type: ignore[misc]  # a default argument
        run.flush()
    finished = importing.finish()
    run.totals.waiting = finished.due
    output.end(run.totals, [row_of(info) for info in finished.infos])
    return int(run.totals.not_good > 0)


def measured(paths: Sequence[Path], *, recursive: bool) -> tuple[int, int]:
    """How many files there are to import, and their octets."""
    files = octets = 0
    for source in sources(paths, as_caller, recursive=recursive):
        files += 1
        octets += source.octets
    return files, octets


def password_of(given: bytes | None, source: Source, meter: Meter) -> bytes:
    """The password of a file: the one given for all, or asked for on a terminal; b"" for none."""
    if given is not None:
        return given
    if not sys.stdin.isatty() or str(source.path) == "-":
        return b""  # a script that names no password file has a file without password; if not, the reader says so
    with meter.aside():
        return read_password(None, f"Password of {plain(str(source.path))}")


class _Run:
    """Fills transactions across the borders of files, and reports a file when all of it is stored."""

    def __init__(self, importing: CertificateImport, meter: Meter, output: Output) -> None:
        self.totals = Totals()
        self._importing = importing
        self._meter = meter
        self._output = output
        self._pending: list[tuple[FileReport, Certificate, PrivateKey | None]] = []
        self._read: list[FileReport] = []
        self._octets = 0
        self._count = 0

    def file(self, source: Source, password: Callable[[], bytes]) -> None:
        """Read one file; its certificates are stored when a transaction is full."""
        report = FileReport(source.path)
        if source.problem:
            report.problem(source.problem)
        else:
            self._members(source, password, report)
        self._octets += source.octets
        self._read.append(report)
        if len(self._read) >= CHUNK_ROWS:
            self.flush()

    def _members(self, source: Source, password: Callable[[], bytes], report: FileReport) -> None:
        try:
            with source.open(as_caller) as file:
                opened = open_file(file, password)
                report.form = opened.form.value
                for member in opened.members:
                    self._take(member, report, file)
        except ImportingError as error:
            report.problem(str(error))
        except OSError as error:
            report.problem(f"it cannot be read: {error.strerror}")

    def _take(self, member: Member, report: FileReport, file: BinaryIO) -> None:
        if member.problem:
            report.problem(member.problem)
            report.lost_key = report.lost_key or member.lost_key
        if member.certificate is None:
            return
        self._pending.append((report, member.certificate, member.key))
        if len(self._pending) >= CHUNK_ROWS:
            self._store()
        self._meter.at(self._octets + file.tell(), self._count)

    def _store(self) -> None:
        new = set(self._importing.add([(certificate, key) for _, certificate, key in self._pending]))
        for report, certificate, key in self._pending:
            fresh = certificate.fingerprint in new
            new.discard(certificate.fingerprint)
            report.new += fresh
            report.known += not fresh
            report.keys += key is not None
        self._count += len(self._pending)
        self._pending.clear()

    def flush(self) -> None:
        """Store what is pending, and report the files read until now."""
        if self._pending:
            self._store()
        for report in self._read:
            if not report.is_good and not report.problems:
                report.problem("it holds no certificate")
            self.totals.count(report)
            self._output.file(report)
        self._read.clear()
