"""OpenPGP certificates for administrators: list, show, trust, choose by hand, share a key, delete."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from string import hexdigits

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Lower

from mailseal.errors import PermanentError
from mailseal.mail.address import Address
from mailseal.openpgp.certificate import PgpCertificate, PgpTrust
from mailseal.openpgp.select import fit_to_encrypt
from mailseal.store import private_keys
from mailseal.store.addresses import remember
from mailseal.store.audit import facts, record
from mailseal.store.owners import in_domains, owners_of_domain, read_owner
from mailseal.store.pgp_domain_keys import (
    DomainKey,
    certified_user_ids,
    certifiers,
    domain_keys,
    domains_of,
    relevant,
)
from mailseal.store.pgp_models import PgpCertificateRow, PgpComponentRow, PgpUseRow
from mailseal.store.pgp_rows import PgpUse, parsed
from mailseal.store.row import utc_now
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import reads, writes

_KEY_ID_DIGITS = 16
_MIN_DIGITS = 4
_MIN_TRUSTED_DIGITS = _KEY_ID_DIGITS
"""Of the name of a key that is to be trusted: one that begins with eight given digits is made in minutes."""


class NoSuchPgpKeyError(PermanentError):
    """No stored certificate has this fingerprint, or several begin like it."""


@dataclass(frozen=True, slots=True)
class PgpInfo:
    """A stored certificate as administrators see it.

    `keys`: fingerprints of the components whose secret key is held. `certified`: the user IDs that a domain key vouches
    for now. `uses` are (owner, use) pairs. `subkey`: the one chosen to encrypt to, or "".
    """

    certificate: PgpCertificate
    trust: PgpTrust
    provenance: str
    conflict: bool
    subkey: str
    keys: frozenset[str]
    certified: frozenset[str]
    uses: tuple[tuple[str, PgpUse], ...]
    expires: datetime | None
    revoked: bool
    created: datetime
    updated: datetime

    @property
    def fingerprint(self) -> str:
        """Of the primary key."""
        return self.certificate.fingerprint


@reads
def list_keys(
    *,
    address: Address | None = None,
    owner: str | None = None,
    domains: Collection[str] | None = None,
    trust: PgpTrust | None = None,
    has_key: bool | None = None,
    conflict: bool | None = None,
    revoked: bool | None = None,
    text: str = "",
    expires_before: datetime | None = None,
    before: str | None = None,
    limit: int = 100,
) -> tuple[PgpInfo, ...]:
    """The newest certificates that meet all filters.

    `address`: everything the mail path would look at for it. `owner`: found, chosen or shared for exactly this address,
    domain or wildcard; `domains`: for one of these (stored form) or an address in them. `text` is looked for in the
    user IDs. `before`: the fingerprint of the last row of the page before.
    """
    rows = _of_owners(address, owner, domains)
    if trust is not None:
        rows = rows.filter(trust=trust.value)
    if conflict is not None:
        rows = rows.filter(conflict__in=[conflict])  # as a list, since SQLite finds no index for a bare boolean
    if revoked is not None:
        rows = rows.filter(revoked=revoked)
    if has_key is not None:
        bound = Exists(PgpComponentRow.objects.filter(certificate=OuterRef("pk"), bound=True))
        rows = rows.filter(bound) if has_key else rows.filter(~bound)
    if text:
        # Not icontains: the tables' collation compares octet by octet.
        rows = rows.annotate(lower=Lower("user_ids")).filter(lower__contains=text.lower())
    if expires_before is not None:
        rows = rows.filter(expires__lt=expires_before)
    if before is not None:
        rows = rows.filter(pk__lt=row_of(before).pk)
    return _infos(rows.order_by("-pk")[:limit])


def _of_owners(
    address: Address | None, owner: str | None, domains: Collection[str] | None
) -> QuerySet[PgpCertificateRow]:
    wanted = []
    if address is not None:
        wanted.append(Q(owner__in=(address.key, *owners_of_domain(address.domain))))
    if owner is not None:
        wanted.append(Q(owner=read_owner(owner)[1]))
    if domains is not None:
        wanted.append(in_domains("owner", domains))
    rows = PgpCertificateRow.objects.all()
    for one in wanted:
        rows = rows.filter(pk__in=PgpUseRow.objects.filter(one).values("certificate"))
    return rows


@reads
def infos(fingerprints: Sequence[str]) -> tuple[PgpInfo, ...]:
    """The stored certificates among these, in this order."""
    found = {one.fingerprint: one for one in _infos(PgpCertificateRow.objects.filter(fingerprint__in=fingerprints))}
    return tuple(found[one] for one in dict.fromkeys(fingerprints) if one in found)


@reads
def show(name: str) -> PgpInfo:
    """One certificate, named as `row_of` takes it; raises NoSuchPgpKeyError."""
    return _infos(PgpCertificateRow.objects.filter(pk=row_of(name).pk))[0]


@reads
def find(name: str) -> PgpInfo:
    """As `show`; also the only one that has this subkey, by its fingerprint or key ID. Only to be looked at."""
    try:
        return show(name)
    except NoSuchPgpKeyError:
        digits = _digits(name)
        having = PgpComponentRow.objects.filter(Q(fingerprint=digits) | Q(key_id=digits)).values("certificate")
        found = list(PgpCertificateRow.objects.filter(pk__in=having)[:2])
        if len(found) != 1:
            raise
        return show(found[0].fingerprint)


@reads
def count(trust: PgpTrust, *, conflict: bool | None = None) -> int:
    """How many certificates there are of a kind, by an index."""
    rows = PgpCertificateRow.objects.filter(trust=trust.value)
    return rows.count() if conflict is None else rows.filter(conflict__in=[conflict]).count()


@writes
def trust(name: str) -> PgpInfo:
    """Have mail encrypted to it and its signatures believed, for all its user IDs; raises NoSuchPgpKeyError."""
    row = locked(row_to_trust(name))
    set_trusted(row)
    bump(Scope.KEYS)
    _record_trust(row, "trust", PgpTrust.TRUSTED)
    return show(row.fingerprint)


def set_trusted(row: PgpCertificateRow) -> None:
    """In the caller's transaction."""
    PgpCertificateRow.objects.filter(pk=row.pk).update(trust=PgpTrust.TRUSTED.value, conflict=False)
    uses = PgpUseRow.objects.filter(certificate=row, kind=PgpUse.USER_ID.value)
    remember(uses.values_list("owner", flat=True))


def _record_trust(row: PgpCertificateRow, action: str, after: PgpTrust) -> None:
    record("pgp", action, row.fingerprint, before=facts(row, "trust"), after={"trust": after.value})


@writes
def distrust(name: str) -> PgpInfo:
    """Never use it again, whatever certifies it and whoever brings it, until it is trusted; NoSuchPgpKeyError."""
    row = locked(row_of(name))
    PgpCertificateRow.objects.filter(pk=row.pk).update(trust=PgpTrust.DISTRUSTED.value, conflict=False)
    bump(Scope.KEYS)
    _record_trust(row, "distrust", PgpTrust.DISTRUSTED)
    return show(row.fingerprint)


@writes
def use(name: str, owner: str, kind: PgpUse = PgpUse.SELECTED) -> PgpInfo:
    """Choose a certificate by hand for an address, domain or wildcard, which trusts it; or share its secret keys.

    Raises NoSuchPgpKeyError, AddressError, and PermanentError to share a key that is not there, or to choose one that
    is distrusted.
    """
    row = locked(row_to_trust(name))
    key = _owner(owner)
    if row.trust == PgpTrust.DISTRUSTED:
        raise PermanentError("the key is distrusted: `mailseal pgp trust` it first")
    if kind is PgpUse.SHARED and not PgpComponentRow.objects.filter(certificate=row, bound=True).exists():
        raise PermanentError("the secret key is not here, so it cannot be shared")
    PgpUseRow.objects.get_or_create(certificate=row, owner=key, kind=kind.value)
    if row.trust == PgpTrust.CANDIDATE:
        set_trusted(row)
    if "@" in key:
        remember([key])
    bump(Scope.KEYS)
    record("pgp", "use", row.fingerprint, after={"owner": key, "kind": kind.value})
    return show(row.fingerprint)


@writes
def stop_using(name: str, owner: str, kind: PgpUse = PgpUse.SELECTED) -> bool:
    """Take back `use`; False: it was not chosen for that owner. It stays trusted."""
    row = row_of(name)
    rows = PgpUseRow.objects.filter(certificate=row, owner=_owner(owner), kind=kind.value)
    deleted, _ = rows.delete()
    bump(Scope.KEYS)
    if deleted:
        record("pgp", "stop-using", row.fingerprint, before={"owner": _owner(owner), "kind": kind.value})
    return bool(deleted)


@writes
def choose_subkey(name: str, subkey: str, *, at: datetime | None = None) -> PgpInfo:
    """Encrypt to this key of the certificate alone ("": to all that can be); a fingerprint, its end, or a key ID.

    Raises NoSuchPgpKeyError, and PermanentError unless mail can be encrypted to it now.
    """
    row = row_of(name)
    chosen = ""
    if subkey:
        usable = fit_to_encrypt(parsed(row.octets), at or utc_now())
        wanted = _digits(subkey)
        found = [one.fingerprint for one in usable if one.fingerprint.endswith(wanted) or one.public.key_id == wanted]
        if len(found) != 1 or len(wanted) < _MIN_DIGITS:
            raise PermanentError(
                f"no single key of the certificate that mail can be encrypted to is {subkey}: there are "
                + (", ".join(one.fingerprint for one in usable) or "none")
            )
        (chosen,) = found
    PgpCertificateRow.objects.filter(pk=row.pk).update(subkey=chosen)
    bump(Scope.KEYS)
    record("pgp", "choose-subkey", row.fingerprint, before=facts(row, "subkey"), after={"subkey": chosen})
    return show(row.fingerprint)


@writes
def delete(name: str) -> PgpInfo:
    """Delete a certificate, and its secret keys that no other certificate has; raises NoSuchPgpKeyError."""
    row = locked(row_of(name))
    info = show(row.fingerprint)
    spkis = set(PgpComponentRow.objects.filter(certificate=row, bound=True).values_list("spki_sha256", flat=True))
    record("pgp", "delete", row.fingerprint, before=facts(row, "trust", "provenance") | {"secret_keys": len(spkis)})
    row.delete()
    private_keys.delete_unused(spkis)
    bump(Scope.KEYS)
    return info


def beyond(certificate: PgpCertificate, owner: str) -> list[str]:
    """The texts of the user IDs that name an address which is neither this one nor of this domain; AddressError."""
    key = _owner(owner)
    named = [(one.text, one.address) for one in certificate.user_ids if one.address is not None]
    return [text for text, address in named if key not in (address.key, *owners_of_domain(address.domain))]


def _owner(owner: str) -> str:
    _, key = read_owner(owner)
    if not key:
        raise PermanentError("a key is chosen for an address, a domain or a wildcard")
    return key


def _digits(name: str) -> str:
    return "".join(name.replace(":", "").split()).lower().removeprefix("0x")


def row_of(name: str) -> PgpCertificateRow:
    """The row of a certificate by its fingerprint, the beginning of it, or its key ID, in the caller's transaction.

    Never by those of a subkey: anybody can have another's key for one. Raises NoSuchPgpKeyError.
    """
    wanted = _digits(name)
    if len(wanted) < _MIN_DIGITS or set(wanted) - set(hexdigits):
        raise NoSuchPgpKeyError(f"give at least {_MIN_DIGITS} hexadecimal digits of the fingerprint")
    # A range, since no index is read for a prefix: "g" is behind the last digit.
    rows = list(PgpCertificateRow.objects.filter(fingerprint__gte=wanted, fingerprint__lt=f"{wanted}g")[:2])
    if not rows and len(wanted) == _KEY_ID_DIGITS:
        primaries = PgpComponentRow.objects.filter(key_id=wanted, fingerprint=F("certificate__fingerprint"))
        rows = list(PgpCertificateRow.objects.filter(pk__in=primaries.values("certificate"))[:2])
    if len(rows) != 1:
        several = "several OpenPGP keys have" if rows else "no OpenPGP key has"
        raise NoSuchPgpKeyError(f"{several} a fingerprint that begins with {wanted[:64]}, or that key ID")
    return rows[0]


def row_to_trust(name: str) -> PgpCertificateRow:
    """As `row_of`, by as many digits as nobody makes a second key for."""
    if len(_digits(name)) < _MIN_TRUSTED_DIGITS:
        raise NoSuchPgpKeyError(f"to trust a key, give at least {_MIN_TRUSTED_DIGITS} digits of its fingerprint")
    return row_of(name)


def locked(row: PgpCertificateRow) -> PgpCertificateRow:
    """The row as it is now, in the caller's transaction: nobody changes it, or adds to it, before that ends."""
    found = PgpCertificateRow.objects.select_for_update().filter(pk=row.pk).first()
    if found is None:
        raise NoSuchPgpKeyError("the OpenPGP key was deleted a moment ago")
    return found


def _infos(rows: QuerySet[PgpCertificateRow]) -> tuple[PgpInfo, ...]:
    found = list(rows)
    keys = [row.pk for row in found]
    held: dict[object, set[str]] = {}
    for one in PgpComponentRow.objects.filter(certificate__in=keys, bound=True):
        held.setdefault(one.certificate_id, set()).add(one.fingerprint)
    uses: dict[object, list[tuple[str, PgpUse]]] = {}
    for use_row in PgpUseRow.objects.filter(certificate__in=keys).order_by("owner", "kind"):
        uses.setdefault(use_row.certificate_id, []).append((use_row.owner, PgpUse(use_row.kind)))
    domains = domain_keys(domain for row in found for domain in domains_of(parsed(row.octets)))
    return tuple(_info(row, domains, frozenset(held.get(row.pk, ())), tuple(uses.get(row.pk, ()))) for row in found)


def _info(
    row: PgpCertificateRow,
    domains: Sequence[DomainKey],
    held: frozenset[str],
    uses: tuple[tuple[str, PgpUse], ...],
) -> PgpInfo:
    octets = bytes(row.octets)
    return PgpInfo(
        # With what the domain keys have certified, which an export has to have.
        parsed(octets, certifiers(relevant(domains_of(parsed(octets)), domains))),
        PgpTrust(row.trust),
        row.provenance,
        row.conflict,
        row.subkey,
        held,
        certified_user_ids(octets, domains, utc_now()) or frozenset(),
        uses,
        None if row.expires is None else row.expires.astimezone(UTC),
        row.revoked,
        row.created.astimezone(UTC),
        row.updated.astimezone(UTC),
    )
