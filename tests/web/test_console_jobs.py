"""What the console asks the worker: it is done, told to who asked alone, and at rest nobody else reads it."""

import threading
from datetime import UTC, datetime

import pytest
from django.db import connection

from mailseal.errors import PermanentError, TransientError
from mailseal.keys.hpke import PrivateKey
from mailseal.keys.sealing import BrokenSealError
from mailseal.roles import console_work
from mailseal.roles.console_work import ACTIONS
from mailseal.store import console_jobs, console_keys, console_parcels, jobs
from mailseal.store.acting import Acting, Way, acting, current
from mailseal.store.actor import Actor
from mailseal.store.console_jobs import ActionFailed, Done, StillRunning
from mailseal.store.console_models import ConsoleKeyRow, ConsoleParcelRow
from mailseal.store.jobs import list_jobs
from mailseal.store.models import JobRow

ANNA, BERT = (Acting(Actor(f"account:{name}", name), Way.CONSOLE, "192.0.2.7") for name in ("anna", "bert"))
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
CANARY = b"a canary of the upload"


@pytest.fixture
def actions(monkeypatch):
    def raising(error):
        def fail(*_):
            raise error

        return fail

    def repeat(node, arguments, blob, who):
        return [arguments, console_jobs.blob_text(blob), who.actor.key, who.way.value, who.place, current() == who]

    more = {
        "repeat": repeat,
        "large": lambda *_: "x" * (3 << 20),
        "far too large": lambda *_: "x" * (27 << 20),
        "refuse": raising(PermanentError("that is no certificate")),
        "wait": raising(TransientError("the queue does not answer")),
        "break": raising(ValueError(CANARY.decode())),
    }
    monkeypatch.setattr(console_work, "ACTIONS", {**ACTIONS, **more})


def test_it_is_done_for_who_asks(worker, actions):
    blob = bytes(range(256)) * 10_000  # three pieces
    with acting(ANNA):
        told = console_jobs.call("repeat", {"a": [1, None, "ü"]}, blob=blob)
    assert told == [{"a": [1, None, "ü"]}, console_jobs.blob_text(blob), "account:anna", "console", "192.0.2.7", True]
    assert len(console_jobs.call("large", {})) == 3 << 20
    assert console_jobs.call("greet", {}) == {"node": worker.config.node}


@pytest.mark.parametrize(
    ("action", "text", "transient"),
    [
        ("refuse", "that is no certificate", False),
        ("wait", "the queue does not answer", True),
        ("break", "that failed unexpectedly; the log of the job worker says where", False),
        ("unheard of", "the job worker does not know how to do that: is it of another release?", False),
        ("far too large", "that is more than the 26 MiB that are handed over", False),
    ],
)
def test_what_fails_is_told_without_more_than_is_meant_for_people(worker, actions, caplog, action, text, transient):
    with pytest.raises(ActionFailed) as caught:
        console_jobs.call(action, {})
    assert (str(caught.value), caught.value.transient) == (text, transient)
    assert CANARY.decode() not in caplog.text


def test_at_rest_nobody_reads_it_and_after_that_nothing_is_left(web, worker, actions, tmp_path):
    with acting(ANNA):
        console_jobs.call("repeat", {"password": CANARY.decode()}, blob=CANARY)
    for path in tmp_path.glob("mailseal.db*"):
        assert CANARY not in path.read_bytes()
    with connection.cursor() as cursor:
        for table in ("store_console_parcel", "store_console_chunk"):
            cursor.execute(f"SELECT COUNT(*) FROM {table}")
            assert cursor.fetchone() == (0,)
    assert [(job.kind, job.error) for job in list_jobs()] == [("console", "")]


def test_nobody_else_gets_the_answer(worker):
    with acting(ANNA):
        job = console_jobs.ask("greet", {})
    with acting(ANNA):
        while (found := console_jobs.result(job)) is None:
            pass
    assert found == Done({"node": worker.config.node})
    with acting(BERT):
        assert console_jobs.result(job) is None


def test_what_has_expired_is_neither_begun_nor_told(worker, monkeypatch):
    asked = []
    monkeypatch.setattr(console_work, "ACTIONS", {"note": lambda *_: asked.append(1)})
    with acting(ANNA), monkeypatch.context() as short:
        short.setattr(console_jobs, "KEPT", -console_jobs.KEPT)
        job = console_jobs.ask("note", {})
        while JobRow.objects.filter(pk=job, state=2).count() == 0:
            pass
        assert console_jobs.result(job) is None
    assert asked == []
    console_parcels.put(job, "result", b"1", console_keys.require("web"), asker="a", expires=LONG_AGO)
    assert console_parcels.purge() == 1


def test_what_nobody_begins_is_called_off(web):
    with pytest.raises(TransientError, match="the job worker has never run"):
        console_jobs.call("greet", {})
    ConsoleKeyRow.objects.create(name="intake", public=PrivateKey.generate().public.octets)
    with pytest.raises(ActionFailed, match="the job worker does not answer") as caught:
        console_jobs.call("greet", {}, wait_seconds=0.1)
    assert caught.value.transient
    assert (JobRow.objects.count(), ConsoleParcelRow.objects.count()) == (0, 0)


def test_what_takes_long_can_be_asked_for_later(worker, monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(console_work, "ACTIONS", {"long": lambda *_: go_on.wait(30) and "ready"})
    with pytest.raises(StillRunning) as caught:
        console_jobs.call("long", {}, wait_seconds=1.0)
    go_on.set()
    while (found := console_jobs.result(caught.value.job)) is None:
        pass
    assert found == Done("ready")


def test_too_much_is_not_even_handed_over(web):
    with pytest.raises(ActionFailed, match="larger than 25 MiB"):
        console_jobs.ask("greet", {}, blob=bytes((25 << 20) + 1))
    with pytest.raises(ActionFailed, match="512 KiB of arguments"):
        console_jobs.ask("greet", {"a": "x" * (512 << 10)})


def test_who_seals_nonsense_for_the_worker_gets_no_answer_and_harms_nobody(worker):
    job = console_jobs.uuid7()
    octets = (5).to_bytes(4, "big") + b"[1,2]"
    expires = console_jobs.utc_now() + console_jobs.KEPT
    console_parcels.put(job, "ask", octets, console_keys.require("intake"), asker="a", expires=expires)
    console_parcels.complete(job, "ask")
    claimed = jobs.Job(job, "console", 1, 1, {}, None, None, expires)
    with pytest.raises(TransientError, match="is not what the console asks"):
        console_work.do_for_console(worker, claimed)
    deep = (512 << 10).to_bytes(4, "big") + b"[" * (512 << 10)
    command = b'{"action":"greet","arguments":{},"actor":["uid:0","root"],"way":"command","place":""}'
    for octets in (deep, b"\xff" * 8, len(command).to_bytes(4, "big") + command):
        console_parcels.put(job, "ask", octets, console_keys.require("intake"), asker="a", expires=expires)
        console_parcels.complete(job, "ask")
        with pytest.raises(TransientError, match="what the console asks"):
            console_work.do_for_console(worker, claimed)
    console_parcels.put(job, "ask", b"", console_keys.require("web"), asker="a", expires=expires)
    console_parcels.complete(job, "ask")
    with pytest.raises(TransientError, match="was changed, or is for another"):
        console_work.do_for_console(worker, claimed)
    assert console_jobs.call("greet", {})


def test_a_name_that_no_database_takes_makes_no_job_that_is_done_again_and_again(worker):
    job, expires = console_jobs.uuid7(), console_jobs.utc_now() + console_jobs.KEPT
    head = rb'{"action":"greet","arguments":{},"actor":["account:\ud800","\u0000"],"way":"console","place":"\ud800"}'
    octets = len(head).to_bytes(4, "big") + head
    console_parcels.put(job, "ask", octets, console_keys.require("intake"), asker="a", expires=expires)
    console_parcels.complete(job, "ask")
    console_work.do_for_console(worker, jobs.Job(job, "console", 1, 1, {}, None, None, expires))
    assert ConsoleParcelRow.objects.get(job=job, way="result").asker == "account:?"


def test_more_pieces_than_an_upload_has_are_not_put_together(worker, monkeypatch):
    job, expires = console_jobs.uuid7(), console_jobs.utc_now() + console_jobs.KEPT
    intake = console_keys.open_intake(worker.kek)
    console_parcels.put(job, "ask", bytes(3 << 20), intake.public, asker="a", expires=expires)
    console_parcels.complete(job, "ask")
    assert len(console_parcels.take(job, "ask", intake)) == 3 << 20
    monkeypatch.setattr(console_parcels, "MAX_CHUNKS", 2)
    with pytest.raises(BrokenSealError, match="more pieces"):
        console_parcels.take(job, "ask", intake)
    monkeypatch.setattr(console_parcels, "MAX_CHUNKS", 3)
    monkeypatch.setattr(console_parcels, "SEALED_BYTES", 1 << 20)
    with pytest.raises(BrokenSealError, match="too large"):
        console_parcels.take(job, "ask", intake)


def test_what_takes_longer_than_its_lease_is_not_done_by_two_at_once(worker, monkeypatch):
    begun, go_on, done = threading.Event(), threading.Event(), []

    def slowly(*_):
        done.append(1)
        begun.set()
        assert go_on.wait(10)

    monkeypatch.setattr(console_work, "ACTIONS", {"slow": slowly})
    job = console_jobs.ask("slow", {})
    assert begun.wait(10)
    claimed = jobs.Job(job, "console", 2, 2, {}, None, None, console_jobs.utc_now())
    other = threading.Timer(5, go_on.set)  # if it is begun again, so that the test ends
    other.start()
    again = console_work.do_for_console(worker, claimed)
    other.cancel()
    go_on.set()
    assert again is not None
    assert done == [1]
