"""Changes of OpenPGP certificates by their own secret keys, or by that of their domain: each a new signature."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailseal.errors import PermanentError
from mailseal.keys import PrivateKey
from mailseal.openpgp import edit
from mailseal.openpgp.certificate import PgpCertificate, PgpTrust
from mailseal.openpgp.component import RevocationCode
from mailseal.openpgp.validity import live_user_ids
from mailseal.store.audit import record
from mailseal.store.owners import owners_of_domain
from mailseal.store.pgp_admin import PgpInfo, locked, row_of, row_to_trust, show
from mailseal.store.pgp_domain_keys import DomainKey, domain_keys, domains_of
from mailseal.store.pgp_keep import put
from mailseal.store.pgp_models import PgpCertificateRow, PgpComponentRow
from mailseal.store.pgp_rows import parsed
from mailseal.store.private_keys import Sealing, open_key
from mailseal.store.row import utc_now
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import run


class NoPrimaryKeyError(PermanentError):
    """What was asked for needs the secret primary key, and it is not here."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What the audit says of a change."""

    action: str
    facts: Mapping[str, Any]


def revoke(name: str, sealing: Sealing, code: RevocationCode, text: str = "", *, at: datetime | None = None) -> PgpInfo:
    """Revoke a certificate; raises what all here do: NoSuchPgpKeyError, NoPrimaryKeyError, PgpError, SealError."""
    said = _Said("revoke", {"code": code.name, "text": text})
    return _change(name, sealing, said, lambda old, key, now: edit.revoke(old, key, code, text, at=now), at)


def revoke_user_id(name: str, user_id: str, sealing: Sealing, text: str = "", *, at: datetime | None = None) -> PgpInfo:
    """Revoke a user ID as no longer valid."""
    said = _Said("revoke-user-id", {"user_id": user_id, "text": text})
    return _change(name, sealing, said, lambda old, key, now: edit.revoke_user_id(old, user_id, key, text, at=now), at)


def add_user_id(name: str, user_id: str, sealing: Sealing, *, at: datetime | None = None) -> PgpInfo:
    """Add a user ID, or bind one again that was revoked."""
    said = _Said("add-user-id", {"user_id": user_id})
    return _change(name, sealing, said, lambda old, key, now: edit.add_user_id(old, user_id, key, at=now), at)


def set_expiry(name: str, expires: datetime | None, sealing: Sealing, *, at: datetime | None = None) -> PgpInfo:
    """Have a certificate, which may have expired, end at another time; None: never."""
    said = _Said("set-expiry", {"expires": expires})
    return _change(name, sealing, said, lambda old, key, now: edit.set_expiry(old, key, expires, at=now), at)


def _change(
    name: str,
    sealing: Sealing,
    said: _Said,
    change: Callable[[PgpCertificate, PrivateKey, datetime], bytes],
    at: datetime | None,
) -> PgpInfo:
    now = at or utc_now()

    def work() -> PgpInfo:
        row = locked(row_of(name))
        old = parsed(row.octets, _certifiers(row))
        put(row, change(old, _primary_key(row, sealing), now), now)
        bump(Scope.KEYS)
        record("pgp", said.action, row.fingerprint, after=said.facts)
        return show(row.fingerprint)

    return run(work)


def certify(
    name: str,
    sealing: Sealing,
    *,
    by: str = "",
    user_ids: Collection[str] = (),
    expires: datetime | None = None,
    at: datetime | None = None,
) -> PgpInfo:
    """Have the key of a domain certify user IDs of a certificate with an address of that domain.

    `by`: names the domain key; without it there has to be just one whose secret key is here. `user_ids` have to be
    named if there are several: they may have come from anywhere. Raises PermanentError when there is none.
    """
    now = at or utc_now()

    def work() -> PgpInfo:
        row = locked(row_to_trust(name))
        if row.trust == PgpTrust.DISTRUSTED:
            raise PermanentError("the key is distrusted: `mailseal pgp trust` it first")
        old = parsed(row.octets, _certifiers(row))
        domain_key, domain_row = _domain_key(old, by)
        texts = _meant(_of_domains(old, domain_key, now), user_ids)
        key = _primary_key(domain_row, sealing)
        put(row, edit.certify(old, texts, domain_key[0].certificate, key, at=now, expires=expires), now)
        bump(Scope.KEYS)
        record("pgp", "certify", row.fingerprint, after={"by": domain_row.fingerprint, "user_ids": list(texts)})
        return show(row.fingerprint)

    return run(work)


def _meant(found: Sequence[str], named: Collection[str]) -> Sequence[str]:
    if named and not set(found).issuperset(named):
        raise PermanentError("the certificate has not all of these user IDs with an address of the domain")
    if not named and len(found) > 1:
        raise PermanentError(f"name the user IDs that are meant (--user-id): it has {', '.join(found)}")
    return [one for one in found if one in named] if named else found


def _certifiers(row: PgpCertificateRow) -> tuple[PgpCertificate, ...]:
    """What they have certified stays in it."""
    return tuple(one.certificate for one in domain_keys(domains_of(parsed(row.octets))))


def _primary_key(row: PgpCertificateRow, sealing: Sealing) -> PrivateKey:
    primary = PgpComponentRow.objects.filter(certificate=row, fingerprint=row.fingerprint, bound=True).first()
    if primary is None:
        raise NoPrimaryKeyError(f"the secret primary key of {row.fingerprint} is not here")
    return open_key(primary.spki_sha256, sealing)


def _domain_key(certificate: PgpCertificate, by: str) -> tuple[list[DomainKey], PgpCertificateRow]:
    """What a domain key is chosen for, and its row."""
    found: dict[str, list[DomainKey]] = {}
    for one in domain_keys(domains_of(certificate)):
        found.setdefault(one.certificate.fingerprint, []).append(one)
    if by:
        names = [row_of(by).fingerprint]
    else:
        held = PgpComponentRow.objects.filter(fingerprint__in=found, bound=True)
        names = sorted(set(held.values_list("fingerprint", flat=True)))
    usable = [name for name in names if name in found and name != certificate.fingerprint]
    if len(usable) != 1:
        several = "several keys are" if usable else "no key with its secret key here is"
        raise PermanentError(
            f"{several} chosen for the domain of {', '.join(sorted(domains_of(certificate))) or 'no address'}:"
            " `mailseal pgp use KEY DOMAIN` chooses one, --by names it"
        )
    return found[usable[0]], PgpCertificateRow.objects.get(fingerprint=usable[0])


def _of_domains(certificate: PgpCertificate, keys: Collection[DomainKey], at: datetime) -> list[str]:
    owners = {key.owner for key in keys}
    return [
        one.text
        for one in live_user_ids(certificate, at)
        if one.address is not None and not owners.isdisjoint(owners_of_domain(one.address.domain))
    ]
