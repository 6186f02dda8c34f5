"""Certificate revocation lists as rows: verified once at import, then looked up by issuer and serial number.

A list can have a million entries: they go in by short transactions, and count from the moment all are in.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import islice
from uuid import UUID

from mailseal.errors import PermanentError
from mailseal.smime.certificate import Certificate, Revocation
from mailseal.smime.revocation import Crl, CrlError, Entry, verify_crl
from mailseal.store.audit import facts, record
from mailseal.store.certificate_rows import Purpose, name_key, parsed, serial_text
from mailseal.store.keyset import behind
from mailseal.store.models import CertificateRow, CrlEntryRow, CrlRow
from mailseal.store.revalidate import after_change, mark_below
from mailseal.store.row import storable, utc_now
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import read, reads, run

CHUNK_ROWS = 2000


class OldCrlError(PermanentError):
    """A newer list of the same authority is stored already."""


class NoSuchCrlError(PermanentError):
    """No stored CRL has this fingerprint."""


@dataclass(frozen=True, slots=True)
class CrlInfo:
    """A stored CRL. `fingerprint` is the SHA-256 (hex) of its DER."""

    fingerprint: str
    issuer: str
    number: str
    this_update: datetime
    next_update: datetime | None
    entries: int
    created: datetime


def import_crl(crl: Crl, *, at: datetime | None = None) -> CrlInfo:
    """Verify, store, and judge again what it speaks about. Raises CrlError, OldCrlError.

    The signer must be a root or intermediate that is stored; a candidate only if it is trusted.
    """
    if crl.is_premature(at or utc_now()):
        raise CrlError("the CRL is dated in the future")
    issuer = verify_crl(crl, _authorities(crl))
    fingerprint = sha256(crl.der).hexdigest()
    known = run(lambda: _begin(crl, fingerprint, issuer))
    if known.active:
        return show_crl(fingerprint)
    for some in _chunks(crl.entries):
        rows = [
            CrlEntryRow(crl_id=known.pk, serial=serial_text(serial), reason=reason or "", revoked_at=revoked_at)
            for serial, reason, revoked_at in some
        ]
        run(lambda rows=rows: CrlEntryRow.objects.bulk_create(rows, ignore_conflicts=True))  # type: ignore[misc]
    old = run(lambda: _activate(known))
    _delete_rows(old)
    after_change(at=at)
    return show_crl(fingerprint)


def _authorities(crl: Crl) -> list[Certificate]:
    rows = CertificateRow.objects.filter(subject_sha256=name_key(crl.issuer)).exclude(purpose=Purpose.END_ENTITY)
    found = read(lambda: list(rows.exclude(candidate=True, trusted=False).order_by("candidate")[:50]))
    return [parsed(row.fingerprint, row.der) for row in found]


def _begin(crl: Crl, fingerprint: str, issuer: Certificate) -> CrlRow:
    keys = {"issuer_sha256": name_key(issuer.subject), "signer_spki": issuer.spki_sha256}
    newest = CrlRow.objects.filter(**keys, active=True).order_by("-this_update").first()
    if newest is not None and newest.fingerprint != fingerprint and newest.this_update > crl.this_update:
        raise OldCrlError(f"a newer CRL of the same authority is stored, of {newest.this_update:%Y-%m-%d %H:%M} UTC")
    values = {
        "issuer": storable(crl.issuer),
        "number": "" if crl.number is None else serial_text(crl.number),
        "this_update": crl.this_update,
        "next_update": crl.next_update,
    }
    row, _ = CrlRow.objects.get_or_create(fingerprint=fingerprint, defaults=values | keys)
    return row


def _chunks(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    while some := list(islice(entries, CHUNK_ROWS)):
        yield some


def _activate(row: CrlRow) -> list[UUID]:
    """All entries are in: the list counts from now on. Returns the older lists of the same key."""
    same_key = CrlRow.objects.filter(issuer_sha256=row.issuer_sha256, signer_spki=row.signer_spki).exclude(pk=row.pk)
    old = list(same_key.filter(this_update__lte=row.this_update).values_list("pk", flat=True))
    same_key.filter(pk__in=old).update(active=False)
    CrlRow.objects.filter(pk=row.pk).update(active=True)
    # What is revoked counts at once, whatever waits to be judged; the verdict then looks closer (the key, the path).
    serials = CrlEntryRow.objects.filter(crl_id=row.pk).values("serial")
    hit = CertificateRow.objects.filter(issuer_sha256=row.issuer_sha256, serial__in=serials)
    hit.update(revocation=Revocation.REVOKED.value, revocation_until=None)
    mark_below([row.issuer_sha256], distrust=False)
    bump(Scope.KEYS)
    record("trust", "import-crl", row.fingerprint, after=facts(row, "issuer", "number", "this_update", "next_update"))
    return old


def _delete_rows(crls: Iterable[UUID]) -> None:
    for crl in crls:
        gone = CHUNK_ROWS
        while gone == CHUNK_ROWS:
            gone = run(lambda crl=crl: _delete_entries(crl))  # type: ignore[misc]
        run(lambda crl=crl: CrlRow.objects.filter(pk=crl).delete())  # type: ignore[misc]


def _delete_entries(crl: UUID) -> int:
    keys = list(CrlEntryRow.objects.filter(crl_id=crl).values_list("pk", flat=True)[:CHUNK_ROWS])
    # In SQLite's limit of parameters; and no more than that in one statement anywhere.
    for start in range(0, len(keys), 500):
        CrlEntryRow.objects.filter(pk__in=keys[start : start + 500]).delete()
    return len(keys)


@reads
def list_crls(*, after: str | None = None, limit: int | None = None) -> tuple[CrlInfo, ...]:
    """All lists that count, by issuer; behind that of a fingerprint, which raises NoSuchCrlError."""
    rows = CrlRow.objects.filter(active=True).order_by("issuer", "pk")
    if after is not None:
        last = _find(after)
        rows = rows.filter(behind({"issuer": last.issuer, "pk": last.pk}))
    return tuple(map(_info, rows[:limit]))


@reads
def show_crl(fingerprint: str) -> CrlInfo:
    """One list by its fingerprint or the beginning of it; raises NoSuchCrlError."""
    return _info(_find(fingerprint))


def delete_crl(fingerprint: str, *, at: datetime | None = None) -> CrlInfo:
    """Delete a list; what it spoke about is judged again. Raises NoSuchCrlError."""

    def work() -> tuple[CrlInfo, UUID]:
        row = _find(fingerprint)
        info = _info(row)
        CrlRow.objects.filter(pk=row.pk).update(active=False)
        mark_below([row.issuer_sha256], distrust=False)
        bump(Scope.KEYS)
        record("trust", "delete-crl", row.fingerprint, before=facts(row, "issuer", "number", "this_update"))
        return info, row.pk

    info, key = run(work)
    _delete_rows([key])
    after_change(at=at)
    return info


@reads
def entries(fingerprint: str, *, after: str = "", limit: int = 1000) -> tuple[tuple[str, str, datetime], ...]:
    """(serial number in hex, reason, time) of a list, a page by serial; raises NoSuchCrlError."""
    rows = CrlEntryRow.objects.filter(crl=_find(fingerprint), serial__gt=after).order_by("serial")[:limit]
    return tuple((row.serial, row.reason, row.revoked_at) for row in rows)


def _find(fingerprint: str) -> CrlRow:
    wanted = fingerprint.replace(":", "").strip().lower()
    rows = list(CrlRow.objects.filter(fingerprint__startswith=wanted, active=True)[:2])
    if len(rows) != 1 or len(wanted) < 4:
        raise NoSuchCrlError(f"no CRL, or more than one, has a fingerprint that begins with {wanted[:64]!r}")
    return rows[0]


def _info(row: CrlRow) -> CrlInfo:
    count = CrlEntryRow.objects.filter(crl_id=row.pk).count()
    return CrlInfo(row.fingerprint, row.issuer, row.number, row.this_update, row.next_update, count, row.created)
