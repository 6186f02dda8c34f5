"""What disks, crashes and people do to journals: no outcome is lost, no mail is taken that could not be recorded."""

import contextlib
import errno
import fcntl
import multiprocessing
import os
import resource
import shutil
import time
from pathlib import Path

import pytest
from django.db.utils import DataError, OperationalError

from harness.small_disk import fill, small_disk
from harness.waiting import PATIENCE_SECONDS
from mailseal.cli.checks.finding import Status
from mailseal.cli.checks.journals import journals
from mailseal.config import load
from mailseal.store import journal_import, pace
from mailseal.store.journal import JournalError, JournalWriter
from mailseal.store.journal_import import Imported, import_journals
from mailseal.store.models import JournalRow, LogRow
from mailseal.store.pace import Turn
from mailseal.store.transaction import StoreUnavailable
from store.test_journal import record


@pytest.fixture
def folder(store, tmp_path):
    return tmp_path


def test_a_file_deleted_under_its_writer_is_replaced(folder):
    writer = JournalWriter(folder)
    writer.append([record(1)])
    import_journals(folder)
    (path,) = folder.glob("*.journal")
    path.unlink()
    writer.append([record(2)])
    assert import_journals(folder).rows == 1
    writer.close()


def test_a_file_deleted_while_it_is_written_is_written_again(folder, monkeypatch):
    writer = JournalWriter(folder)
    writer.append([record(1)])
    (path,) = folder.glob("*.journal")
    real = os.write

    def delete_first(descriptor, data):
        path.unlink(missing_ok=True)
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", delete_first)
    writer.append([record(2)])
    assert import_journals(folder).rows == 1
    writer.close()


def test_without_its_folder_no_mail_is_taken_until_it_is_back(tmp_path, caplog):
    folder = tmp_path / "journal"
    folder.mkdir()
    writer = JournalWriter(folder)
    assert writer.is_writable()
    writer.append([record(1)])
    folder.rename(tmp_path / "elsewhere")
    for _ in range(3):
        assert not writer.is_writable()
    with pytest.raises(JournalError):
        writer.append([record(2)])
    folder.mkdir()
    assert writer.is_writable()
    writer.append([record(3)])
    assert len(list(folder.glob("*.journal"))) == 1
    writer.close()
    assert [one.levelname for one in caplog.records] == ["ERROR", "WARNING"]


def test_a_full_disk(store, tmp_path, caplog):
    folder = tmp_path / "small"
    folder.mkdir()
    with small_disk(folder, 3 << 20) as mounted:
        if not mounted:
            pytest.skip("no right to mount")
        writer = JournalWriter(folder)
        assert writer.is_writable()
        writer.append([record(1)])
        filler = folder / "filler"
        fill(filler)
        assert not writer.is_writable(), "its outcome may not find room"
        refused = 0
        for number in range(50):
            try:
                writer.append([record(number + 2)])
            except JournalError:
                refused += 1
        assert refused
        written = sum(path.read_bytes().count(b"\n") for path in folder.glob("*.journal"))
        filler.unlink()
        assert writer.is_writable()
        writer.append([record(100)])
        writer.close()
        done = import_journals(folder)
        assert (done.rows, done.bad_lines) == (written + 1, 0)
    assert "No space left" in caplog.text


def _limited(folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    writer = JournalWriter(folder)
    writer.append([record(1)])
    with pytest.raises(JournalError):
        writer.append([record(2), record(3)])
    writer.append([record(4)])  # in another file
    os._exit(0)


def test_a_file_that_may_not_grow(folder):
    child = multiprocessing.get_context("fork").Process(target=_limited, args=(folder,))
    child.start()
    child.join(PATIENCE_SECONDS)
    assert child.exitcode == 0
    assert import_journals(folder) == Imported(rows=2, deleted_files=2)


def test_bad_lines_are_kept_once_while_the_database_is_away(folder, monkeypatch, caplog):
    path = folder / "x.journal"
    path.write_bytes(b"garbage\n" + record(1).line())

    def away(_):
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(journal_import, "run", away)
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                import_journals(folder)
    assert import_journals(folder).rows == 1
    assert (folder / "x.broken").read_bytes() == b"garbage\n"
    assert caplog.text.count("cannot be read") == 1


def test_a_line_that_the_database_refuses_is_narrowed_down(folder, monkeypatch):
    lines = [record(number).line() for number in range(9)]
    (folder / "x.journal").write_bytes(b"".join(lines))
    real = journal_import.insert_new

    def refuse(into, rows):
        if any(row[1] == "m5" for row in rows):
            raise DataError(1406, "Data too long")
        return real(into, rows)

    monkeypatch.setattr(journal_import, "insert_new", refuse)
    assert import_journals(folder) == Imported(rows=8, bad_lines=1, deleted_files=1)
    assert (folder / "x.broken").read_bytes() == lines[5]


def test_a_line_without_end_is_kept_as_it_is(folder, monkeypatch):
    monkeypatch.setattr(journal_import, "MAX_LINE_BYTES", 2000)
    monkeypatch.setattr(journal_import, "GROUP_BYTES", 1000)
    (folder / "x.journal").write_bytes(record(1).line() + b"x" * 5000 + record(2).line())
    assert import_journals(folder) == Imported(rows=1, bad_lines=1, deleted_files=1)
    assert len((folder / "x-rest.broken").read_bytes()) > 5000
    assert not JournalRow.objects.exists()


def test_zeros_after_a_power_cut(folder):
    (folder / "x.journal").write_bytes(record(1).line() + bytes(4096))
    assert import_journals(folder) == Imported(rows=1, bad_lines=1, deleted_files=1)


def test_what_is_no_file_gets_out_of_the_way(folder):
    (folder / "a.journal").mkdir()
    os.mkfifo(folder / "b.journal")
    (folder / "c.journal").symlink_to("/etc/passwd")
    (folder / "d.journal").write_bytes(record(1).line())
    with contextlib.suppress(OSError):
        import_journals(folder)
    assert LogRow.objects.count() == 1
    assert import_journals(folder) == Imported()
    assert sorted(path.name for path in folder.iterdir()) == ["a.broken", "b.broken", "c.broken"]


def test_a_file_that_cannot_be_read_does_not_stop_the_others(folder, monkeypatch):
    for name in "ab":
        (folder / f"{name}.journal").write_bytes(record(ord(name)).line())
    real = os.pread

    def failing(descriptor, size, offset):
        if Path(f"/proc/self/fd/{descriptor}").readlink().name == "a.journal":
            raise OSError(errno.EIO, "Input/output error")
        return real(descriptor, size, offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", failing)
        with pytest.raises(OSError, match="Input"):
            import_journals(folder)
    assert LogRow.objects.count() == 1
    assert import_journals(folder).rows == 1


def test_a_long_journal_is_read_in_turns(folder, monkeypatch):
    monkeypatch.setattr(pace, "MIN_REST_SECONDS", 0.0)
    monkeypatch.setattr(journal_import, "GROUP_BYTES", 3000)
    (folder / "x.journal").write_bytes(b"".join(record(number).line() for number in range(40)))
    ticks = iter(range(1000))
    rows = []
    while True:
        turn = Turn(3, monotonic=lambda: next(ticks))
        rows.append(import_journals(folder, turn).rows)
        if not turn.cut_off:
            break
    assert sum(rows) == 40
    assert len(rows) > 2
    assert not any(folder.iterdir())


def test_an_error_of_ours_is_no_bad_line(folder, monkeypatch):
    (folder / "x.journal").write_bytes(record(1).line())

    def gone(into, rows):
        raise OperationalError(2003, "Can't connect")

    with monkeypatch.context() as patch:
        patch.setattr(journal_import, "insert_new", gone)
        with pytest.raises(StoreUnavailable):
            import_journals(folder)
    assert import_journals(folder).rows == 1


def test_check_tells(tmp_path):
    config = load(None, {"MAILSEAL_DATA_DIR": str(tmp_path), "MAILSEAL_HOSTNAME": "h.test"})
    folder = config.journal_dir

    def told():
        return [(finding.status, finding.text) for finding in journals(config)]

    assert told()[0][0] is Status.FAIL
    folder.mkdir()
    assert [status for status, _ in told()] == [Status.OK]
    old = folder / "a.journal"
    old.write_bytes(record(1).line())
    assert [status for status, _ in told()] == [Status.OK]
    os.utime(old, (time.time() - 3600,) * 2)
    (folder / "b.broken").write_bytes(b"garbage\n")
    (status, behind), (other, broken) = told()
    assert (status, other) == (Status.WARN, Status.WARN)
    assert "1 files" in behind
    assert "b.broken" in broken
    shutil.rmtree(folder)


def test_the_importer_never_touches_a_file_that_is_being_written(folder):
    path = folder / "x.journal"
    path.write_bytes(record(1).line()[:50])
    with path.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert import_journals(folder) == Imported()
    assert path.exists()


def test_what_is_written_last_is_not_overlooked(folder, monkeypatch):
    """A worker that writes a line and ends, just when its file seemed to be read."""
    writer = JournalWriter(folder)
    writer.append([record(1)])
    read = journal_import._next_lines

    def writes_on(descriptor, offset, size):
        data = read(descriptor, offset, size)
        if not data:
            monkeypatch.setattr(journal_import, "_next_lines", read)
            writer.append([record(2)])
            writer.close()
        return data

    monkeypatch.setattr(journal_import, "_next_lines", writes_on)
    assert import_journals(folder) + import_journals(folder) == Imported(rows=2, deleted_files=1)
    assert not list(folder.iterdir())
