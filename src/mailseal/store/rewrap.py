"""Everything that is sealed, and moving it from one KEK to another while mail flows.

A value is opened with the KEK that it names, sealed with the other one, and put back only if the row still holds the
octets that were read. So each row opens at every instant, with the one or with the other.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from mailseal.keys.kek_ring import KekRing
from mailseal.keys.sealing import SealError, sealed_by
from mailseal.store import (
    audit_signing,
    console_keys,
    credentials,
    jobs,
    notice_payload,
    private_keys,
    quarantine_details,
    stored_messages,
    tls_identities,
)
from mailseal.store.audit_models import AuditKeyRow
from mailseal.store.console_models import ConsoleKeyRow
from mailseal.store.models import CredentialRow, JobRow, PrivateKeyRow
from mailseal.store.notice_models import NoticeRow
from mailseal.store.quarantine_models import QuarantineRow
from mailseal.store.stored_message_models import StoredMessageRow
from mailseal.store.tls_identity_models import AcmeAccountRow, TlsIdentityRow
from mailseal.store.transaction import connection, read, run, select

BATCH_ROWS = 200
MAX_NAMED = 20
"""Rows that do not open are counted, and so many of them named."""

_HEADS = "SELECT HEX(SUBSTR(sealed, 1, 9)), {kek_id}, COUNT(*) FROM {table} WHERE sealed IS NOT NULL GROUP BY 1, 2"


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """The column `sealed` of a table (`model`); `identity` of its column `subject` is what a value is bound to.

    `named`: the table also says in `kek_id` which KEK a row is sealed with.
    """

    model: Any
    what: str
    subject: str
    identity: Callable[[Any], bytes]
    named: bool
    mend: str


SEALED: tuple[SealedColumn, ...] = (
    SealedColumn(
        PrivateKeyRow, "private key", "spki_sha256", private_keys.identity, named=True,
        mend="import it again (`mailseal cert import`, `mailseal pgp import`), or restore the database",
    ),
    SealedColumn(
        CredentialRow, "credential", "name", credentials.identity, named=True,
        mend="set it again (`mailseal route password`), or restore the database",
    ),
    SealedColumn(
        StoredMessageRow, "key of a stored mail", "id", stored_messages.identity, named=True,
        mend="restore the database; without it that mail cannot be read any more",
    ),
    SealedColumn(
        QuarantineRow, "held mail", "id", quarantine_details.identity, named=True,
        mend="restore the database; without it that mail cannot be released or shown any more, only deleted",
    ),
    SealedColumn(
        NoticeRow, "notice", "id", notice_payload.identity, named=True,
        mend="nothing: that somebody was to be told is lost, the mail is not",
    ),
    SealedColumn(
        TlsIdentityRow, "key of a server's certificate", "id", tls_identities.identity, named=True,
        mend="make or import the certificate again (`mailseal tls-certificate`), or restore the database",
    ),
    SealedColumn(
        AcmeAccountRow, "key of an ACME account", "directory", tls_identities.account_identity, named=True,
        mend="nothing: `mailseal tls-certificate acme` makes another account at the CA",
    ),
    SealedColumn(
        ConsoleKeyRow, "intake key", "name", console_keys.identity, named=True,
        mend="delete its row: the job worker makes another one, and nothing that lasts is sealed with it",
    ),
    SealedColumn(
        AuditKeyRow, "key that signs the audit", "public", audit_signing.identity, named=True,
        mend="make another (`mailseal audit new-key`), or restore the database",
    ),
    SealedColumn(
        JobRow, "job", "id", jobs.identity, named=False,
        mend="nothing: the job is tried again for some hours, then given up",
    ),
)  # fmt: skip
"""All of them. What is sealed and not here would be lost with the old KEK."""


@dataclass(frozen=True, slots=True)
class SealedRow:
    """One sealed value and its row."""

    column: SealedColumn
    pk: UUID
    subject: Any
    sealed: bytes

    def open(self, ring: KekRing) -> bytes:
        """What is in it; raises SealError."""
        return ring.open(self.sealed, identity=self.column.identity(self.subject))

    def __str__(self) -> str:
        return f"{self.column.what} {self.subject}"


@dataclass(slots=True)
class Broken:
    """Rows that do not open: how many, and the first of them with the reason."""

    count: int = 0
    named: list[tuple[SealedRow, SealError]] = field(default_factory=list)

    def add(self, row: SealedRow, error: SealError) -> None:
        """One more."""
        self.count += 1
        if len(self.named) < MAX_NAMED:
            self.named.append((row, error))


@dataclass(slots=True)
class Pass:
    """One way through all tables. `missed`: rows that somebody else changed in that moment."""

    seen: int = 0
    moved: int = 0
    missed: int = 0
    broken: Broken = field(default_factory=Broken)


def batches() -> Iterator[Sequence[SealedRow]]:
    """Every sealed row, a few hundred at a time, by short reads. Raises StoreUnavailable."""
    for column in SEALED:
        after: UUID | None = None
        while rows := read(partial(_after, column, after)):
            yield rows
            after = rows[-1].pk


def _after(column: SealedColumn, after: UUID | None) -> list[SealedRow]:
    rows = column.model.objects.filter(sealed__isnull=False).order_by("pk")
    if after is not None:
        rows = rows.filter(pk__gt=after)
    found = rows.values_list("pk", "sealed", column.subject)[:BATCH_ROWS]
    return [SealedRow(column, pk, subject, bytes(sealed)) for pk, sealed, subject in found]


def count() -> int:
    """How many values are sealed."""
    return sum(found for column in SEALED for _, _, found in _heads(column))


def count_by_kek() -> dict[str, int]:
    """How many rows name each KEK, in the sealed value or beside it; "" for values that name none."""
    counts: dict[str, int] = {}
    for column in SEALED:
        for head, beside, found in _heads(column):
            inside = head[2:].lower() if head.startswith("01") and len(head) == 18 else ""
            for kek_id in {inside, beside} if beside else {inside}:
                counts[kek_id] = counts.get(kek_id, 0) + found
    return counts


def _heads(column: SealedColumn) -> Sequence[tuple[str, str, int]]:
    sql = _HEADS.format(table=_table(column), kek_id="kek_id" if column.named else "''")
    return [(str(head), str(beside), int(found)) for head, beside, found in select(sql, ())]


def find_broken(ring: KekRing) -> Broken:
    """Open every row. Raises StoreUnavailable."""
    broken = Broken()
    for rows in batches():
        for row in rows:
            try:
                row.open(ring)
            except SealError as error:
                broken.add(row, error)
    return broken


def rewrap(ring: KekRing, kek_id: str, progress: Callable[[Pass], None] = lambda _: None) -> Pass:
    """Go once through all rows and seal with `kek_id` what is not; raises KekMissingError and StoreUnavailable."""
    kek = ring.kek(kek_id)
    done = Pass()
    for rows in batches():
        changes = []
        for row in rows:
            try:
                if sealed_by(row.sealed) == kek_id:
                    continue
                changes.append((row, kek.seal(row.open(ring), identity=row.column.identity(row.subject))))
            except SealError as error:
                done.broken.add(row, error)
        moved = run(partial(_put_back, changes, kek_id)) if changes else 0
        done.seen += len(rows)
        done.moved += moved
        done.missed += len(changes) - moved
        progress(done)
    return done


def _put_back(changes: Sequence[tuple[SealedRow, bytes]], kek_id: str) -> int:
    """Compare and set in one table, in the caller's transaction; how many rows were still as they had been read."""
    column, database = changes[0][0].column, connection()
    named = (kek_id,) if column.named else ()
    sql = f"UPDATE {_table(column)} SET sealed = %s{', kek_id = %s' * column.named} WHERE id = %s AND sealed = %s"  # noqa: S608 -- names of ours
    ids = column.model._meta.pk  # noqa: SLF001 -- Django's documented name
    with database.cursor() as cursor:
        cursor.executemany(
            sql, [(new, *named, ids.get_db_prep_value(row.pk, database), row.sealed) for row, new in changes]
        )
        return int(cursor.rowcount)


def _table(column: SealedColumn) -> str:
    return str(column.model._meta.db_table)  # noqa: SLF001 -- same
