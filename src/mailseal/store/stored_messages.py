"""Mails that wait here: in pieces of at most 1 MiB, encrypted with a key of the mail's own (architecture, section 4).

Only that key is sealed with the KEK, so a new KEK leaves the pieces alone. Each piece is a transaction of its own: one
of 50 MB would keep all other writers waiting, on a cluster those of all nodes. A mail counts once it is complete.
"""

from collections.abc import Iterator
from datetime import timedelta
from mmap import mmap
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet

from mailseal.keys.message_key import MessageKey
from mailseal.keys.sealing import BrokenSealError, SealError, sealed_by
from mailseal.store.pace import Turn
from mailseal.store.private_keys import Sealing
from mailseal.store.purge import delete_all
from mailseal.store.row import utc_now, uuid7
from mailseal.store.stored_message_models import MessageChunkRow, StoredMessageRow
from mailseal.store.transaction import read, run

CHUNK_BYTES = 1 << 20
PIECES_AT_ONCE = 4
INCOMPLETE_HOURS = 24
"""After which what was begun and never completed is deleted: its writer has died, and the client tried again."""


class MessageMissingError(SealError):
    """There is no such mail (any more)."""


def identity(message: UUID) -> bytes:
    """What a sealed key of a mail, and its pieces, are bound to."""
    return b"store_message:" + message.bytes


def put(octets: bytes | mmap, sealing: Sealing) -> UUID:
    """Store a mail, piece by piece; nobody finds it before `complete`. Raises SealError, StoreUnavailable."""
    message = uuid7()
    key = MessageKey.generate(identity(message))
    sealed = sealing.seal(key.octets, identity=identity(message))
    row = StoredMessageRow(id=message, kek_id=sealed_by(sealed), sealed=sealed)
    run(lambda: row.save(force_insert=True))
    count = max(1, -(-len(octets) // CHUNK_BYTES))
    for number in range(count):
        piece = octets[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES]
        sealed_piece = key.seal(piece, number, last=number == count - 1)
        chunk = MessageChunkRow(message_id=message, number=number, octets=sealed_piece)
        run(lambda chunk=chunk: chunk.save(force_insert=True))  # type: ignore[misc]
    run(lambda: StoredMessageRow.objects.filter(pk=message).update(size_bytes=len(octets), chunks=count))
    return message


def complete(message: UUID) -> None:
    """From now on it is a mail; in the caller's transaction, with the row that refers to it."""
    StoredMessageRow.objects.filter(pk=message).update(complete=True)


def pieces(message: UUID, sealing: Sealing) -> Iterator[bytes]:
    """The octets of a complete mail, a piece at a time; raises MessageMissingError, another SealError."""
    row = read(lambda: StoredMessageRow.objects.filter(pk=message, complete=True).first())
    if row is None:
        raise MessageMissingError("the mail is no longer stored")
    key = MessageKey(sealing.open(bytes(row.sealed), identity=identity(message)), identity(message))
    for number in range(row.chunks):
        yield key.open(_octets(message, number), number, last=number == row.chunks - 1)


def _octets(message: UUID, number: int) -> bytes:
    rows = MessageChunkRow.objects.filter(message_id=message, number=number)
    found = read(lambda: rows.values_list("octets", flat=True).first())
    if found is None:
        raise BrokenSealError("a piece of a stored mail is missing")
    return bytes(found)


def delete(message: UUID) -> None:
    """Delete a mail for good, in the caller's transaction."""
    MessageChunkRow.objects.filter(message_id=message).delete()
    StoredMessageRow.objects.filter(pk=message).delete()


def drop_unless_held(message: UUID) -> None:
    """In the caller's transaction: what no row refers to any more is no mail any more; `delete_dropped` deletes it."""
    # Locked, so that nobody refers to it anew meanwhile.
    StoredMessageRow.objects.select_for_update().filter(pk=message).values("pk").first()
    _unheld().filter(pk=message).update(complete=False)


def delete_dropped(message: UUID) -> None:
    """Delete the pieces of what is no mail, a few at a time: deleting 50 MB at once would keep all others waiting."""
    pieces_of = MessageChunkRow.objects.filter(message_id=message, message__complete=False)
    while found := read(lambda: list(pieces_of.values_list("pk", flat=True)[:PIECES_AT_ONCE])):
        run(lambda found=found: MessageChunkRow.objects.filter(pk__in=found).delete())  # type: ignore[misc]
    run(lambda: StoredMessageRow.objects.filter(pk=message, complete=False).delete())


def _unheld() -> QuerySet[StoredMessageRow]:
    """Mails that no row of any other table refers to."""
    rows = StoredMessageRow.objects.all()
    for relation in StoredMessageRow._meta.related_objects:  # noqa: SLF001 -- documented API
        if relation.related_model is not MessageChunkRow:
            of_it = {relation.field.name: OuterRef("pk")}
            rows = rows.filter(~Exists(relation.related_model._default_manager.filter(**of_it)))  # noqa: SLF001 -- as above
    return rows


def purge(turn: Turn | None = None) -> int:
    """Delete mails that were begun long ago and never completed; returns how many."""
    old = utc_now() - timedelta(hours=INCOMPLETE_HOURS)
    return delete_all(StoredMessageRow.objects.filter(complete=False, created__lt=old), turn)
