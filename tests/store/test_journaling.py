"""Journal addresses in the store; reports that were not opened: kept once, tried again, listed, never lost."""

import ipaddress
from dataclasses import replace
from datetime import timedelta

import pytest

from mailseal.keys.sealing import SealError
from mailseal.mail.address import Address
from mailseal.mail.message import Message
from mailseal.policy.reason import ReasonCode, because
from mailseal.ports import Journal, OnUnopened, Unopened
from mailseal.store import domains, jobs, journal_failures, journaling, stored_messages
from mailseal.store.journaling import BrokenJournalError, JournalError, StoreJournals
from mailseal.store.journaling_models import JournalAddressRow, JournalFailureRow
from mailseal.store.row import utc_now
from mailseal.store.stamps import Scope, stamps
from mailseal.store.stored_message_models import StoredMessageRow

JOURNAL, ARCHIVE = Address.parse("Journal@alpha.example"), Address.parse("Archive@alpha.example")
WHY = (because(ReasonCode.KEY_NOT_FOUND), because(ReasonCode.JOURNAL_NOT_OPENED))
MAIL = Message(b"From: a@b.example\r\n\r\nreport\r\n")
TOLD = Unopened(b"\1" * 32, JOURNAL, Address.parse("ex@alpha.example"), "<1@alpha.example>", WHY)


@pytest.fixture
def journals(store, kek) -> StoreJournals:
    domains.add("alpha.example")
    return StoreJournals(kek)


def settings_stamp() -> int:
    return sum(value for (scope, _), value in stamps().items() if scope == Scope.SETTINGS)


def test_what_is_set_up_is_found_however_it_is_written(journals):
    networks = (ipaddress.ip_network("40.92.0.0/15"), ipaddress.ip_network("2001:db8::/32"))
    before = settings_stamp()
    made = journaling.add(JOURNAL, ARCHIVE, on_unopened=OnUnopened.KEEP, networks=networks)
    assert settings_stamp() > before
    found = journals.of(Address.parse("JOURNAL@Alpha.example"))
    assert found == made == Journal(JOURNAL, ARCHIVE, OnUnopened.KEEP, networks)
    assert (str(found.address), str(found.archive)) == ("Journal@alpha.example", "Archive@alpha.example")
    assert journals.of(Address.parse("journal@sub.alpha.example")) is None


def test_it_is_read_once_until_something_changes(journals):
    journaling.add(JOURNAL, ARCHIVE)
    assert journals.of(JOURNAL) is not None
    journaling.remove(JOURNAL)
    assert journals.of(JOURNAL) is not None
    journals.clear()
    assert journals.of(JOURNAL) is None


def test_adding_again_changes_it(journals):
    journaling.add(JOURNAL, ARCHIVE)
    journaling.add(Address.parse("journal@alpha.example"), Address.parse("new@alpha.example"))
    [one] = journaling.list_journals()
    assert str(one.journal.archive) == "new@alpha.example"


def test_an_archive_outside_has_to_be_meant(journals):
    outside = Address.parse("us@archive.example")
    with pytest.raises(JournalError, match="--outside"):
        journaling.add(JOURNAL, outside)
    assert journaling.add(JOURNAL, outside, outside=True).outside
    assert journals.of(JOURNAL).outside


@pytest.mark.parametrize(
    ("address", "archive"),
    [(JOURNAL, JOURNAL), (Address.parse("second@alpha.example"), JOURNAL), (ARCHIVE, Address.parse("c@alpha.example"))],
)
def test_reports_do_not_go_round(journals, address, archive):
    journaling.add(JOURNAL, ARCHIVE)
    with pytest.raises(JournalError, match="go round"):
        journaling.add(address, archive)


def test_a_row_that_cannot_be_read_makes_mail_wait(journals):
    journaling.add(JOURNAL, ARCHIVE)
    JournalAddressRow.objects.update(on_failure="shred")
    with pytest.raises(BrokenJournalError):
        journals.of(ARCHIVE)


# ---- reports that were not opened


def test_kept_once_however_often_it_comes(journals, kek):
    assert not journals.has(TOLD.attempt, JOURNAL)
    for _ in range(2):
        journals.keep(TOLD, MAIL)
    assert journals.has(TOLD.attempt, JOURNAL)
    [one] = journal_failures.list_failures()
    assert (one.journal, one.sender, one.message_id) == (
        "journal@alpha.example",
        "ex@alpha.example",
        "<1@alpha.example>",
    )
    assert (one.reasons, one.size_bytes, one.tries, one.ended) == (WHY, len(MAIL.raw), 0, None)
    assert b"".join(stored_messages.pieces(one.kept, kek)) == MAIL.raw
    assert StoredMessageRow.objects.count() == 1


def test_kept_once_by_workers_at_the_same_time(journals, in_threads):
    in_threads(lambda _: journals.keep(TOLD, MAIL), 4)
    assert len(journal_failures.list_failures()) == 1
    assert StoredMessageRow.objects.filter(complete=True).count() == 1
    assert StoredMessageRow.objects.count() == 1


def test_each_journal_and_each_attempt_has_its_own(journals):
    for told in (TOLD, replace(TOLD, attempt=b"\2" * 32), replace(TOLD, journal=Address.parse("j2@alpha.example"))):
        journals.keep(told, MAIL)
    assert len(journal_failures.list_failures()) == 3
    assert len(journal_failures.list_failures(journal=JOURNAL)) == 2


def test_noted_and_later_kept(journals):
    for _ in range(2):
        journals.note(TOLD)
    assert not journals.has(TOLD.attempt, JOURNAL)
    assert [one.kept for one in journal_failures.list_failures()] == [None]
    journals.keep(TOLD, MAIL)
    [one] = journal_failures.list_failures(kept=True)
    assert one.kept is not None
    journals.note(TOLD)
    assert [one.kept for one in journal_failures.list_failures()] == [one.kept]


def test_what_a_stranger_writes_is_storable(journals):
    told = replace(TOLD, sender=None, message_id="<\0\ud800" + "x" * 2000)
    journals.keep(told, MAIL)
    [one] = journal_failures.list_failures()
    assert (one.sender, len(one.message_id)) == ("", 400)


def test_pages(journals):
    for number in range(5):
        journals.note(replace(TOLD, attempt=bytes([number]) * 32))
    first = journal_failures.list_failures(limit=3)
    rest = journal_failures.list_failures(before=first[-1].id)
    assert [one.attempt[:2] for one in (*first, *rest)] == ["04", "03", "02", "01", "00"]


def test_what_lists_them_counts_them(journals):
    journaling.add(JOURNAL, ARCHIVE)
    journals.keep(TOLD, MAIL)
    journals.note(replace(TOLD, attempt=b"\2" * 32))
    [one] = journaling.list_journals()
    assert (one.kept, one.passed) == (1, 1)


def test_no_address_is_removed_while_reports_to_it_are_kept(journals):
    journaling.add(JOURNAL, ARCHIVE)
    journals.keep(TOLD, MAIL)
    with pytest.raises(JournalError, match="retry"):
        journaling.remove(JOURNAL)
    journal_failures.sent(journal_failures.list_failures()[0].id)
    assert journaling.remove(JOURNAL)
    assert not journaling.remove(JOURNAL)


def test_another_try_in_vain(journals):
    journals.keep(TOLD, MAIL)
    [one] = journal_failures.list_failures()
    why = (because(ReasonCode.DECRYPTION_FAILED),)
    journal_failures.stays_shut(one.id, why)
    journal_failures.not_sent(one.id, "x" * 2000)
    found = journal_failures.find(one.id)
    assert (found.reasons, found.tries, len(found.error)) == (why, 1, 500)
    assert found.kept == one.kept


def test_sent_on_it_is_deleted_and_known_for_a_while(journals, kek):
    journals.keep(TOLD, MAIL)
    [one] = journal_failures.list_failures()
    for _ in range(2):
        journal_failures.sent(one.id)
    assert journal_failures.list_failures() == ()
    assert journal_failures.find(one.id).ended is not None
    assert not StoredMessageRow.objects.exists()
    assert journals.has(TOLD.attempt, JOURNAL), "the client may not have had our reply"
    with pytest.raises(SealError):
        b"".join(stored_messages.pieces(one.kept, kek))


def test_tried_again_by_the_worker_once_at_a_time(journals):
    journals.keep(TOLD, MAIL)
    kept = journal_failures.kept()
    assert journal_failures.retry(kept) == 1
    assert journal_failures.retry(kept) == 0
    assert journal_failures.retry(kept, as_it_came=True) == 1
    payloads = [jobs.claim("w", kinds=[journal_failures.RETRY]).payload for _ in range(2)]
    assert {one["as_it_came"] for one in payloads} == {True, False}
    assert {one["failure"] for one in payloads} == {str(kept[0])}


def test_what_is_kept_is_never_purged(journals):
    journals.keep(TOLD, MAIL)
    journals.note(replace(TOLD, attempt=b"\2" * 32))
    journals.note(replace(TOLD, attempt=b"\3" * 32))
    JournalFailureRow.objects.exclude(attempt="03" * 32).update(created=utc_now() - timedelta(days=100))
    assert journal_failures.purge(utc_now() - timedelta(days=90)) == 1
    assert {one.attempt[:2] for one in journal_failures.list_failures()} == {"01", "03"}
