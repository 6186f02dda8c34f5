"""Mails that wait here: in pieces, each in its place, under a key of their own that goes from KEK to KEK."""

from datetime import timedelta

import pytest

from mailseal.keys.sealing import BrokenSealError, Kek, SealError, sealed_by
from mailseal.store import rewrap, stored_messages
from mailseal.store.row import utc_now
from mailseal.store.stored_message_models import MessageChunkRow, StoredMessageRow
from mailseal.store.stored_messages import MessageMissingError
from mailseal.store.transaction import run


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(stored_messages, "CHUNK_BYTES", 10)


def stored(octets: bytes, kek: Kek):
    message = stored_messages.put(octets, kek)
    run(lambda: stored_messages.complete(message))
    return message


def octets(message, kek: Kek) -> bytes:
    return b"".join(stored_messages.pieces(message, kek))


@pytest.mark.parametrize("size", [0, 1, 10, 11, 20, 95])
def test_what_is_stored_comes_back(store, kek, size):
    mail = bytes(range(size))
    assert octets(stored(mail, kek), kek) == mail
    assert [len(bytes(one.octets)) <= 10 + 16 for one in MessageChunkRow.objects.all()] == [True] * max(
        1, -(-size // 10)
    )


def test_nothing_of_it_is_in_clear(store, kek):
    stored(b"The canary sings. " * 3, kek)
    rows = b"".join(bytes(one.octets) for one in MessageChunkRow.objects.all())
    assert b"canary" not in rows
    assert b"sings" not in rows


def test_a_mail_that_is_not_complete_is_none(store, kek):
    message = stored_messages.put(b"begun", kek)
    with pytest.raises(MessageMissingError):
        octets(message, kek)


@pytest.mark.parametrize("what", ["cut", "swapped", "doubled", "of another", "changed", "missing"])
def test_a_piece_belongs_to_its_place_and_its_mail(store, kek, what):
    message, other = stored(b"x" * 30, kek), stored(b"y" * 30, kek)
    rows = MessageChunkRow.objects.filter(message_id=message)
    first, second = (rows.get(number=number) for number in (0, 1))
    match what:
        case "cut":
            StoredMessageRow.objects.filter(pk=message).update(chunks=2)
        case "swapped":
            MessageChunkRow.objects.filter(pk=first.pk).update(octets=second.octets)
            MessageChunkRow.objects.filter(pk=second.pk).update(octets=first.octets)
        case "doubled":
            MessageChunkRow.objects.filter(pk=second.pk).update(octets=first.octets)
        case "of another":
            foreign = MessageChunkRow.objects.get(message_id=other, number=0)
            MessageChunkRow.objects.filter(pk=first.pk).update(octets=foreign.octets)
        case "changed":
            MessageChunkRow.objects.filter(pk=first.pk).update(
                octets=bytes([first.octets[0] ^ 1]) + bytes(first.octets)[1:]
            )
        case "missing":
            first.delete()
    with pytest.raises(BrokenSealError):
        octets(message, kek)


def test_the_key_of_one_mail_opens_no_other(store, kek):
    message, other = stored(b"x" * 30, kek), stored(b"y" * 30, kek)
    sealed = StoredMessageRow.objects.get(pk=other).sealed
    StoredMessageRow.objects.filter(pk=message).update(sealed=sealed)
    with pytest.raises(SealError):
        octets(message, kek)


def test_a_new_kek_touches_no_piece(store, kek):
    message = stored(b"x" * 30, kek)
    before = list(MessageChunkRow.objects.order_by("pk").values_list("pk", "octets"))
    new = Kek(b"n" * 32)

    class Ring:
        """Both at hand."""

        def open(self, sealed, *, identity):
            return (kek if sealed_by(sealed) == kek.id else new).open(sealed, identity=identity)

        def kek(self, _):
            return new

    assert rewrap.rewrap(Ring(), new.id).moved == 1
    assert list(MessageChunkRow.objects.order_by("pk").values_list("pk", "octets")) == before
    assert StoredMessageRow.objects.get(pk=message).kek_id == new.id
    assert octets(message, new) == b"x" * 30
    with pytest.raises(SealError):
        octets(message, kek)


def test_deleted_with_all_pieces(store, kek):
    message, other = stored(b"x" * 30, kek), stored(b"y" * 30, kek)
    run(lambda: stored_messages.delete(message))
    assert octets(other, kek) == b"y" * 30
    assert not MessageChunkRow.objects.filter(message_id=message).exists()
    with pytest.raises(MessageMissingError):
        octets(message, kek)


def test_what_was_begun_and_never_completed_is_purged(store, kek):
    begun, fresh, whole = (stored_messages.put(b"x" * 30, kek) for _ in range(3))
    run(lambda: stored_messages.complete(whole))
    StoredMessageRow.objects.exclude(pk=fresh).update(created=utc_now() - timedelta(days=2))
    assert stored_messages.purge() == 1
    assert set(StoredMessageRow.objects.values_list("pk", flat=True)) == {fresh, whole}
    assert not MessageChunkRow.objects.filter(message_id=begun).exists()
