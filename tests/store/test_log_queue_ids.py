"""From a mail to the same mail in the queue of an MTA: the IDs come by the journal and are found."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mailseal.mail.address import Address
from mailseal.mail.reply import ACCEPTED, NOT_PROTECTED
from mailseal.policy.model import Fate, Outcome
from mailseal.store import log, records
from mailseal.store.journal import Imported, JournalWriter, LogRecord, import_journals
from mailseal.store.log import LogFilter
from mailseal.store.queue_models import LogQueueRow

ANNA, BOB, EVE = (Address.parse(f"{name}@Example.com") for name in ("Anna", "bob", "eve"))
AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FIRST, SECOND = "4dJmVf1Bqmz9sTz", "4dJmVg2lRwz9sV0"


def record(number=0, *, recipient=BOB, fate=Fate.RELAYED, reply="Ok: queued as " + SECOND, queue_id=FIRST):
    answer = replace(ACCEPTED, text=reply) if fate is Fate.RELAYED else NOT_PROTECTED
    return LogRecord(f"m{number}", AT, ANNA, "out", Outcome(recipient, fate, answer), queue_id=queue_id)


@pytest.fixture
def put(store, tmp_path):
    writer = JournalWriter(tmp_path)

    def put(*written):
        writer.append(written)
        return import_journals(tmp_path)

    yield put
    writer.close()


def found(queue_id, **more):
    return [one.message for one in log.search(LogFilter(queue_id=queue_id, **more))]


def test_both_ids_of_a_row_lead_to_it(put):
    put(record(1), record(2, queue_id=""), record(3, reply="accepted", queue_id="x" * 80))
    third, second, first = log.search(LogFilter())
    assert (first.queue_id, first.sent_as) == (FIRST, SECOND)
    assert (second.queue_id, second.sent_as) == ("", SECOND)
    assert (third.queue_id, third.sent_as) == ("x" * 64, "")
    assert found(FIRST) == ["m1"]
    assert found(SECOND) == ["m2", "m1"]
    assert found(FIRST.upper()) == found("") == []
    assert found(SECOND, recipient=str(BOB), fate=Fate.RELAYED) == ["m2", "m1"]
    assert found(SECOND, recipient=str(EVE)) == []


def test_what_has_neither_takes_no_row(put):
    put(record(1, reply="accepted", queue_id=""), record(2, fate=Fate.REFUSED, queue_id=""))
    assert LogQueueRow.objects.count() == 0
    assert [one.queue_id for one in log.search(LogFilter())] == ["", ""]


def test_importing_twice_stores_once(put):
    one = record(1)
    assert put(one).rows == 1
    assert put(one) == Imported(rows=0)
    assert found(FIRST) == ["m1"]


def test_lines_of_an_earlier_release_are_read(store, tmp_path):
    values = json.loads(record(1).line())
    lines = [values[: 1 + len(records.LOG_COLUMNS)], values[:-1], [*values, ""], [*values[:-1], None]]
    (tmp_path / "x.journal").write_bytes(b"".join(json.dumps(one).encode() + b"\n" for one in lines))
    assert import_journals(tmp_path) == Imported(rows=1, bad_lines=3, deleted_files=1)
    (entry,) = log.search(LogFilter())
    assert (entry.message, entry.queue_id, entry.sent_as) == ("m1", "", "")


def test_the_latest_of_each_recipient_of_a_waiting_mail(put):
    put(record(1, fate=Fate.DEFERRED), record(2, recipient=EVE, fate=Fate.DEFERRED))
    put(record(3, recipient=EVE), record(4, queue_id="another", reply=f"queued as {FIRST}"))
    latest = log.latest(FIRST)
    assert {key: entry.message for key, entry in latest.items()} == {BOB.key: "m1", EVE.key: "m3"}
    assert log.latest("4nowhere") == {}


def test_purge_takes_them_along(put):
    put(record(1))
    log.purge(datetime.now(UTC) - timedelta(minutes=1))
    assert LogQueueRow.objects.count() == 1
    log.purge(datetime.now(UTC) + timedelta(minutes=1))
    assert LogQueueRow.objects.count() == 0
