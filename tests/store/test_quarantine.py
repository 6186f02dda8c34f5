"""Held mails in the store: once per attempt and recipient, whole, sealed, found again; and ended with nothing left."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.db.models import ProtectedError

from held_mails import ANNA, CARD, PLACE, RAW, SECRET, WHY, X, Y, envelope, held, message
from mailseal.keys.sealing import Kek, SealError, sealed_by
from mailseal.mail.address import Address
from mailseal.policy.held import WhyHeld
from mailseal.store import (
    quarantine,
    quarantine_actions,
    quarantine_events,
    quarantine_work,
    rewrap,
    stored_messages,
)
from mailseal.store.log import LogFilterError
from mailseal.store.quarantine import HeldFilter, NotHeldError, NotStoredError, State, StoreQuarantine
from mailseal.store.quarantine_events import Actor
from mailseal.store.quarantine_models import QuarantineEventRow, QuarantineRow
from mailseal.store.stored_message_models import MessageChunkRow, StoredMessageRow
from mailseal.store.transaction import connection

PIA = Actor("user:pia", "pia")


@pytest.fixture
def port(store, kek) -> StoreQuarantine:
    return StoreQuarantine(kek)


def ids(wanted: HeldFilter | None = None, **more) -> list[str]:
    return [str(one.id) for one in quarantine.search(wanted or HeldFilter(), **more)]


def test_what_is_held_is_whole_again(port, kek):
    one = UUID(port.hold(held(), message()))

    mail = quarantine.find(one)
    assert (mail.sender, mail.recipient, mail.message_id) == (ANNA, X, "<1@alpha.example>")
    assert (mail.state, mail.why, mail.reasons, mail.size_bytes) == (State.HELD, "dlp", WHY, len(RAW))
    assert mail.expires - mail.created == timedelta(days=30)
    assert mail.findings == ({"name": "cards", "action": "quarantine", "count": 2},)
    assert quarantine.octets(mail, kek) == RAW
    details = quarantine.details(one, kek)
    assert (details.envelope, details.subject, details.findings) == (envelope(), "numbers", (CARD,))
    [event] = quarantine_events.list_events(one)
    assert (event.action, event.actor.key, event.mail, event.recipient) == ("held", "mailseal", mail.mail, X)


def test_the_null_sender(port, kek):
    one = UUID(port.hold(held(sender=None), message()))
    assert quarantine.details(one, kek).envelope.sender is None
    assert ids(HeldFilter(sender="<>")) == [str(one)]


def test_nothing_of_the_content_is_stored_in_clear(port):
    port.hold(held(), message())
    for model in (QuarantineRow, QuarantineEventRow, StoredMessageRow, MessageChunkRow):
        with connection().cursor() as cursor:
            cursor.execute(f"SELECT * FROM {model._meta.db_table}")
            stored = repr(cursor.fetchall())
        for secret in ("4111", SECRET, "numbers", "QQ314159", "x+2Bold"):
            assert secret not in stored, (model, secret)


def test_the_same_attempt_is_held_once(port):
    assert not port.has(held().attempt, Address.parse(X))
    first = port.hold(held(), message())
    assert port.hold(held(), message()) == first
    assert port.has(held().attempt, Address.parse(X.lower()))
    assert not port.has(held().attempt, Address.parse(Y))
    assert (QuarantineRow.objects.count(), StoredMessageRow.objects.count()) == (1, 1)


def test_what_was_decided_upon_is_not_held_again_by_the_same_attempt(port):
    first = port.hold(held(), message())
    quarantine_actions.delete(UUID(first), PIA)
    assert port.has(held().attempt, Address.parse(X))
    assert port.hold(held(), message()) == first
    assert ids() == []


def test_after_the_250_of_smtp_an_identical_mail_is_a_new_one(port):
    first = port.hold(held(), message())
    quarantine.conclude(held().attempt)
    assert not port.has(held().attempt, Address.parse(X))
    second = port.hold(held(), message())
    assert second != first
    assert ids() == [second, first]


def test_where_no_250_was_said_it_is_a_new_one_when_nobody_tries_again_any_more(port, monkeypatch):
    monkeypatch.setattr(quarantine_work, "FORGOTTEN_AT_ONCE", 1)
    old = datetime.now(UTC) - timedelta(days=7)
    first = UUID(port.hold(held(at=old), message()))
    port.hold(held(Y, at=old), message())
    port.hold(held(number=2), message())
    quarantine_work.forget_attempts(datetime.now(UTC) - timedelta(days=6))
    assert not port.has(held().attempt, Address.parse(X))
    assert not port.has(held().attempt, Address.parse(Y))
    assert port.has(held(number=2).attempt, Address.parse(X))
    assert quarantine.find(first).state is State.HELD
    assert UUID(port.hold(held(), message())) != first


def test_what_went_while_it_was_stored_is_not_said_to_be_held(port, monkeypatch):
    real = stored_messages.put

    def put_and_lost(*arguments: object) -> UUID:
        stored = real(*arguments)
        stored_messages.delete(stored)
        return stored

    monkeypatch.setattr(stored_messages, "put", put_and_lost)
    with pytest.raises(NotStoredError):
        port.hold(held(), message())
    assert not QuarantineRow.objects.exists()


def test_two_workers_with_the_same_mail(port, in_threads):
    found = in_threads(lambda _: port.hold(held(), message()), 4)
    assert len(set(found)) == 1
    assert (QuarantineRow.objects.count(), StoredMessageRow.objects.count()) == (1, 1)
    assert QuarantineEventRow.objects.count() == 1


def test_recipients_share_what_is_stored_and_the_last_takes_it_along(port, kek, in_threads):
    first, second = UUID(port.hold(held(X), message())), UUID(port.hold(held(Y), message()))
    assert StoredMessageRow.objects.count() == 1

    quarantine_actions.delete(first, PIA)
    assert quarantine.octets(quarantine.find(second), kek) == RAW

    quarantine_actions.delete(second, PIA)
    assert not StoredMessageRow.objects.filter(complete=True).exists()
    with pytest.raises(NotHeldError, match="no longer stored"):
        quarantine.octets(quarantine.find(second), kek)


def test_two_ends_at_once_leave_nothing(port, in_threads):
    both = [UUID(port.hold(held(to), message())) for to in (X, Y)]
    in_threads(lambda number: quarantine_actions.delete(both[number], PIA), 2)
    assert not StoredMessageRow.objects.filter(complete=True).exists()


def test_held_for_another_while_the_first_is_deleted(port, kek, meanwhile):
    first = UUID(port.hold(held(X), message()))
    with meanwhile("INSERT INTO store_quarantine ", lambda: quarantine_actions.delete(first, PIA)):
        second = UUID(port.hold(held(Y), message()))
    assert quarantine.octets(quarantine.find(second), kek) == RAW
    assert quarantine.find(first).state is State.DELETED


def test_a_cut_off_hold_leaves_no_row(port, monkeypatch):
    def dies(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(quarantine_events, "add", dies)
    with pytest.raises(KeyboardInterrupt):
        port.hold(held(), message())
    monkeypatch.undo()
    assert not QuarantineRow.objects.exists()
    assert not StoredMessageRow.objects.filter(complete=True).exists()
    assert port.hold(held(), message())


def test_searched(port):
    old = datetime.now(UTC) - timedelta(days=2)
    mine = port.hold(held(X, number=1), message())
    others = port.hold(held(Y, number=2, sender="bert@beta.example", why=WhyHeld.AMBIGUOUS), message())
    done = port.hold(held(X, number=3), message())
    quarantine_actions.delete(UUID(done), PIA)

    assert ids() == [others, mine]
    assert ids(HeldFilter(states=None)) == [done, others, mine]
    assert ids(HeldFilter(states=(State.DELETED,))) == [done]
    assert ids(HeldFilter(sender="anna@ALPHA.example")) == [mine]
    assert ids(HeldFilter(sender="beta.example")) == [others]
    assert ids(HeldFilter(recipient="out.example")) == [others, mine]
    assert ids(HeldFilter(recipient="x@out.example")) == [mine]
    assert ids(HeldFilter(why=WhyHeld.AMBIGUOUS)) == [others]
    assert ids(HeldFilter(mail=quarantine.find(UUID(mine)).mail)) == [mine]
    assert ids(HeldFilter(since=old)) == [others, mine]
    assert ids(HeldFilter(until=old)) == []
    assert ids(limit=1) == [others]
    assert ids(before=UUID(others)) == [mine]
    assert quarantine.of_mails(frozenset([quarantine.find(UUID(mine)).mail])) == {
        (quarantine.find(UUID(mine)).mail, Address.parse(X).key): UUID(mine)
    }
    with pytest.raises(LogFilterError):
        ids(HeldFilter(sender="a@b@c"))
    with pytest.raises(NotHeldError):
        quarantine.find(uuid4())


def test_a_new_kek_seals_what_is_known_of_it(port, kek):
    one = UUID(port.hold(held(), message()))
    new = Kek(b"n" * 32)

    class Ring:
        def open(self, sealed, *, identity):
            return (kek if sealed_by(sealed) == kek.id else new).open(sealed, identity=identity)

        def kek(self, _):
            return new

    pieces = list(MessageChunkRow.objects.values_list("octets", flat=True))
    assert rewrap.rewrap(Ring(), new.id).moved == 2
    assert QuarantineRow.objects.get().kek_id == new.id
    assert quarantine.details(one, new).findings == (CARD,)
    assert quarantine.octets(quarantine.find(one), new) == RAW
    assert list(MessageChunkRow.objects.values_list("octets", flat=True)) == pieces
    with pytest.raises(SealError):
        quarantine.details(one, kek)


def test_what_is_damaged_is_not_shown_as_whole(port, kek):
    one = UUID(port.hold(held(), message()))
    MessageChunkRow.objects.all().delete()
    with pytest.raises(SealError):
        quarantine.octets(quarantine.find(one), kek)
    QuarantineRow.objects.update(sealed=kek.seal(b'{"envelope": 7}', identity=b"store_quarantine:" + one.bytes))
    with pytest.raises(SealError, match="cannot be read"):
        quarantine.details(one, kek)


def test_many_pieces(port, kek, monkeypatch):
    monkeypatch.setattr(stored_messages, "CHUNK_BYTES", 10)
    one = UUID(port.hold(held(findings=(CARD, PLACE)), message()))
    assert MessageChunkRow.objects.count() == -(-len(RAW) // 10)
    assert quarantine.octets(quarantine.find(one), kek) == RAW
    stored = quarantine.find(one).stored
    stored_messages.delete_dropped(stored)
    assert quarantine.octets(quarantine.find(one), kek) == RAW, "it is held"
    quarantine_actions.delete(one, PIA)
    stored_messages.delete_dropped(stored)
    assert not MessageChunkRow.objects.exists()
    assert not StoredMessageRow.objects.exists()


def test_the_database_keeps_what_a_row_refers_to(port):
    port.hold(held(), message())
    with pytest.raises(ProtectedError):
        StoredMessageRow.objects.get().delete()
