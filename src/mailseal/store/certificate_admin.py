"""Certificates for administrators: list, show, delete, choose by hand, share a key."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import F, QuerySet, TextField, Value
from django.db.models.functions import Concat, Lower

from mailseal.errors import PermanentError
from mailseal.mail.address import Address
from mailseal.smime.certificate import Certificate, CtlEntry, Verdict
from mailseal.store import private_keys
from mailseal.store.accounts import alerts
from mailseal.store.accounts.alerts import Change
from mailseal.store.addresses import remember, remember_those_of
from mailseal.store.audit import facts, record
from mailseal.store.certificate_rows import DUE_NOW, Purpose, Use, parsed, verdict_from_row
from mailseal.store.models import CertificateRow, CertificateUse, CtlRow, PrivateKeyRow
from mailseal.store.owners import in_domains, owners_of_domain, read_owner
from mailseal.store.pgp_models import PgpComponentRow, PgpUseRow
from mailseal.store.revalidate import after_change, mark_below
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import reads, run, writes


class NoSuchCertificateError(PermanentError):
    """No stored certificate has this fingerprint, or several begin like it."""


@dataclass(frozen=True, slots=True)
class CertificateInfo:
    """A stored certificate as administrators see it. `uses` are (owner, use) pairs, `capabilities` what its owner's
    program has said to know (`Capabilities.text`, "" for nothing) in a mail signed at `capabilities_at`.
    """

    certificate: Certificate
    purpose: Purpose
    candidate: bool
    has_key: bool
    verdict: Verdict
    judged_at: datetime | None
    ctl: CtlEntry | None
    uses: tuple[tuple[str, Use], ...]
    created: datetime
    conflict: bool = False
    capabilities: str = ""
    capabilities_at: datetime | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER, hex."""
        return self.certificate.fingerprint


@reads
def list_certificates(
    *,
    address: Address | None = None,
    owner: str | None = None,
    domains: Collection[str] | None = None,
    purpose: Purpose | None = Purpose.END_ENTITY,
    has_key: bool | None = None,
    candidate: bool | None = None,
    conflict: bool | None = None,
    trusted: bool | None = None,
    text: str = "",
    expires_before: datetime | None = None,
    before: str | None = None,
    limit: int = 100,
) -> tuple[CertificateInfo, ...]:
    """The newest certificates that meet all filters.

    `address`: everything the mail path would look at for it. `owner`: found, chosen or shared for exactly this
    address, domain or wildcard; `domains`: for one of these (stored form) or an address in them. `text` is looked for
    in subject and issuer. `before`: the fingerprint of the last row of the page before.
    """
    rows = CertificateRow.objects.all()
    if address is not None:
        owners = (address.key, *owners_of_domain(address.domain))
        rows = rows.filter(pk__in=CertificateUse.objects.filter(owner__in=owners).values("certificate"))
    if owner is not None:
        rows = rows.filter(pk__in=CertificateUse.objects.filter(owner=read_owner(owner)[1]).values("certificate"))
    if domains is not None:
        rows = rows.filter(pk__in=CertificateUse.objects.filter(in_domains("owner", domains)).values("certificate"))
    exact = {"purpose": purpose, "candidate": candidate, "trusted": trusted, "bound": has_key}
    rows = rows.filter(**{name: value for name, value in exact.items() if value is not None})
    if conflict is not None:
        rows = rows.filter(conflict__in=[conflict])  # as a list, since SQLite finds no index for a bare boolean
    if text:
        # Not icontains: the tables' collation compares octet by octet.
        names = Lower(Concat("subject", Value(" "), "issuer", output_field=TextField()))
        rows = rows.annotate(names=names).filter(names__contains=text.lower())
    if expires_before is not None:
        rows = rows.filter(not_after__lt=expires_before)
    if before is not None:
        rows = rows.filter(pk__lt=_row(before).pk)
    return _infos(rows.order_by("-pk")[:limit])


@reads
def infos(fingerprints: Sequence[str]) -> tuple[CertificateInfo, ...]:
    """The stored certificates among these, in this order."""
    found = {one.fingerprint: one for one in _infos(CertificateRow.objects.filter(fingerprint__in=fingerprints))}
    return tuple(found[one] for one in dict.fromkeys(fingerprints) if one in found)


@reads
def show(fingerprint: str) -> CertificateInfo:
    """One certificate by its fingerprint or the beginning of it; raises NoSuchCertificateError."""
    row = _row(fingerprint)
    return _infos(CertificateRow.objects.filter(pk=row.pk))[0]


def delete(fingerprint: str, *, at: datetime | None = None) -> CertificateInfo:
    """Delete a certificate; its private key stays until `private_keys.delete_key`. Raises NoSuchCertificateError.

    What a CA certificate carried is untrusted at once, and judged again.
    """

    def work() -> CertificateInfo:
        row = _locked(_row(fingerprint))
        info = show(row.fingerprint)
        area = "trust" if info.purpose is Purpose.ROOT else "certificates"
        record(area, "delete", row.fingerprint, before=facts(row, "purpose", "subject", "issuer", "serial"))
        row.delete()
        if info.purpose is Purpose.ROOT:
            alerts.tell_of(Change.ROOTS, [f"- {row.subject}"])
        if info.purpose is not Purpose.END_ENTITY:
            mark_below([row.subject_sha256], distrust=True)
        bump(Scope.KEYS)
        return info

    info = run(work)
    after_change(at=at)
    return info


def delete_private_key(fingerprint: str) -> bool:
    """Delete the private key of a certificate for good, from all that have it; False: there was none.

    Raises NoSuchCertificateError, KeyInUseError.
    """
    return private_keys.delete_key(show(fingerprint).certificate.spki_sha256)


@reads
def owners_of_key(fingerprint: str) -> frozenset[str]:
    """All for whom the private key of a certificate stands, by whatever has it; raises NoSuchCertificateError."""
    spki = _row(fingerprint).spki_sha256
    by_certificates = CertificateUse.objects.filter(certificate__spki_sha256=spki, certificate__bound=True)
    components = PgpComponentRow.objects.filter(spki_sha256=spki, bound=True).values("certificate")
    by_pgp = PgpUseRow.objects.filter(certificate__in=components)
    return frozenset(owner for uses in (by_certificates, by_pgp) for owner in uses.values_list("owner", flat=True))


@writes
def use(fingerprint: str, owner: str, use_kind: Use = Use.SELECTED) -> None:
    """Choose a certificate by hand for an address, domain or wildcard; or share its key with them (Use.SHARED).

    Raises NoSuchCertificateError, AddressError, and PermanentError to share a key that is not there.
    """
    row = _locked(_row(fingerprint))
    key = _owner(owner)
    if row.purpose != Purpose.END_ENTITY:
        raise PermanentError("a CA certificate cannot be chosen for an address or a domain")
    if use_kind is Use.SHARED and not row.bound:
        raise PermanentError("the certificate has no private key here that could be shared")
    CertificateUse.objects.get_or_create(certificate=row, owner=key, kind=use_kind)
    CertificateRow.objects.filter(pk=row.pk).update(candidate=False)
    _settle_conflict(row)
    if "@" in key:
        remember([key])
    bump(Scope.KEYS)
    record("certificates", "use", row.fingerprint, after={"owner": key, "kind": use_kind.value})


def _settle_conflict(row: CertificateRow) -> None:
    """Where it is chosen for all its addresses, nobody is left for whom its key is in question."""
    uses = CertificateUse.objects.filter(certificate=row)
    chosen = uses.filter(kind=Use.SELECTED).values("owner")
    if not uses.filter(kind__in=(Use.SAN, Use.SUBJECT)).exclude(owner__in=chosen).exists():
        CertificateRow.objects.filter(pk=row.pk).update(conflict=False)


def accept(fingerprint: str, *, at: datetime | None = None) -> CertificateInfo:
    """Make a certificate that came with a mail one like those imported, its key no longer in question.

    Its path is judged as before. Raises NoSuchCertificateError.
    """

    def work() -> str:
        row = _row(fingerprint)
        if row.candidate or row.conflict:
            values = {"candidate": False, "conflict": False, "due": DUE_NOW, "marks": F("marks") + 1}
            CertificateRow.objects.filter(pk=row.pk).update(**values)
            remember_those_of([row.pk])
            bump(Scope.KEYS)
            record("certificates", "accept", row.fingerprint, before=facts(row, "candidate", "conflict", "subject"))
        return row.fingerprint

    name = run(work)
    after_change(at=at)
    return show(name)


@reads
def count_conflicts() -> int:
    """How many certificates with a valid path bring another key for a known address and wait to be accepted."""
    return CertificateRow.objects.filter(conflict__in=[True], trusted=True).count()


@writes
def stop_using(fingerprint: str, owner: str, use_kind: Use = Use.SELECTED) -> bool:
    """Take back `use`; False: it was not chosen for that owner."""
    row = _row(fingerprint)
    rows = CertificateUse.objects.filter(certificate=row, owner=_owner(owner), kind=use_kind)
    deleted, _ = rows.delete()
    bump(Scope.KEYS)
    if deleted:
        record("certificates", "stop-using", row.fingerprint, before={"owner": _owner(owner), "kind": use_kind.value})
    return bool(deleted)


def _owner(owner: str) -> str:
    _, key = read_owner(owner)
    if not key:
        raise PermanentError("a certificate is chosen for an address, a domain or a wildcard")
    return key


def _row(fingerprint: str) -> CertificateRow:
    wanted = fingerprint.replace(":", "").strip().lower()
    if len(wanted) < 4:
        raise NoSuchCertificateError("give at least four digits of the fingerprint")
    rows = list(CertificateRow.objects.filter(fingerprint__startswith=wanted)[:2])
    if len(rows) != 1:
        several = "several certificates have" if rows else "no certificate has"
        raise NoSuchCertificateError(f"{several} a fingerprint that begins with {wanted[:64]}")
    return rows[0]


def _locked(row: CertificateRow) -> CertificateRow:
    """The row as it is now, in the caller's transaction: nobody changes or deletes it before that ends."""
    found = CertificateRow.objects.select_for_update().filter(pk=row.pk).first()
    if found is None:
        raise NoSuchCertificateError("the certificate was deleted a moment ago")
    return found


def _infos(rows: QuerySet[CertificateRow]) -> tuple[CertificateInfo, ...]:
    found = list(rows)
    names = [row.fingerprint for row in found]
    ctl = dict(CtlRow.objects.filter(fingerprint__in=names).values_list("fingerprint", "entry"))
    spkis = [row.spki_sha256 for row in found]
    keys = set(PrivateKeyRow.objects.filter(spki_sha256__in=spkis).values_list("spki_sha256", flat=True))
    uses: dict[object, list[tuple[str, Use]]] = {}
    for one in CertificateUse.objects.filter(certificate__in=[row.pk for row in found]).order_by("owner", "kind"):
        uses.setdefault(one.certificate_id, []).append((one.owner, Use(one.kind)))
    return tuple(
        CertificateInfo(
            parsed(row.fingerprint, row.der),
            Purpose(row.purpose),
            row.candidate,
            row.bound and row.spki_sha256 in keys,
            _verdict(row),
            row.judged_at,
            CtlEntry(ctl[row.fingerprint]) if row.fingerprint in ctl else None,
            tuple(uses.get(row.pk, ())),
            row.created.astimezone(UTC),
            row.conflict,
            row.capabilities,
            row.capabilities_at,
        )
        for row in found
    )


def _verdict(row: CertificateRow) -> Verdict:
    return verdict_from_row(
        row.trusted, row.reason, row.valid_from, row.valid_until, row.revocation, row.revocation_until
    )
