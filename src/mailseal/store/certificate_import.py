"""Certificates and keys into the store: by an administrator, or as candidates out of signed mail."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256

from django.db.models import F

from mailseal.smime.certificate import Certificate, CertificateError, parse_certificate
from mailseal.smime.importing import ImportedKeys
from mailseal.store import private_keys
from mailseal.store.addresses import remember
from mailseal.store.certificate_admin import CertificateInfo, infos
from mailseal.store.certificate_rows import DUE_NOW, Purpose, address_uses, columns
from mailseal.store.models import CertificateRow, CertificateUse, CtlRow
from mailseal.store.private_keys import Sealing
from mailseal.store.revalidate import after_change, mark_below, revalidate
from mailseal.store.row import utc_now
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import run

CHUNK_ROWS = 200
MAX_CANDIDATES = 200_000
MAX_CANDIDATES_PER_ADDRESS = 20


def import_certificates(
    certificates: Iterable[Certificate], *, bind_keys: bool = False, at: datetime | None = None
) -> tuple[CertificateInfo, ...]:
    """Store certificates that an administrator vouches for as his import, and judge them at once.

    CA certificates become intermediates, never roots. `bind_keys` links those whose private key is stored already (a
    renewed certificate); without it a certificate that repeats one of our public keys opens nothing.
    """
    found = tuple(certificates)

    def work(some: Sequence[Certificate]) -> None:
        for one in some:
            insert(one, Purpose.INTERMEDIATE if one.is_ca else Purpose.END_ENTITY)
        if bind_keys:
            bind([one.fingerprint for one in some])
        _mark_new(some)

    # In short transactions: mail workers wait while one runs.
    for start in range(0, len(found), CHUNK_ROWS):
        run(partial(work, found[start : start + CHUNK_ROWS]))
    return _judged(found, at)


def import_keys(imported: ImportedKeys, sealing: Sealing, *, at: datetime | None = None) -> tuple[CertificateInfo, ...]:
    """Store the certificates of a PKCS#12 file with their private keys, and its chain; judge them at once."""
    found = (*(certificate for certificate, _ in imported.keys), *imported.chain)

    def work() -> None:
        for certificate, key in imported.keys:
            private_keys.keep(key, certificate.spki_sha256, certificate.key_algorithm, sealing)
            insert(certificate, Purpose.END_ENTITY)
        bind([certificate.fingerprint for certificate, _ in imported.keys])
        for one in imported.chain:
            insert(one, Purpose.INTERMEDIATE if one.is_ca else Purpose.END_ENTITY)
        _mark_new(found)

    run(work)
    return _judged(found, at)


def _mark_new(found: Sequence[Certificate]) -> None:
    names = {columns(one)["subject_sha256"] for one in found if one.is_ca}
    if names:
        mark_below(names, distrust=False)
    bump(Scope.KEYS)


def _judged(found: Sequence[Certificate], at: datetime | None) -> tuple[CertificateInfo, ...]:
    fingerprints = [one.fingerprint for one in found]
    revalidate(fingerprints, at=at)
    after_change(at=at)
    return infos(fingerprints)


def insert(certificate: Certificate, purpose: Purpose, *, candidate: bool = False) -> bool:
    """Add one row with its addresses, due to be judged; in the caller's transaction. False: it is stored already.

    What is stored already is never made less: an import makes a candidate a full one, and nothing turns a root into
    something else but `trust.delete_root`.
    """
    values = columns(certificate) | {"purpose": purpose.value, "candidate": candidate, "due": DUE_NOW}
    row, created = CertificateRow.objects.get_or_create(fingerprint=certificate.fingerprint, defaults=values)
    if not created:
        if not candidate:
            lifted: dict[str, object] = {"candidate": False, "due": DUE_NOW, "marks": F("marks") + 1}
            if row.purpose != Purpose.ROOT or purpose is Purpose.ROOT:
                lifted["purpose"] = purpose.value
            CertificateRow.objects.filter(pk=row.pk).update(**lifted)
        return False
    if purpose is Purpose.END_ENTITY:
        uses = [CertificateUse(certificate=row, owner=key, kind=use) for key, use in address_uses(certificate)]
        CertificateUse.objects.bulk_create(uses, ignore_conflicts=True)
        if not candidate:
            remember(key for key, _ in address_uses(certificate))
    return True


def bind(fingerprints: Sequence[str]) -> None:
    """Link certificates with the stored private keys of the same public key; in the caller's transaction."""
    rows = CertificateRow.objects.filter(fingerprint__in=fingerprints, purpose=Purpose.END_ENTITY)
    keys = private_keys.known(rows.values_list("spki_sha256", flat=True))
    rows.filter(spki_sha256__in=keys).update(bound=True)


def insert_candidates(ders: Iterable[bytes]) -> int:
    """Add certificates seen in signed mail, not judged yet; in the caller's transaction. Returns how many are new.

    Bumps no stamp, binds no key, trusts nothing. What cannot be parsed is left out.
    """
    found = {sha256(der).hexdigest(): der for der in ders}
    rows = CertificateRow.objects.filter(fingerprint__in=list(found)).values_list("fingerprint", flat=True)
    stored = set(rows)
    unknown = [der for fingerprint, der in found.items() if fingerprint not in stored]
    fresh = 0
    room = MAX_CANDIDATES - CertificateRow.objects.filter(candidate=True).count() if unknown else 0
    for der in unknown:
        try:
            certificate = parse_certificate(der)
        except CertificateError:
            continue
        if fresh >= room or not _welcome(certificate):
            continue
        purpose = Purpose.INTERMEDIATE if certificate.is_ca else Purpose.END_ENTITY
        fresh += insert(certificate, purpose, candidate=True)
    return fresh


def _welcome(certificate: Certificate) -> bool:
    """Not one of many untrusted ones for the same address or of the same CA name: more than that is no accident."""
    if certificate.is_ca:
        same_name = CertificateRow.objects.filter(subject_sha256=columns(certificate)["subject_sha256"], candidate=True)
        return same_name.count() < MAX_CANDIDATES_PER_ADDRESS
    owners = [key for key, _ in address_uses(certificate)]
    untrusted = CertificateUse.objects.filter(owner__in=owners, certificate__candidate=True, certificate__trusted=False)
    return bool(owners) and untrusted.count() < MAX_CANDIDATES_PER_ADDRESS


def purge_candidates(*, older_than_days: int = 30) -> int:
    """Delete candidates that never became trusted and are in no CTL; returns how many."""
    limit = utc_now() - timedelta(days=older_than_days)
    listed = CtlRow.objects.values("fingerprint")
    rows = CertificateRow.objects.filter(candidate=True, trusted=False, created__lt=limit)
    deleted = 0
    while True:
        keys = run(lambda: list(rows.exclude(fingerprint__in=listed).values_list("pk", flat=True)[:500]))
        if not keys:
            return deleted
        run(lambda keys=keys: CertificateRow.objects.filter(pk__in=keys).delete())  # type: ignore[misc]
        deleted += len(keys)
