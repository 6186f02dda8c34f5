"""The clock jumps an hour or a year, forward or back: nobody sleeps for a year, nothing young is deleted."""

import collections
import contextlib
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.waiting import PATIENCE_SECONDS
from mailseal.store import certificate_admin as admin
from mailseal.store import configure, house, jobs, log, nodes, revalidate, row, stamps, trust
from mailseal.store.certificate_import import import_certificates
from mailseal.store.clock import ClockWatch
from mailseal.store.house import House
from mailseal.store.journal import JournalWriter, import_journals
from mailseal.store.log import LogFilter
from mailseal.store.models import CertificateRow, JobRow, NodeRow, StampRow
from mailseal.store.row import first_uuid7, uuid7
from mailseal.store.transaction import connection, run
from pki import Authority
from store.test_journal import record

HOUR, YEAR = timedelta(hours=1), timedelta(days=365)


class Clock:
    """Both clocks of a machine; `jump` moves the wall clock alone."""

    def __init__(self) -> None:
        self.wall = datetime.now(UTC)
        self.ticks = 1000.0

    def now(self, *_) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.ticks

    def time_ns(self) -> int:
        return int(self.wall.timestamp() * 1e9)

    def pass_by(self, seconds: float) -> None:
        self.ticks += seconds
        self.wall += timedelta(seconds=seconds)

    def jump(self, by: timedelta) -> None:
        self.wall += by


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    for module in (jobs, nodes, house, revalidate, log):
        monkeypatch.setattr(module, "utc_now", made.now)
    monkeypatch.setattr(row, "time", made)
    # The default of the columns is the function itself.
    for model, columns in ((JobRow, ("created", "run_at")), (NodeRow, ("heartbeat",))):
        for name in columns:
            field = model._meta.get_field(name)
            monkeypatch.setitem(field.__dict__, "_get_default", made.now)
    return made


@pytest.fixture
def keeper(store, clock):
    watch = ClockWatch(now=clock.now, monotonic=clock.monotonic)
    made = House(watch, monotonic=clock.monotonic)

    def keep(seconds: float = 0.0) -> bool:
        """Every five seconds, for so long; whether old rows may be deleted then."""
        until = clock.ticks + seconds
        while True:
            made.keep()
            nodes.beat()
            if clock.ticks >= until:
                return watch.trusted()
            clock.pass_by(nodes.HEARTBEAT_SECONDS)

    return keep


@pytest.mark.parametrize("by", [HOUR, YEAR, -HOUR, -YEAR])
def test_a_jump_is_noticed_and_nothing_is_deleted_for_a_day(keeper, clock, by, caplog):
    assert keeper(30)
    clock.jump(by)
    assert not keeper(30)
    assert caplog.text.count("the clock has jumped") == 1
    clock.pass_by(24 * 3600)
    assert keeper()


def test_slewing_is_no_jump(keeper, clock):
    for _ in range(100):
        clock.jump(timedelta(seconds=0.5))
        assert keeper(5)


@pytest.mark.parametrize("by", [2 * 30 * timedelta(days=1), -HOUR])
def test_a_jump_while_the_node_was_off_is_noticed(keeper, store, clock, by):
    keeper(10)
    clock.jump(by)
    watch = ClockWatch(now=clock.now, monotonic=clock.monotonic)
    House(watch, monotonic=clock.monotonic).keep()
    assert not watch.trusted()


def test_recurring_jobs_do_not_sleep_for_a_year(keeper, clock):
    clock.jump(YEAR)
    jobs.ensure_recurring("purge", "", 3600)
    jobs.done(jobs.claim("w"))
    clock.jump(-YEAR)
    assert jobs.claim("w") is None
    jobs.ensure_recurring("purge", "", 3600)
    assert jobs.claim("w") is not None
    clock.jump(-HOUR)  # while it runs
    jobs.ensure_recurring("purge", "", 3600)


def test_jobs_of_the_wrong_time_are_due_when_it_is_set_right(keeper, clock):
    keeper(10)
    clock.jump(YEAR)
    keeper()
    for kind in ("failed", "fresh", "delayed", "running"):
        jobs.enqueue(kind, run_at=clock.wall + HOUR if kind == "delayed" else None)
    jobs.fail(jobs.claim("w", kinds=["failed"]), "not reachable")
    running = jobs.claim("w", kinds=["running"])
    clock.pass_by(5)
    clock.jump(-YEAR)
    assert jobs.claim("w") is None
    keeper()
    assert {jobs.claim("w").kind, jobs.claim("w").kind} == {"failed", "fresh"}
    assert jobs.claim("w") is None
    assert jobs.fence(running), "it is still at work"
    clock.pass_by(jobs.LEASE_SECONDS + 1)
    keeper()
    assert not jobs.fence(running)
    assert jobs.claim("w", kinds=["running"]).epoch > running.epoch
    clock.pass_by(3600)
    assert jobs.claim("w", kinds=["delayed"]) is not None


def test_a_lease_that_a_jump_ends_is_fenced(keeper, clock):
    keeper(10)
    jobs.enqueue("send")
    first = jobs.claim("w1")
    clock.jump(HOUR)
    keeper()
    second = jobs.claim("w2")
    assert second.id == first.id
    assert (jobs.fence(first), jobs.fence(second)) == (False, True)
    assert (jobs.done(first), jobs.done(second)) == (False, True)


def other_node(clock, name="mx2"):
    """It gives signs of life by a clock of its own."""

    def beat():
        NodeRow.objects.update_or_create(name=name, defaults={"heartbeat": clock.wall})

    return beat


@pytest.mark.parametrize("by", [HOUR, YEAR, -HOUR, -YEAR])
def test_a_jump_makes_nobody_dead(keeper, clock, by):
    theirs = Clock()
    beat = other_node(theirs)
    beat()
    jobs.enqueue("theirs", node="mx2")
    keeper(10)
    clock.jump(by)
    for _ in range(12):
        theirs.pass_by(5)
        beat()
        keeper(5)
    assert jobs.claim("w") is None
    theirs.jump(by)  # and theirs
    for _ in range(12):
        theirs.pass_by(5)
        beat()
        keeper(5)
    assert jobs.claim("w") is None
    keeper(nodes.DEAD_AFTER_SECONDS + 10)
    assert jobs.claim("w").kind == "theirs"


def test_while_the_database_was_away_nobody_could_give_a_sign(keeper, clock):
    beat = other_node(clock)
    beat()
    jobs.enqueue("theirs", node="mx2")
    keeper(20)
    clock.pass_by(60)
    keeper(10)
    assert jobs.claim("w") is None
    beat()
    keeper(nodes.DEAD_AFTER_SECONDS - 5)
    assert jobs.claim("w") is None
    keeper(10)
    assert jobs.claim("w") is not None


def test_keys_of_a_clock_set_back_are_still_unique_and_found(store, clock, tmp_path):
    keys = []
    for by in (YEAR, -YEAR, timedelta(0)):
        clock.jump(by)
        keys += [uuid7() for _ in range(100)]
    assert len(set(keys)) == 300
    writer = JournalWriter(tmp_path)
    clock.jump(YEAR)
    writer.append([replace(record(1), time=clock.wall)])
    clock.jump(-YEAR)
    writer.append([replace(record(2), time=clock.wall)])
    writer.close()
    import_journals(tmp_path)
    assert [one.message for one in log.search(LogFilter(since=clock.wall - HOUR, until=clock.wall + HOUR))] == ["m2"]
    assert [one.message for one in log.search(LogFilter())] == ["m1", "m2"]
    assert log.purge(clock.wall - HOUR) == 0
    assert first_uuid7(clock.wall) > first_uuid7(clock.wall - HOUR)


def test_rows_of_the_future_do_not_hide_new_ones(store, clock, tmp_path, monkeypatch):
    writer = JournalWriter(tmp_path)
    clock.jump(YEAR)
    writer.append([record(1)])
    clock.jump(-YEAR)
    import_journals(tmp_path)
    turns = []

    def turn(_):
        turns.append(1)
        if len(turns) > 3:
            raise KeyboardInterrupt
        writer.append([record(10 + len(turns))])
        import_journals(tmp_path)

    monkeypatch.setattr(log.time, "sleep", turn)
    seen = []
    with contextlib.suppress(KeyboardInterrupt):
        collections.deque((seen.append(entry.message) for entry in log.follow(LogFilter())), maxlen=0)
    assert seen == ["m11", "m12", "m13"]
    writer.close()


def test_certificates_are_judged_again_when_the_clock_is_set_back(keeper, clock):
    span = {"not_before": clock.wall - HOUR, "not_after": clock.wall + YEAR / 2}
    root = Authority("Root", not_before=clock.wall - HOUR, not_after=clock.wall + 10 * YEAR)
    anna = root.issue("anna@example.com", **span)
    trust.import_roots([root.certificate], at=clock.wall)
    import_certificates([anna.certificate], at=clock.wall)

    def trusted():
        return admin.show(anna.certificate.fingerprint).verdict.trusted

    keeper()
    before = trusted()
    assert before
    clock.jump(YEAR)
    keeper()
    CertificateRow.objects.update(due=clock.wall)
    revalidate.handle()
    clock.jump(-YEAR)
    keeper()
    revalidate.handle()
    assert trusted()
    assert CertificateRow.objects.filter(judged_at__gt=clock.wall).count() == 0


def test_stamps_are_counters(store, watch, clock):
    watch.poll(0.0)
    clock.jump(-YEAR)
    stamps.bump(stamps.Scope.KEYS)
    assert watch.poll(1.0) == {"keys"}
    assert watch.fresh(9.0)
    assert not watch.fresh(11.5)


def test_the_write_ahead_log_stays_small(store):
    if store != "sqlite":
        pytest.skip("of SQLite")
    path = Path(connection().settings_dict["NAME"])
    wal = path.with_name(path.name + "-wal")
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM store_stamp").fetchall()  # a snapshot that nothing may overtake
        for number in range(45):
            run(lambda number=number: StampRow.objects.create(scope=str(number), node="x" * 1_000_000))
        house.checkpoint()
        assert wal.stat().st_size > configure.WAL_BYTES
        reader.execute("COMMIT")
    began = time.monotonic()
    house.checkpoint()
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert wal.stat().st_size <= configure.WAL_BYTES
    assert StampRow.objects.count() == 45
