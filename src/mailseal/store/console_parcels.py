"""What goes between web and worker at rest: pieces of at most 1 MiB under a key of the parcel's own, sealed by HPKE.

Its key is bound to the job and the way it goes, so that no answer opens as a request or as another job's answer.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models.functions import Length

from mailseal.errors import PermanentError
from mailseal.keys.hpke import PrivateKey, PublicKey
from mailseal.keys.message_key import MessageKey
from mailseal.keys.sealing import BrokenSealError
from mailseal.store.console_models import ConsoleChunkRow, ConsoleParcelRow
from mailseal.store.pace import Turn
from mailseal.store.purge import delete_all
from mailseal.store.row import utc_now
from mailseal.store.transaction import read, run

CHUNK_BYTES: Final = 1 << 20
MAX_BYTES: Final = 26 << 20
"""25 MiB of an upload, and what is said of it."""
MAX_CHUNKS: Final = MAX_BYTES // CHUNK_BYTES
SEALED_BYTES: Final = CHUNK_BYTES + 1024
"""More than a piece has with what its encryption adds."""
ASK, RESULT = "ask", "result"


class ParcelTooLargeError(PermanentError):
    """It is larger than what is handed over."""


def _bound(job: UUID, way: str) -> bytes:
    return b"store_console_parcel:" + way.encode() + b":" + job.bytes


def put(job: UUID, way: str, octets: bytes, key: PublicKey, *, asker: str, expires: datetime) -> None:
    """Store it, piece by piece, each a transaction of its own; nobody finds it before `complete`.

    Takes the place of one that was begun before. Raises ParcelTooLargeError, StoreUnavailable.
    """
    if len(octets) > MAX_BYTES:
        raise ParcelTooLargeError(f"that is more than the {MAX_BYTES >> 20} MiB that are handed over")
    own = MessageKey.generate(_bound(job, way))
    count = max(1, -(-len(octets) // CHUNK_BYTES))
    row = ConsoleParcelRow(
        job=job, way=way, asker=asker, wrapped=key.seal(own.octets, info=_bound(job, way)), chunks=count,
        expires=expires,
    )  # fmt: skip

    def begin() -> None:
        _delete(job, way)
        row.save(force_insert=True)

    run(begin)
    for number in range(count):
        piece = octets[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES]
        sealed = own.seal(piece, number, last=number == count - 1)
        chunk = ConsoleChunkRow(parcel_id=row.pk, number=number, octets=sealed)
        run(lambda chunk=chunk: chunk.save(force_insert=True))  # type: ignore[misc]


def complete(job: UUID, way: str) -> None:
    """From now on it is one; in the caller's transaction."""
    ConsoleParcelRow.objects.filter(job=job, way=way).update(complete=True)


def is_there(job: UUID, way: str, *, asker: str) -> bool:
    """Whether it is one, of who asked, and has not expired."""
    rows = ConsoleParcelRow.objects.filter(job=job, way=way, asker=asker, complete=True, expires__gt=utc_now())
    return read(rows.exists)


def take(job: UUID, way: str, key: PrivateKey) -> bytes | None:
    """What is in it, None if there is none (any more); raises BrokenSealError."""
    rows = ConsoleParcelRow.objects.filter(job=job, way=way, complete=True, expires__gt=utc_now())
    row = read(rows.first)
    if row is None:
        return None
    if not 1 <= row.chunks <= MAX_CHUNKS:  # who can write to the database says how many
        raise BrokenSealError("what was handed over has more pieces than there can be")
    own = MessageKey(key.open(bytes(row.wrapped), info=_bound(job, way)), _bound(job, way))
    return b"".join(own.open(_octets(row, at), at, last=at == row.chunks - 1) for at in range(row.chunks))


def _octets(row: ConsoleParcelRow, number: int) -> bytes:
    pieces = ConsoleChunkRow.objects.annotate(octet_count=Length("octets"))
    pieces = pieces.filter(parcel_id=row.pk, number=number, octet_count__lte=SEALED_BYTES)
    found = read(lambda: pieces.values_list("octets", flat=True).first())
    if found is None:
        raise BrokenSealError("a piece of what was handed over is missing, or too large")
    return bytes(found)


def drop(job: UUID, way: str) -> None:
    """Delete it for good."""
    run(lambda: _delete(job, way))


def _delete(job: UUID, way: str) -> None:
    found = list(ConsoleParcelRow.objects.filter(job=job, way=way).values_list("pk", flat=True))
    ConsoleChunkRow.objects.filter(parcel_id__in=found).delete()
    ConsoleParcelRow.objects.filter(pk__in=found).delete()


def purge(turn: Turn | None = None) -> int:
    """Delete what has expired; returns how many."""
    return delete_all(ConsoleParcelRow.objects.filter(expires__lt=utc_now()).order_by("expires"), turn)
