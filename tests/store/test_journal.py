import fcntl
import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailseal.errors import TransientError
from mailseal.mail.address import Address
from mailseal.mail.reply import ACCEPTED, NOT_PROTECTED
from mailseal.policy.model import Fate, Harvest, MethodName, Outcome, Treatment
from mailseal.policy.reason import ReasonCode, because
from mailseal.store import certificate_admin, jobs, journal, journal_import, log
from mailseal.store.journal import CandidateRecord, Imported, JournalWriter, LogRecord, import_journals
from mailseal.store.log import LogFilter
from mailseal.store.models import JournalRow, LogRow
from mailseal.store.revalidate import REVALIDATE
from mailseal.store.transaction import StoreUnavailable
from pki import NOW, Authority

ANNA = Address.parse("Anna@Example.com")
AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def record(number=0, *, recipient="bob@example.org", fate=Fate.RELAYED, **fields):
    outcome = Outcome(
        Address.parse(recipient), fate, ACCEPTED if fate is Fate.RELAYED else NOT_PROTECTED,
        Treatment.SIGNED_ENCRYPTED, MethodName.SMIME,
        (because(ReasonCode.METHOD_TOO_LARGE, method="smime", limit_bytes=9),), (("algorithm", "aes256-cbc"),),
    )  # fmt: skip
    defaults = {"message_id": f"<{number}@example.com>", "subject": "Grüße\x00 😀 \ud800"}
    return LogRecord(f"m{number}", AT, ANNA, "out", outcome, **(defaults | fields))


@pytest.fixture
def folder(store, tmp_path):
    return tmp_path


def test_a_record_becomes_a_row(folder):
    writer = JournalWriter(folder)
    one = record()
    writer.append([one])
    assert import_journals(folder) == Imported(rows=1)
    (entry,) = log.search(LogFilter())
    assert (entry.id, entry.message, entry.time, entry.direction) == (one.id, "m0", AT, "out")
    assert (entry.sender, entry.recipient) == ("Anna@example.com", "bob@example.org")
    assert (entry.fate, entry.treatment, entry.method) == ("relayed", "signed+encrypted", "smime")
    assert entry.reply == "250 2.0.0 accepted"
    assert (entry.reasons, entry.details) == (one.outcome.reasons, one.outcome.details)
    assert entry.subject.startswith("Grüße\ufffd 😀")
    assert entry.message_id == "<0@example.com>"
    writer.close()


def test_a_live_journal_is_read_as_it_grows_and_deleted_when_it_ends(folder):
    writer = JournalWriter(folder, "mx1-0")
    writer.append([record(1), record(2)])
    assert import_journals(folder).rows == 2
    assert import_journals(folder) == Imported()
    writer.append([record(3)])
    assert import_journals(folder) == Imported(rows=1)
    writer.append([record(4)])
    writer.close()
    assert import_journals(folder) == Imported(rows=1, deleted_files=1)
    assert list(folder.iterdir()) == []
    assert JournalRow.objects.count() == 0
    assert LogRow.objects.count() == 4


def test_importing_twice_stores_once(folder):
    writer = JournalWriter(folder)
    writer.append([record(n) for n in range(50)])
    import_journals(folder)
    JournalRow.objects.all().delete()  # as if the machine had been set back
    assert import_journals(folder).rows == 0
    assert LogRow.objects.count() == 50
    writer.close()


def test_a_failed_commit_leaves_the_offset_behind(folder, monkeypatch):
    writer = JournalWriter(folder)
    writer.append([record(n) for n in range(5)])

    def broken(**_):
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(JournalRow.objects, "update_or_create", broken)
        with pytest.raises(StoreUnavailable):
            import_journals(folder)
    assert LogRow.objects.count() == 0
    assert import_journals(folder).rows == 5
    writer.close()


def test_a_torn_last_line_waits_for_its_writer_and_is_dropped_after_its_death(folder, caplog):
    (live,) = [folder / "a.journal"]
    line = record(1).line()
    live.write_bytes(line + record(2).line()[:40])
    with live.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert import_journals(folder) == Imported(rows=1)
        with live.open("ab") as more:
            more.write(record(2).line()[40:])
        # The other half belongs to another record here, so the line is whole but is no JSON we know.
        import_journals(folder)
        with live.open("ab") as more:
            more.write(b'["log", "')
    assert import_journals(folder).deleted_files == 1
    assert "torn" in caplog.text
    (kept,) = folder.iterdir()
    assert kept.name == "a.broken"
    assert kept.read_bytes().endswith(b'["log", "\n')


def test_bad_lines_are_kept_and_do_not_stop_the_others(folder, caplog):
    bad = [b"", b"{", b"[]", b"{}", b'["log"]', b'["new", "x"]', b'["candidate"]', b'["candidate","zz"]', b"\xff", b"5"]
    times = (5, "", "yesterday", "2026-11-23T12:00:00", "0001-01-01T00:00:00+14:00")
    bad += [json.dumps(["candidate", "", "", at]).encode() for at in times]
    bad += [json.dumps(["candidate", "", told, None]).encode() for told in (5, None, ["pss"])]
    bad.append(b'["candidate",""]')
    bad.append(b"[" * 100_000)
    bad.append(json.dumps([*json.loads(record().line())[:-1], 5]).encode())
    values = json.loads(record().line())
    for column, value in ((1, "zz"), (1, values[1].upper()), (4, "now"), (4, values[4] + "+00:00"), (2, "x" * 65)):
        bad.append(json.dumps([*values[:column], value, *values[column + 1 :]]).encode())
    for text in ("{}", "[", "5"):
        bad += [json.dumps([*values[:14], text, *values[15:]]).encode()]
    lines = [one + b"\n" for one in bad]
    (folder / "x.journal").write_bytes(b"".join([record(1).line(), *lines, record(2).line()]))
    (folder / "y.journal").write_bytes(record(3).line())
    assert import_journals(folder) == Imported(rows=3, bad_lines=len(bad), deleted_files=2)
    assert "cannot be read" in caplog.text
    (kept,) = folder.iterdir()
    assert sorted(kept.read_bytes().split(b"\n")[:-1]) == sorted(set(bad) - {b""})
    assert log.search(LogFilter())
    # What a later release can read comes in under its old name.
    kept.write_bytes(record(4).line())
    kept.rename(folder / "x.journal")
    assert import_journals(folder).rows == 1


JSON = st.recursive(st.none() | st.text() | st.integers() | st.sampled_from(["log", "candidate"]), st.lists)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(
    data=st.binary()
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_no_content_of_a_journal_stops_the_import(folder, data):
    (folder / "x.journal").write_bytes(data)
    assert import_journals(folder).deleted_files == 1


def test_reasons_of_a_newer_release_are_left_out(folder):
    writer = JournalWriter(folder)
    writer.append([record()])
    writer.close()
    import_journals(folder)
    row = LogRow.objects.get()
    row.reasons = [{"code": "of-tomorrow", "parameters": {}}, *row.reasons, {"kind": 1}]
    row.save()
    assert [one.code for one in log.search(LogFilter())[0].reasons] == [ReasonCode.METHOD_TOO_LARGE]


def test_large_journals_go_in_by_groups(folder, monkeypatch):
    monkeypatch.setattr(journal_import, "GROUP_BYTES", 2000)
    writer = JournalWriter(folder)
    huge = record(7, subject="s" * 400, message_id="m" * 400)
    writer.append([*(record(n) for n in range(20)), huge])
    outcome = Outcome(ANNA, Fate.RELAYED, ACCEPTED, details=(("layer", "x" * 5000),))
    writer.append([LogRecord("big", AT, None, "in", outcome), record(8)])
    assert import_journals(folder).rows == 23
    writer.close()


def test_files_rotate_by_size_and_age(folder):
    writer = JournalWriter(folder, "mx1-0", max_file_bytes=1000)
    for number in range(5):
        writer.append([record(number)])
    assert len(list(folder.glob("mx1-0-*.journal"))) > 1
    writer.close()
    aged = JournalWriter(folder, "mx1-1", max_file_age_seconds=-1)
    aged.append([record(5)])
    aged.append([record(6)])
    aged.rotate_if_old()
    assert len(list(folder.glob("mx1-1-*.journal"))) == 2
    assert import_journals(folder).rows == 7
    assert list(folder.iterdir()) == []


def test_a_full_disk_defers_and_leaves_no_torn_line(folder, monkeypatch):
    writer = JournalWriter(folder)
    writer.append([record(1)])
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:10]))
        with pytest.raises(TransientError):
            writer.append([record(2)])
    writer.append([record(3)])
    assert import_journals(folder) == Imported(rows=2, deleted_files=1)
    writer.close()
    with pytest.raises(journal.JournalError):
        JournalWriter(folder / "missing").append([record(4)])
    JournalWriter(folder / "missing").append([])


def test_threads_share_a_writer(folder, in_threads):
    writer = JournalWriter(folder)
    in_threads(lambda number: [writer.append([record(number), record(number)]) for _ in range(20)], 4)
    writer.close()
    assert import_journals(folder).rows == 160


def test_candidates_come_by_the_journal_and_are_judged_by_a_job(folder):
    certificate = Authority("Stranger").issue("eve@example.org")
    writer = JournalWriter(folder)
    seen = CandidateRecord(Harvest(certificate.der))
    writer.append([seen, CandidateRecord(Harvest(b"x" * 70_000)), seen])
    assert import_journals(folder) == Imported(candidates=1)
    info = certificate_admin.show(certificate.certificate.fingerprint)
    assert (info.candidate, info.judged_at) == (True, None)
    assert jobs.claim("w", kinds=[REVALIDATE]) is not None
    # The same writer does not write it again; another one may.
    writer.append([seen])
    writer.close()
    assert import_journals(folder) == Imported(deleted_files=1)
    other = JournalWriter(folder)
    other.append([seen])
    other.close()
    assert import_journals(folder) == Imported(deleted_files=1)


def test_files_of_writers_that_never_began_are_swept(folder):
    young, old = folder / "young.begun", folder / "old.begun"
    for path in (young, old):
        path.touch()
    os.utime(old, (0, 0))
    import_journals(folder)
    assert [path.name for path in folder.iterdir()] == ["young.begun"]


@pytest.fixture
def filled(folder):
    writer = JournalWriter(folder)
    writer.append([record(n, recipient=f"r{n % 3}@Example.org") for n in range(9)])
    writer.append([record(9, recipient="x@sub.example.org", fate=Fate.REFUSED)])
    outcome = Outcome(ANNA, Fate.DEFERRED, ACCEPTED)
    writer.append([LogRecord("late", AT + timedelta(hours=2), None, "in", outcome)])
    import_journals(folder)
    writer.close()


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({}, 11),
        ({"sender": "ANNA@example.com"}, 10),
        ({"sender": "<>"}, 1),
        ({"recipient": "r1@example.org"}, 3),
        ({"recipient": "example.org"}, 9),
        ({"recipient": "@Sub.Example.Org"}, 1),
        ({"fate": Fate.REFUSED}, 1),
        ({"direction": "in"}, 1),
        ({"message": "m4"}, 1),
        ({"message_id": "<4@example.com>"}, 1),
        ({"recipient": "r1@example.org", "fate": Fate.REFUSED}, 0),
    ],
)
def test_search(filled, wanted, count):
    assert len(log.search(LogFilter(**wanted))) == count


def test_search_by_time(store, tmp_path):
    now = datetime.now(UTC)
    writer = JournalWriter(tmp_path)
    outcome = Outcome(ANNA, Fate.RELAYED, ACCEPTED)
    for minutes in (5, 3, 1):
        writer.append([LogRecord(str(minutes), now - timedelta(minutes=minutes), ANNA, "in", outcome)])
    import_journals(tmp_path)
    writer.close()

    def found(**wanted):
        return [one.message for one in log.search(LogFilter(**wanted))]

    assert found(since=now - timedelta(minutes=4)) == ["1", "3"]
    assert found(until=now - timedelta(minutes=2)) == ["3", "5"]
    assert found(since=now - timedelta(minutes=4), until=now - timedelta(minutes=2)) == ["3"]


def test_pages_and_following(filled):
    first = log.search(LogFilter(), limit=6)
    second = log.search(LogFilter(), before=first[-1].id, limit=6)
    assert len(first) + len(second) == 11
    assert sorted([*first, *second], key=lambda one: one.id, reverse=True) == [*first, *second]
    oldest = second[-1]
    assert [one.id for one in log.newer(LogFilter(), after=oldest.id, limit=2)] == [second[-2].id, second[-3].id]
    for bad in ("not an address@", "exa mple", "a b@c"):
        with pytest.raises(log.LogFilterError):
            log.search(LogFilter(sender=bad))


def test_follow_yields_what_is_new_even_if_it_comes_late(store, tmp_path, monkeypatch):
    writer = JournalWriter(tmp_path)
    early = record(1)
    writer.append([record(0)])
    import_journals(tmp_path)
    turns = []

    def next_turn(_):
        turns.append(1)
        if len(turns) == 1:
            writer.append([record(2)])
        elif len(turns) == 2:
            writer.append([early])
        else:
            raise KeyboardInterrupt
        import_journals(tmp_path)

    monkeypatch.setattr(log.time, "sleep", next_turn)
    seen = []
    with pytest.raises(KeyboardInterrupt):
        seen.extend(one.message for one in _collect(log.follow(LogFilter()), seen))
    assert seen == ["m2", "m1"]
    writer.close()


def _collect(entries, seen):
    for entry in entries:
        seen.append(entry.message)
    return ()


def test_purge_by_age(filled):
    now = datetime.now(UTC)
    assert log.purge(now - timedelta(hours=1)) == 0
    assert log.purge(now + timedelta(hours=1)) == 11
    assert NOW
