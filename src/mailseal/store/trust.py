"""Whom to trust: roots (trust anchors) and the certificate trust list (CTL)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet, Subquery

from mailseal.errors import PermanentError
from mailseal.smime.certificate import Certificate, CtlEntry
from mailseal.store.accounts import alerts
from mailseal.store.accounts.alerts import Change
from mailseal.store.audit import facts, record
from mailseal.store.certificate_admin import CertificateInfo, delete, infos, list_certificates, show
from mailseal.store.certificate_import import insert
from mailseal.store.certificate_rows import Purpose, name_key
from mailseal.store.models import CertificateRow, CtlRow
from mailseal.store.revalidate import after_change, mark_below, revalidate
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import reads, run


class NotARootError(PermanentError):
    """The certificate cannot be a trust anchor, or is none."""


def import_roots(certificates: Iterable[Certificate], *, at: datetime | None = None) -> tuple[CertificateInfo, ...]:
    """Trust these CA certificates from now on, and judge what hangs below them; raises NotARootError."""
    found = tuple(certificates)
    for one in found:
        if not one.is_ca:
            raise NotARootError(f"not a CA certificate: {one.subject}")

    def work() -> None:
        added = []
        for one in found:
            known = CertificateRow.objects.filter(fingerprint=one.fingerprint, purpose=Purpose.ROOT).exists()
            insert(one, Purpose.ROOT)
            if not known:
                record("trust", "add-root", one.fingerprint, after={"subject": one.subject})
                added.append(f"+ {one.subject}")
        alerts.tell_of(Change.ROOTS, added)
        mark_below({name_key(one.subject) for one in found}, distrust=False)
        bump(Scope.KEYS)

    run(work)
    fingerprints = [one.fingerprint for one in found]
    revalidate(fingerprints, at=at)
    after_change(at=at)
    return infos(fingerprints)


def list_roots(*, before: str | None = None, limit: int = 1000) -> tuple[CertificateInfo, ...]:
    """All roots, newest first; older than that of a fingerprint."""
    return list_certificates(purpose=Purpose.ROOT, before=before, limit=limit)


def delete_root(fingerprint: str, *, at: datetime | None = None) -> CertificateInfo:
    """Trust a root no longer: what it carried is untrusted at once. Raises NoSuchCertificateError, NotARootError."""
    if show(fingerprint).purpose is not Purpose.ROOT:
        raise NotARootError("the certificate is no root")
    return delete(fingerprint, at=at)


@dataclass(frozen=True, slots=True)
class CtlInfo:
    """One entry of the CTL; `subject` is "" when the certificate is not stored."""

    fingerprint: str
    entry: CtlEntry
    comment: str
    subject: str
    created: datetime


def set_ctl(fingerprint: str, entry: CtlEntry, *, comment: str = "", at: datetime | None = None) -> CtlInfo:
    """Allow or deny one certificate by thumbprint; a denied CA carries nothing any more. Raises PermanentError."""
    name = _thumbprint(fingerprint)

    def work() -> CtlInfo:
        before = facts(CtlRow.objects.filter(fingerprint=name).first(), "entry", "comment")
        CtlRow.objects.update_or_create(fingerprint=name, defaults={"entry": entry.value, "comment": comment})
        record("trust", "set-ctl", name, before=before, after={"entry": entry.value, "comment": comment})
        _changed(name, distrust=entry is CtlEntry.DENY)
        return _ctl_infos(CtlRow.objects.filter(fingerprint=name))[0]

    info = run(work)
    after_change(at=at)
    return info


def delete_ctl(fingerprint: str, *, at: datetime | None = None) -> bool:
    """Take an entry off the CTL; False: there was none."""
    name = _thumbprint(fingerprint)

    def work() -> bool:
        row = CtlRow.objects.filter(fingerprint=name).first()
        deleted, _ = CtlRow.objects.filter(fingerprint=name).delete()
        if row is not None:
            record("trust", "delete-ctl", name, before=facts(row, "entry", "comment"))
        _changed(name, distrust=False)
        return bool(deleted)

    gone = run(work)
    after_change(at=at)
    return gone


@reads
def list_ctl(*, after: str | None = None, limit: int | None = None) -> tuple[CtlInfo, ...]:
    """All entries, oldest first; behind that of a thumbprint (nothing, if it has gone)."""
    found = CtlRow.objects.order_by("pk")
    if after is not None:
        found = found.filter(pk__gt=Subquery(CtlRow.objects.filter(fingerprint=after).values("pk")[:1]))
    return _ctl_infos(found[:limit])


@reads
def find_ctl(fingerprint: str) -> CtlInfo | None:
    """The entry of a thumbprint."""
    return next(iter(_ctl_infos(CtlRow.objects.filter(fingerprint=fingerprint))), None)


def _ctl_infos(found: QuerySet[CtlRow]) -> tuple[CtlInfo, ...]:
    rows = list(found)
    stored = CertificateRow.objects.filter(fingerprint__in=[row.fingerprint for row in rows])
    subjects = dict(stored.values_list("fingerprint", "subject"))
    return tuple(
        CtlInfo(row.fingerprint, CtlEntry(row.entry), row.comment, subjects.get(row.fingerprint, ""), row.created)
        for row in rows
    )


def _changed(fingerprint: str, *, distrust: bool) -> None:
    authorities = CertificateRow.objects.filter(fingerprint=fingerprint).exclude(purpose=Purpose.END_ENTITY)
    names = list(authorities.values_list("subject_sha256", flat=True))
    if names:
        mark_below(names, distrust=distrust)
    bump(Scope.KEYS)


def _thumbprint(text: str) -> str:
    wanted = text.replace(":", "").strip().lower()
    if len(wanted) == 64 and not set(wanted) - set("0123456789abcdef"):
        return wanted
    return show(wanted).fingerprint
