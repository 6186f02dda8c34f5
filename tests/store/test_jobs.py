from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import F

from mailseal.keys.sealing import SealError, sealed_by
from mailseal.mail.address import Address
from mailseal.mail.reply import ACCEPTED
from mailseal.policy.model import Fate, Outcome
from mailseal.ports import Hop
from mailseal.store import jobs, nodes
from mailseal.store.configure import use
from mailseal.store.jobs import State
from mailseal.store.ledger import StoreLedger
from mailseal.store.models import JobRow, NodeRow
from mailseal.store.reports import REPORT, StoreReports
from mailseal.store.row import uuid7
from mailseal.store.transaction import StoreUnavailable, connection, run

SECOND = timedelta(seconds=1)


def now():
    return datetime.now(UTC)


def ripen():
    """Let everything that waits be due, and every lease be over."""
    JobRow.objects.update(run_at=now() - SECOND)
    JobRow.objects.exclude(lease_until=None).update(lease_until=now() - SECOND)


def test_a_job_runs_once(store):
    key = jobs.enqueue("mend", {"what": "roof"})
    job = jobs.claim("w1")
    assert (job.id, job.kind, job.payload, job.epoch, job.attempts) == (key, "mend", {"what": "roof"}, 1, 1)
    assert jobs.claim("w2") is None
    assert jobs.fence(job)
    assert jobs.done(job)
    assert jobs.claim("w2") is None
    assert [one.state for one in jobs.list_jobs()] == [State.DONE]


def test_kinds_and_times_and_nodes(store):
    jobs.enqueue("a", run_at=now() + timedelta(hours=1))
    jobs.enqueue("b", node="mx2")
    jobs.enqueue("c", node=jobs.ANY_NODE)
    assert jobs.claim("w", kinds=["a", "b"]) is None
    assert jobs.claim("w").kind == "c"
    assert jobs.next_run_at() > now()


def test_a_dedupe_key_is_unique_while_the_job_lives(store):
    assert jobs.enqueue("crl", dedupe="x") is not None
    assert jobs.enqueue("crl", dedupe="x") is None
    assert jobs.enqueue("other", dedupe="x") is not None
    job = jobs.claim("w", kinds=["crl"])
    assert jobs.enqueue("crl", dedupe="x") is None
    jobs.done(job)
    assert jobs.enqueue("crl", dedupe="x") is not None
    assert jobs.enqueue("crl", dedupe="once", once=True) is not None
    while (job := jobs.claim("w", kinds=["crl"])) is not None:
        jobs.done(job)
    assert jobs.enqueue("crl", dedupe="once", once=True) is None


def test_a_taken_key_leaves_the_transaction_around_it_whole(store):
    jobs.enqueue("crl", dedupe="x")

    def work():
        jobs.enqueue("crl", dedupe="x")
        jobs.enqueue("mend")

    run(work)
    assert JobRow.objects.count() == 2


def test_several_workers_never_claim_the_same(store, in_threads):
    for _ in range(60):
        jobs.enqueue("mend")

    def work(number):
        claimed = []
        while (job := jobs.claim(f"w{number}")) is not None:
            claimed.append(job.id)
            jobs.done(job)
        return claimed

    claimed = [one for some in in_threads(work, 4) for one in some]
    assert len(claimed) == len(set(claimed)) == 60


def test_several_workers_make_one_job_of_a_key(store, in_threads):
    made = in_threads(lambda number: [jobs.enqueue("crl", dedupe=str(n)) for n in range(10)], 4)
    assert sum(key is not None for some in made for key in some) == 10


def test_a_worker_that_lost_its_lease_is_fenced_off(store):
    jobs.enqueue("mend")
    frozen = jobs.claim("w1")
    assert jobs.reclaim() == 0
    ripen()
    assert jobs.reclaim() == 1
    again = jobs.claim("w2")
    assert again.epoch == 3
    assert again.attempts == 2
    assert not jobs.fence(frozen)
    assert not jobs.done(frozen)
    assert not jobs.fail(frozen, "late")
    assert jobs.done(again)


def test_failures_back_off_and_end(store):
    jobs.enqueue("mend", dedupe="x")
    for attempt in range(1, jobs.MAX_ATTEMPTS + 1):
        ripen()
        job = jobs.claim("w")
        assert job.attempts == attempt
        assert jobs.fail(job, "no ladder" * 100)
        assert jobs.claim("w") is None
    (summary,) = jobs.list_jobs()
    assert (summary.state, len(summary.error)) == (State.FAILED, 500)
    assert jobs.enqueue("mend", dedupe="x") is not None
    assert jobs.back_off_seconds(1) < 13
    assert 6 * 3600 <= jobs.back_off_seconds(40) <= 7.2 * 3600
    jobs.fail(jobs.claim("w"), "broken", for_good=True)
    assert [one.state for one in jobs.list_jobs(state=State.FAILED)] == [State.FAILED] * 2


def test_recurring_jobs_are_one_per_subject_and_come_again(store):
    for _ in range(3):
        jobs.ensure_recurring("fetch", "crl-1", 3600)
    jobs.ensure_recurring("fetch", "crl-2", 3600)
    assert JobRow.objects.count() == 2
    for _ in range(2):
        job = jobs.claim("w")
        assert jobs.done(job)
    assert jobs.claim("w") is None
    assert jobs.next_run_at() > now() + timedelta(minutes=59)
    ripen()
    job = jobs.claim("w")
    assert job.attempts == 1
    for _ in range(jobs.MAX_ATTEMPTS + 1):
        jobs.fail(job, "not reachable")
        ripen()
        job = jobs.claim("w", kinds=["fetch"])
    jobs.ensure_recurring("fetch", "crl-1", 60)
    assert set(JobRow.objects.values_list("every_seconds", flat=True)) == {60, 3600}
    assert jobs.drop_recurring("fetch", "crl-1")


def test_the_jobs_of_a_dead_node_are_taken_over_once(store):
    database = connection().settings_dict
    jobs.enqueue("waiting", node="mx2")
    jobs.enqueue("running", node="mx2")
    jobs.enqueue("leased", node="mx2")
    JobRow.objects.filter(kind="running").update(state=1, epoch=F("epoch") + 1, lease_until=now() - SECOND)
    JobRow.objects.filter(kind="leased").update(state=1, epoch=F("epoch") + 1, lease_until=now() + 60 * SECOND)
    NodeRow.objects.create(name="mx2", heartbeat=now() - timedelta(minutes=2))
    nodes.beat()
    nodes.beat()
    (dead,) = [node for node in nodes.list_nodes() if node.name == "mx2"]
    assert nodes.take_over(dead) == 2
    assert nodes.take_over(dead) == 0
    assert {jobs.claim("w").kind, jobs.claim("w").kind} == {"waiting", "running"}
    assert jobs.claim("w") is None
    assert connection().settings_dict is database


def test_who_sees_that_another_node_has_won_takes_nothing_over(store):
    jobs.enqueue("waiting", node="mx2")
    NodeRow.objects.create(name="mx2", heartbeat=now() - timedelta(minutes=2))
    (dead,) = nodes.list_nodes()
    NodeRow.objects.update(generation=F("generation") + 1)  # mx3 has won, and is about to move the jobs
    assert nodes.take_over(dead) == 0
    assert JobRow.objects.get().node == "mx2"


def test_old_jobs_are_purged(store):
    for number in range(3):
        jobs.enqueue("mend", dedupe=str(number), once=True)
    jobs.done(jobs.claim("w"))
    assert jobs.purge(now() - SECOND) == 0
    assert jobs.purge(now() + SECOND) == 1
    assert JobRow.objects.count() == 2


ANNA, BOB = Address.parse("Anna@x.test"), Address.parse("bob@y.test")


def test_a_report_is_committed_once_and_sealed(store, kek):
    reports = StoreReports(kek)
    for _ in range(2):
        reports.failure(b"a" * 32, BOB, ANNA, b"Subject: very private\r\n")
    job = jobs.claim("w", kinds=[REPORT])
    assert sealed_by(job.sealed) == kek.id
    assert b64encode(b"Subject: very private") not in job.sealed
    with pytest.raises(SealError):
        reports.open(replace(job, id=uuid7()))
    report = reports.open(job)
    assert (str(report.recipient), report.content) == ("Anna@x.test", b"Subject: very private\r\n")
    jobs.done(job)
    assert JobRow.objects.get().sealed is None
    reports.failure(b"a" * 32, BOB, ANNA, b"again")
    assert jobs.claim("w") is None
    with pytest.raises(ValueError):
        reports.open(jobs.Job(job.id, REPORT, 1, 1, {}, None, None, job.created))


def test_a_report_keeps_its_way(store, kek):
    """Also one of an earlier release, which knew no way but the domain's."""
    reports = StoreReports(kek)
    for number, hop in enumerate((Hop.NEIGHBOUR, None)):
        reports.failure(bytes([number]) * 32, BOB, ANNA, b"report", hop)
        job = jobs.claim("w", kinds=[REPORT])
        assert reports.open(job).hop is hop
        jobs.done(job)
    old = b'{"to": "anna@x.test", "report": ""}'
    assert reports.open(replace(job, sealed=kek.seal(old, identity=jobs.identity(job.id)))).hop is None


def test_smtp_concludes_in_one_commit(store, kek, monkeypatch):
    """Half of it would be a second report, or an identical later mail that is taken for settled, and so lost."""
    attempt, ledger = b"a" * 32, StoreLedger()
    settled = Outcome(BOB, Fate.RELAYED, ACCEPTED)
    reports = StoreReports(kek)
    for sender, report in ((None, None), (ANNA, b"report"), (ANNA, b"report")):
        ledger.settle(attempt, [settled])
        reports.conclude_smtp(attempt, sender, report)
        assert not ledger.settled(attempt)
        job = jobs.claim("w")
        assert (job is None) == (report is None)
        if job is not None:
            jobs.done(job)

    def fail(_attempt):
        raise StoreUnavailable("it went away")

    ledger.settle(attempt, [settled])
    monkeypatch.setattr("mailseal.store.ledger.forget", fail)
    with pytest.raises(StoreUnavailable):
        reports.conclude_smtp(attempt, ANNA, b"report")
    assert jobs.claim("w") is None
    assert ledger.settled(attempt)


def test_the_node_name_comes_from_the_configuration(store):
    assert use.__kwdefaults__ == {"node": "localhost"}
    jobs.enqueue("mend")
    assert JobRow.objects.get().node == "mx1"
