"""Searches for keys: one per address, how long mail waits for it, how long its result counts."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from harness.waiting import PATIENCE_SECONDS, wait_until
from mailseal.mail.address import Address
from mailseal.ports import LookupState
from mailseal.store import jobs, lookups
from mailseal.store.lookups import LOOK_UP, Patience, StoreLookups
from mailseal.store.transaction import close_connection

ANNA = Address.parse("Anna@outside.example")
NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def forgotten():
    return []


@pytest.fixture
def searches(store, forgotten):
    return StoreLookups(Patience(0.3, 30 * MINUTE, HOUR, 24 * HOUR), lambda: forgotten.append(True))


def jobs_waiting():
    return [one for one in jobs.list_jobs() if one.kind == LOOK_UP and one.state is jobs.State.WAITING]


def ask(searches, at=NOW, *, wait=False):
    return searches.ask(ANNA, at, wait=wait).state


def test_the_first_who_asks_starts_one_and_the_next_ones_wait_for_the_same(searches):
    assert ask(searches) is LookupState.RUNNING
    assert ask(searches, NOW + MINUTE) is LookupState.RUNNING
    assert searches.ask(Address.parse("aNNa@outside.example"), NOW, wait=False).since == NOW
    assert len(jobs_waiting()) == 1


def test_an_end_counts_also_where_nothing_was_found(searches, forgotten):
    ask(searches)
    lookups.finish(ANNA, 0, NOW)
    assert ask(searches, NOW + 59 * MINUTE) is LookupState.FINISHED
    assert not forgotten
    job = jobs.claim("w", kinds=[LOOK_UP])
    jobs.done(job)
    assert ask(searches, NOW + 61 * MINUTE) is LookupState.RUNNING
    assert len(jobs_waiting()) == 1


def test_what_was_found_empties_the_caches_once(searches, forgotten):
    ask(searches)
    lookups.finish(ANNA, 2, NOW)
    assert ask(searches, NOW + 2 * HOUR) is LookupState.FINISHED
    assert ask(searches, NOW + 3 * HOUR) is LookupState.FINISHED
    assert len(forgotten) == 1
    assert ask(searches, NOW + 25 * HOUR) is LookupState.RUNNING


def test_one_that_takes_too_long_holds_up_nobody(searches):
    ask(searches)
    assert ask(searches, NOW + 29 * MINUTE) is LookupState.RUNNING
    assert ask(searches, NOW + 30 * MINUTE) is LookupState.FINISHED


def test_a_result_of_a_time_to_come_is_not_believed(searches):
    ask(searches)
    lookups.finish(ANNA, 0, NOW + 365 * 24 * HOUR)
    assert ask(searches, NOW) is LookupState.RUNNING


def test_waiting_ends_with_the_search_or_the_patience(searches, forgotten):
    began = time.monotonic()
    assert ask(searches, wait=True) is LookupState.RUNNING
    assert time.monotonic() - began >= 0.3

    patient = StoreLookups(Patience(PATIENCE_SECONDS, 30 * MINUTE, HOUR, HOUR), lambda: forgotten.append(True))

    def end():
        lookups.finish(ANNA, 1, NOW)
        close_connection()

    other = threading.Timer(0.3, end)
    other.start()
    assert ask(patient, wait=True) is LookupState.FINISHED
    other.join()
    assert forgotten
    assert time.monotonic() - began < PATIENCE_SECONDS


def test_one_mail_of_a_worker_waits_and_the_others_do_not(searches):
    patient = StoreLookups(Patience(PATIENCE_SECONDS, 30 * MINUTE, HOUR, HOUR), lambda: None)
    ask(patient)

    def first():
        ask(patient, wait=True)
        close_connection()

    one = threading.Thread(target=first)
    one.start()
    wait_until(patient._waiting.locked)
    assert ask(patient, wait=True) is LookupState.RUNNING
    assert one.is_alive()
    lookups.finish(ANNA, 0, NOW)
    one.join()


def test_two_workers_at_once_start_one(store):
    at_once = threading.Barrier(4)
    failures = []

    def begin():
        try:
            at_once.wait()
            lookups.start(ANNA, NOW)
        except Exception as error:  # noqa: BLE001 -- told below
            failures.append(error)
        finally:
            close_connection()

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not failures
    assert len(jobs_waiting()) == 1
    assert lookups.running_since(ANNA) == NOW


def test_a_search_that_nobody_asked_for_is_kept_too(searches):
    lookups.finish(ANNA, 0, NOW, error="x" * 1000)
    assert ask(searches, NOW + MINUTE) is LookupState.FINISHED
    assert lookups.running_since(ANNA) is None


def test_old_results_are_deleted(searches):
    lookups.finish(ANNA, 0, NOW)
    assert lookups.purge(NOW) == 0
    assert lookups.purge(NOW + MINUTE) == 1
