"""Old rows go beside mail: in short transactions, in turns, whatever stops in between."""

import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from mailseal.config import from_values
from mailseal.keys.sealing import Kek, SealError
from mailseal.mail.tls_report import AppliedPolicy
from mailseal.roles import handlers
from mailseal.store import jobs, ledger, log, pace, purge, tls_sessions
from mailseal.store.jobs import State
from mailseal.store.models import JobRow, LedgerRow, LogRow, StampRow
from mailseal.store.pace import Pace, Turn
from mailseal.store.row import first_uuid7, uuid7
from mailseal.store.stamps import Scope, bump
from mailseal.store.tls_report_models import TlsSessionRow
from mailseal.store.transaction import close_connection, run, unit_of_work

NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=100)


def fill(count: int) -> None:
    first = first_uuid7(OLD).int
    text = dict.fromkeys(
        ("message", "message_id", "sender", "sender_key", "recipient", "recipient_key", "reply", "subject"), "x" * 40
    )
    rows = [
        LogRow(
            id=type(uuid7())(int=first + number), time=OLD, direction="in", fate="relayed", treatment="clear",
            method="", reasons=[], details=[], **text,
        )
        for number in range(count)
    ]  # fmt: skip
    for start in range(0, count, 1000):
        run(lambda start=start: LogRow.objects.bulk_create(rows[start : start + 1000]))


def test_steps_grow_and_shrink_with_the_time_they_take(monkeypatch):
    class Clock:
        now = 0.0
        rests: list[float] = []  # noqa: RUF012 -- of this test alone

        def monotonic(self):
            return self.now

        def sleep(self, seconds):
            self.rests.append(seconds)

    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    steps = Pace(100, 10, 300)

    def step(seconds):
        with steps.step():
            clock.now += seconds
        return steps.size

    assert [step(one) for one in (0.001, 0.001, 0.03, 0.06, 3.0)] == [200, 300, 300, 150, 10]
    assert clock.rests == [pace.MIN_REST_SECONDS] * 2 + [0.03, 0.06]
    step(0.001)
    assert clock.rests[-1] == pace.MAX_REST_SECONDS


def test_a_turn_ends_and_the_next_one_goes_on(store, monkeypatch):
    monkeypatch.setattr(pace, "MIN_REST_SECONDS", 0.0)
    monkeypatch.setattr(purge, "MAX_ROWS", 100)
    fill(450)
    LogRow.objects.create(
        time=NOW, direction="in", reasons=[], details=[], **dict.fromkeys(("message", "subject"), "young")
    )
    ticks = iter(range(1000))
    turns = deleted = 0
    while True:
        turn = Turn(4, monotonic=lambda: next(ticks))
        deleted += log.purge(NOW - timedelta(days=1), turn)
        turns += 1
        if not turn.cut_off:
            break
    assert (deleted, LogRow.objects.count()) == (450, 1)
    assert turns > 2
    assert LogRow.objects.get().subject == "young"


def test_a_crash_between_two_steps_loses_nothing(store, monkeypatch):
    fill(200)
    real, calls = purge.run, []

    def crash(work):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(work)

    with monkeypatch.context() as patch:
        patch.setattr(purge, "run", crash)
        with pytest.raises(KeyboardInterrupt):
            log.purge(NOW)
    left = LogRow.objects.count()
    assert left == 200 - purge.FIRST_ROWS
    assert log.purge(NOW) == left


def test_a_writer_gets_in_while_many_rows_go(store):
    bump(Scope.SETTINGS)
    fill(3000)
    longest, finished = [0.0], threading.Event()

    def purging():
        try:
            log.purge(NOW)
        finally:
            finished.set()
            close_connection()

    thread = threading.Thread(target=purging)
    thread.start()
    writes = 0
    while not finished.is_set():
        began = time.monotonic()
        with unit_of_work():
            bump(Scope.SETTINGS)
        longest[0] = max(longest[0], time.monotonic() - began)
        writes += 1
        finished.wait(0.005)
    thread.join()
    print(f"{store}: {writes} writes beside, the longest took {longest[0]:.3f} s")
    assert LogRow.objects.count() == 0
    assert StampRow.objects.get(scope="settings").value == writes + 1
    assert longest[0] < 5.0  # two shared cores; alone it is 0.1 s
    assert writes > 3


def test_a_recurring_job_that_has_more_to_do_is_due_again_soon(store):
    jobs.ensure_recurring("purge", "", 3600)
    job = jobs.claim("w")
    assert jobs.done(job, again_seconds=0)
    job = jobs.claim("w")
    assert job is not None
    assert jobs.done(job)
    assert jobs.claim("w") is None
    assert JobRow.objects.get().every_seconds == 3600


def test_a_job_that_has_more_to_do_is_not_done(store):
    jobs.enqueue("judge", dedupe="now")
    jobs.done(jobs.claim("w"), again_seconds=0)
    assert jobs.enqueue("judge", dedupe="now") is None
    jobs.done(jobs.claim("w"))
    assert JobRow.objects.get().state == State.DONE


def test_old_ledger_rows_and_jobs_go(store):
    for created in (OLD, NOW):
        LedgerRow.objects.create(attempt=str(created), recipient="a", outcome={}, created=created)
        JobRow.objects.create(node="mx1", kind="x", state=State.DONE, finished=created)
    JobRow.objects.create(node="mx1", kind="waiting", run_at=OLD)
    assert ledger.purge(NOW - timedelta(days=1)) == 1
    assert jobs.purge(NOW - timedelta(days=1)) == 1
    assert (LedgerRow.objects.count(), JobRow.objects.count()) == (1, 2)


@pytest.fixture
def aged(store):
    """Rows of the ledger, jobs, the log and TLS counts that are 3, 10 and 40 days old; what is left, by age."""
    ages = (3, 10, 40)
    for days in ages:
        at = NOW - timedelta(days=days)
        LedgerRow.objects.create(attempt=str(days), recipient="a", outcome={}, created=at)
        JobRow.objects.create(node="mx1", kind=str(days), state=State.DONE, finished=at)
        key = type(uuid7())(int=first_uuid7(at).int + 1)
        LogRow.objects.create(id=key, time=at, direction="in", reasons=[], details=[], subject=str(days))
        kind = tls_sessions.Kind(at.date(), AppliedPolicy("no-policy-found", str(days)))
        tls_sessions.add({kind: 1}, "/log", tls_sessions.LogPosition())

    def left() -> list[list[int]]:
        columns = ((LedgerRow, "attempt"), (JobRow, "kind"), (LogRow, "subject"), (TlsSessionRow, "domain"))
        return [sorted(map(int, model.objects.values_list(name, flat=True))) for model, name in columns]

    assert left() == [list(ages)] * 4
    return left


NODE = SimpleNamespace(
    kek=Kek(b"k" * 32),
    config=from_values(
        {"ledger": {"retention_days": 6}, "log": {"retention_days": 30}, "tls_reports": {"keep_days": 20}}
    ),
)


def test_each_is_kept_for_as_long_as_its_own_setting_says(aged):
    assert handlers.purge_old(NODE, None) is None
    assert aged() == [[3], [3], [3, 10], [3, 10]]


def test_a_key_of_the_audit_that_does_not_open_keeps_nothing_else(aged, monkeypatch):
    def purge(*_: object) -> None:
        raise SealError("not at hand")

    monkeypatch.setattr(handlers.audit_work, "purge", purge)
    with pytest.raises(SealError):
        handlers.purge_old(NODE, None)
    assert aged() == [[3], [3], [3, 10], [3, 10]]


def test_nothing_goes_by_a_clock_that_has_jumped(aged, monkeypatch):
    monkeypatch.setattr(handlers.CLOCK, "_mistrusted_until", time.monotonic() + 60)
    assert handlers.purge_old(NODE, None) is None
    assert aged() == [[3, 10, 40]] * 4


def test_what_a_turn_leaves_is_gone_on_with_soon(aged, monkeypatch):
    with monkeypatch.context() as short:
        short.setattr(handlers, "PURGE_SECONDS", 0.0)
        again = handlers.purge_old(NODE, None)
    assert again is not None
    assert again < handlers.HANDLERS[handlers.PURGE].every_seconds
    assert aged() == [[3, 10, 40]] * 4
    assert handlers.purge_old(NODE, None) is None
