"""Certificates and keys into the store, as an administrator vouches for them."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.db.models import F

from mailseal.keys import PrivateKey
from mailseal.smime.certificate import Certificate
from mailseal.smime.importing import ImportedKeys
from mailseal.store import private_keys
from mailseal.store.addresses import remember, remember_those_of
from mailseal.store.audit import record
from mailseal.store.certificate_admin import CertificateInfo, infos
from mailseal.store.certificate_rows import DUE_NOW, Purpose, address_uses, columns
from mailseal.store.models import CertificateRow, CertificateUse
from mailseal.store.private_keys import Sealing
from mailseal.store.revalidate import AT_ONCE, after_change, due_count, mark_below, revalidate
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import run

CHUNK_ROWS = 200
"""In one transaction: some tens of milliseconds."""
STAMP_SECONDS = 10.0
"""Between two stamps of a long import: each empties the caches of all mail workers."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of an import. `infos`: its certificates, judged; nothing if they were many. `due`: rows that the worker
    judges next, 6 to 8 ms each.
    """

    infos: tuple[CertificateInfo, ...]
    due: int


class CertificateImport:
    """What an administrator vouches for as his import, however much it is: `add` it part by part, then `finish`.

    CA certificates become intermediates, never roots. Nothing is held of what was added. An import that is cut off
    and run again goes on: what is stored already is only counted, and what is not judged yet stays due.
    """

    def __init__(self, sealing: Callable[[], Sealing], *, bind_keys: bool = False, at: datetime | None = None) -> None:
        """`sealing`: asked for when the first private key comes. `bind_keys` links certificates whose private key is
        stored already (a renewed certificate); without it one that repeats a public key of ours opens nothing.
        """
        self._sealing = sealing
        self._bind_keys = bind_keys
        self._at = at
        self._fingerprints: dict[str, None] = {}
        self._stamp_due = False
        self._stamped_at = float("-inf")

    def add(self, some: Sequence[tuple[Certificate, PrivateKey | None]]) -> frozenset[str]:
        """Store at most CHUNK_ROWS certificates, with their private keys, in one short transaction: mail workers wait
        while one runs. Returns the fingerprints that are new.
        """
        may_stamp = time.monotonic() - self._stamped_at > STAMP_SECONDS
        new, changed = run(lambda: self._work(some, may_stamp=may_stamp))
        self._stamp_due = self._stamp_due or changed
        if self._stamp_due and may_stamp:
            self._stamp_due, self._stamped_at = False, time.monotonic()
        for certificate, _ in some:
            if len(self._fingerprints) <= AT_ONCE:
                self._fingerprints[certificate.fingerprint] = None
        return new

    def finish(self) -> Finished:
        """Judge what was added, if it is little; else leave it to the worker."""
        if self._stamp_due:
            bump(Scope.KEYS)
        few = list(self._fingerprints) if len(self._fingerprints) <= AT_ONCE else []
        revalidate(few, at=self._at)
        after_change(at=self._at)
        return Finished(infos(few), due_count(at=self._at))

    def _work(
        self, some: Sequence[tuple[Certificate, PrivateKey | None]], *, may_stamp: bool
    ) -> tuple[frozenset[str], bool]:
        """What is new, and whether anything changed that others may have cached: more than new, unjudged rows."""
        found = [certificate for certificate, _ in some]
        with_key = [(certificate, key) for certificate, key in some if key is not None]
        for certificate, key in with_key:
            private_keys.keep(key, certificate.spki_sha256, certificate.key_algorithm, self._sealing())
        inserted = insert_all([(one, Purpose.INTERMEDIATE if one.is_ca else Purpose.END_ENTITY) for one in found])
        to_bind = found if self._bind_keys else [certificate for certificate, _ in with_key]
        told = inserted.new | inserted.lifted | {certificate.fingerprint for certificate, _ in with_key}
        if told:
            first = next(one for one in found if one.fingerprint in told)
            what = {"subject": first.subject, "fingerprints": sorted(told), "with_private_keys": len(with_key)}
            record("certificates", "import", first.fingerprint, after=what)
        bind([one.fingerprint for one in to_bind])
        names = {columns(one)["subject_sha256"] for one in found if one.is_ca}
        if names:
            mark_below(names, distrust=False)
        # What is known may be what an import changed that was cut off before it could say so.
        known = len(inserted.new) < len({one.fingerprint for one in found})
        changed = bool(inserted.lifted or to_bind or names or known)
        if may_stamp and (changed or self._stamp_due):
            bump(Scope.KEYS)
        return inserted.new, changed


def import_certificates(
    certificates: Iterable[Certificate], *, bind_keys: bool = False, at: datetime | None = None
) -> tuple[CertificateInfo, ...]:
    """Import certificates without keys, as of CertificateImport, and judge them at once if they are few."""
    return _import(((one, None) for one in certificates), CertificateImport(_no_kek, bind_keys=bind_keys, at=at))


def import_keys(imported: ImportedKeys, sealing: Sealing, *, at: datetime | None = None) -> tuple[CertificateInfo, ...]:
    """Import the certificates of a PKCS#12 file with their private keys, and its chain; judge them at once."""
    others = [(one, None) for one in imported.chain]
    return _import([*imported.keys, *others], CertificateImport(lambda: sealing, at=at))


def _import(
    found: Iterable[tuple[Certificate, PrivateKey | None]], importing: CertificateImport
) -> tuple[CertificateInfo, ...]:
    iterator = iter(found)
    while some := list(islice(iterator, CHUNK_ROWS)):
        importing.add(some)
    return importing.finish().infos


def _no_kek() -> Sealing:
    raise TypeError("there is no private key to seal")


@dataclass(frozen=True, slots=True)
class Inserted:
    """Fingerprints: rows that are new, and candidates and others that an import has made more of."""

    new: frozenset[str]
    lifted: frozenset[str]


def insert(certificate: Certificate, purpose: Purpose, *, candidate: bool = False) -> bool:
    """Add one row with its addresses, due to be judged; in the caller's transaction. False: it is stored already."""
    return bool(insert_all([(certificate, purpose)], candidate=candidate).new)


def insert_all(found: Sequence[tuple[Certificate, Purpose]], *, candidate: bool = False) -> Inserted:
    """Add rows with their addresses, due to be judged, in the caller's transaction.

    What is stored already is never made less: an import makes a candidate a full one, and nothing turns a root into
    something else but `trust.delete_root`.
    """
    wanted = {one.fingerprint: (one, purpose) for one, purpose in found}
    # What an import finds stays until it has made more of it; a candidate that goes meanwhile comes again with a mail.
    stored = _stored(wanted, locked=not candidate)
    fresh = {
        name: CertificateRow(
            fingerprint=name, purpose=purpose.value, candidate=candidate, due=DUE_NOW, **columns(certificate)
        )
        for name, (certificate, purpose) in wanted.items()
        if name not in stored
    }
    CertificateRow.objects.bulk_create(fresh.values(), ignore_conflicts=True)
    # Another process may have stored one of them in this moment: its row has another key.
    after = _stored(fresh)
    new = {name: row for name, row in fresh.items() if after[name].pk == row.pk}
    stored |= {name: row for name, row in after.items() if name not in new}
    _insert_uses([(row, wanted[name][0]) for name, row in new.items()], candidate=candidate)
    lifted = frozenset[str]() if candidate else _lift(stored, {name: wanted[name][1] for name in stored})
    return Inserted(frozenset(new), lifted)


def _stored(fingerprints: Collection[str], *, locked: bool = False) -> dict[str, CertificateRow]:
    if not fingerprints:
        return {}
    rows = CertificateRow.objects.filter(fingerprint__in=list(fingerprints))
    if locked:
        rows = rows.select_for_update()
    return {row.fingerprint: row for row in rows.only("fingerprint", "purpose", "candidate", "conflict")}


def _insert_uses(rows: Sequence[tuple[CertificateRow, Certificate]], *, candidate: bool) -> None:
    uses = [
        CertificateUse(certificate=row, owner=owner, kind=use)
        for row, certificate in rows
        if row.purpose == Purpose.END_ENTITY
        for owner, use in address_uses(certificate)
    ]
    CertificateUse.objects.bulk_create(uses, ignore_conflicts=True)
    if not candidate:
        remember(dict.fromkeys(use.owner for use in uses))


def _lift(stored: Mapping[str, CertificateRow], purposes: Mapping[str, Purpose]) -> frozenset[str]:
    """Make full certificates of candidates, and what they were imported for now of the others."""
    lifted: set[str] = set()
    for name, row in stored.items():
        purpose = row.purpose if row.purpose == Purpose.ROOT else purposes[name].value
        if purpose != row.purpose or row.candidate or row.conflict:
            values = {
                "candidate": False, "conflict": False, "purpose": purpose, "due": DUE_NOW, "marks": F("marks") + 1,
            }  # fmt: skip
            CertificateRow.objects.filter(pk=row.pk).update(**values)
            lifted.add(name)
    if lifted:
        remember_those_of(stored[name].pk for name in lifted)
    return frozenset(lifted)


def bind(fingerprints: Sequence[str]) -> None:
    """Link certificates with the stored private keys of the same public key; in the caller's transaction."""
    rows = CertificateRow.objects.filter(fingerprint__in=fingerprints, purpose=Purpose.END_ENTITY)
    keys = private_keys.known(rows.values_list("spki_sha256", flat=True))
    rows.filter(spki_sha256__in=keys).update(bound=True)
