"""Mails that wait for a search are tried by the node whose queue they are in, once it ends; nothing hangs on it."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from mailseal.config import from_values
from mailseal.mail.address import Address
from mailseal.roles import queue_try
from mailseal.roles.handlers import HANDLERS, Lane
from mailseal.roles.queue_client import QueueAwayError, QueueClient
from mailseal.store import jobs, lookup_waits, lookups
from mailseal.store.jobs import JobRow
from mailseal.store.lookup_waits import IDS, NODE, TRY
from mailseal.store.queue_models import LookupWaitRow

BOB, EVE = Address.parse("Bob@outside.example"), Address.parse("eve@outside.example")
NOW = datetime.now(UTC)
FIRST, SECOND, THIRD = "4dJmVf1Bqmz9sTz", "4dJmVg2lRwz9sV0", "4dJmVh3mSxz9sW1"


@dataclass
class Node:
    config: object


def waiting_jobs():
    rows = JobRow.objects.filter(kind=TRY).order_by("run_at")
    return [(row.node, row.payload[NODE], row.payload[IDS]) for row in rows]


def test_the_end_of_a_search_has_the_mails_tried_twice(store):
    lookups.start(BOB, NOW)
    lookup_waits.wait([BOB.key, EVE.key], SECOND)
    lookup_waits.wait([BOB.key], FIRST)
    lookup_waits.wait([BOB.key], FIRST)
    assert waiting_jobs() == []
    lookups.finish(BOB, 0, datetime.now(UTC))
    assert waiting_jobs() == [("mx1", "mx1", [FIRST, SECOND])] * 2
    assert [row.owner for row in LookupWaitRow.objects.all()] == [EVE.key]
    first, second = (row.run_at for row in JobRow.objects.filter(kind=TRY).order_by("run_at"))
    assert first - datetime.now(UTC) < timedelta(seconds=2)
    assert timedelta(seconds=5) < second - first < timedelta(seconds=15)
    lookups.finish(BOB, 0, datetime.now(UTC))
    assert len(waiting_jobs()) == 2


def test_a_search_that_ended_meanwhile_is_noticed(store):
    """It was running when the mail worker asked, and over when the worker noted the mail."""
    lookups.start(BOB, NOW)
    lookups.finish(BOB, 1, datetime.now(UTC))
    lookup_waits.wait([BOB.key], FIRST)
    assert waiting_jobs() == [("mx1", "mx1", [FIRST])] * 2
    assert not LookupWaitRow.objects.exists()


def test_each_node_tries_its_own(store, settings_node):
    lookups.start(BOB, NOW)
    lookup_waits.wait([BOB.key], FIRST)
    settings_node("mx2")
    lookup_waits.wait([BOB.key], SECOND)
    lookups.finish(BOB, 0, datetime.now(UTC))
    assert sorted(waiting_jobs()) == [("mx1", "mx1", [FIRST])] * 2 + [("mx2", "mx2", [SECOND])] * 2


def test_the_number_of_mails_is_bounded(store, monkeypatch):
    monkeypatch.setattr(lookup_waits, "MAX_WAITING", 2)
    lookups.start(BOB, NOW)
    for one in (FIRST, SECOND, THIRD):
        lookup_waits.wait([BOB.key], one)
    assert LookupWaitRow.objects.count() == 2


def test_what_nobody_ended_is_forgotten(store):
    lookup_waits.wait([BOB.key], FIRST)
    assert lookup_waits.purge(NOW - timedelta(days=2)) == 0
    assert lookup_waits.purge(datetime.now(UTC) + timedelta(seconds=1)) == 1


@pytest.fixture
def asked(monkeypatch):
    found = []
    monkeypatch.setattr(QueueClient, "try_now", lambda _self, ids: found.append(list(ids)))
    return found


@pytest.fixture
def node(tmp_path):
    return Node(from_values({"data_dir": str(tmp_path), "postfix": {"instance": "system"}}))


@pytest.fixture
def settings_node(store):
    from django.conf import settings  # noqa: PLC0415 -- as `configure.use` does

    def name(node):
        settings.MAILSEAL_NODE = node

    yield name
    name("mx1")


def job(node="mx1", ids=(FIRST, "-d", "ALL", SECOND)):
    jobs.enqueue(TRY, {NODE: node, IDS: list(ids)})
    return jobs.claim("w", kinds=[TRY])


def test_the_job_asks_postfix(store, node, asked):
    assert HANDLERS[TRY].lane is Lane.NETWORK
    assert queue_try.try_waiting(node, job()) is None
    assert asked == [[FIRST, SECOND]]


def test_the_queue_of_a_dead_node_is_not_ours(store, node, asked):
    assert queue_try.try_waiting(node, job("mx9")) is None
    assert asked == []


def test_a_queue_that_cannot_be_asked_fails_nothing(store, node, caplog, tmp_path):
    with pytest.raises(QueueAwayError):
        QueueClient(tmp_path / "run" / "queue").try_now([FIRST])
    assert queue_try.try_waiting(node, job()) is None
    assert "wait until Postfix tries them by itself" in caplog.text
    off = Node(from_values({"data_dir": os.fspath(tmp_path)}))
    assert queue_try.try_waiting(off, job()) is None
