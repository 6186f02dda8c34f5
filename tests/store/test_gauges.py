"""What metrics ask of the store: queues, journals, certificates that wait, keys that expire."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.policy.model import Fate, Outcome
from mailseal.store import gauges, jobs
from mailseal.store.journal import JournalWriter, import_journals
from mailseal.store.models import CertificateRow, CertificateUse
from mailseal.store.records import LogRecord
from mailseal.store.row import storable

ANNA = Address.parse("anna@alpha.example")
DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(microsecond=0)


def test_jobs_by_kind_and_how_late_the_oldest_is(store):
    now = datetime.now(UTC)
    jobs.enqueue("a", run_at=now - 100 * timedelta(seconds=1))
    jobs.enqueue("a", run_at=now - 10 * timedelta(seconds=1), node=jobs.ANY_NODE)
    jobs.enqueue("b", run_at=now + DAY)
    jobs.enqueue("c", node="mx2", run_at=now - DAY)
    jobs.enqueue("d", run_at=now - DAY)
    assert jobs.claim("w", kinds=["d"])
    found = gauges.jobs_waiting(["a", "b", "c", "d"])
    assert {kind: one.count for kind, one in found.items()} == {"a": 2, "b": 1, "c": 0, "d": 0}
    assert found["a"].lag_seconds == pytest.approx(100, abs=30)
    assert found["b"].lag_seconds == 0


def record(at):
    return LogRecord("00", at, ANNA, "out", Outcome(ANNA, Fate.RELAYED, reply.ACCEPTED))


def test_a_journal_that_is_deleted_while_they_are_counted(store, tmp_path):
    (tmp_path / "a.journal").symlink_to(tmp_path / "gone")
    (tmp_path / "b.journal").write_bytes(b"12345")
    assert gauges.journals(tmp_path).size_bytes == 5


def test_how_far_the_journals_are_imported(store, tmp_path):
    began = datetime.now(UTC)
    assert gauges.journals(tmp_path).imported >= began
    writer = JournalWriter(tmp_path)
    writer.append([record(NOW - 3 * DAY)])
    import_journals(tmp_path)
    found = gauges.journals(tmp_path)
    assert found.imported >= began
    assert found.size_bytes > 0

    writer.append([record(NOW - 2 * DAY), record(NOW - 1 * DAY)])
    assert gauges.journals(tmp_path).imported == NOW - 2 * DAY

    import_journals(tmp_path)
    writer.close()
    import_journals(tmp_path)
    found = gauges.journals(tmp_path)
    assert found.imported >= began
    assert found.size_bytes == 0


def test_a_journal_that_cannot_be_read_stops_no_measuring(store, tmp_path):
    (tmp_path / "x.journal").write_bytes(b"\xff{not json\n")
    (tmp_path / "y.journal").mkdir()
    began = datetime.now(UTC)
    assert gauges.journals(tmp_path).imported >= began


def certificate(*owners, until, since=NOW - DAY, bound=True, due=None):
    name = os.urandom(8).hex()
    row = CertificateRow.objects.create(
        fingerprint=name, purpose="end-entity", bound=bound, der=b"", spki_sha256=name, subject=storable(name),
        issuer=name, subject_sha256=name, issuer_sha256=name, serial="1", key_algorithm="rsa", not_before=since,
        not_after=until, valid_from=since, valid_until=until, revocation="good", due=due,
    )  # fmt: skip
    for owner in owners:
        CertificateUse.objects.create(certificate=row, owner=owner, kind="san")


def test_certificates_that_wait_to_be_judged(store):
    certificate(until=NOW + DAY, due=NOW - DAY)
    certificate(until=NOW + DAY, due=NOW + DAY)
    certificate(until=NOW + DAY)
    assert gauges.certificates_due() == 1


def test_keys_that_expire_unless_others_take_their_place(store):
    assert gauges.expiry() == gauges.Expiry(None, 0)
    certificate("past@x.example", until=NOW - DAY)
    certificate("stranger@x.example", until=NOW + DAY, bound=False)
    certificate("renewed@x.example", until=NOW + 2 * DAY)
    certificate("renewed@x.example", until=NOW + 400 * DAY, since=NOW)
    assert gauges.expiry() == gauges.Expiry(NOW + 400 * DAY, 0)
    certificate("half@x.example", "renewed@x.example", until=NOW + 20 * DAY)
    certificate("alone@x.example", until=NOW + 10 * DAY)
    certificate("later@x.example", until=NOW + 40 * DAY)
    assert gauges.expiry() == gauges.Expiry(NOW + 10 * DAY, 2)


def test_of_a_pair_for_signing_and_for_encryption_each_counts(store):
    """They are made together and may end apart: neither replaces the other."""
    certificate("pair@x.example", until=NOW + 5 * DAY)
    certificate("pair@x.example", until=NOW + 300 * DAY)
    assert gauges.expiry() == gauges.Expiry(NOW + 5 * DAY, 1)
