"""Keys in conflict: a candidate brings another key to encrypt to for an address that is known already."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mailseal.smime.certificate import Certificate, CtlEntry
from mailseal.smime.select import can_receive
from mailseal.store.certificate_rows import Use, parsed
from mailseal.store.owners import with_places
from mailseal.store.transaction import select

_OF_OWNERS = (
    "SELECT u.owner, c.fingerprint, c.der, c.candidate, c.trusted, c.conflict, t.entry FROM store_certificate_use u"
    " JOIN store_certificate c ON c.id = u.certificate_id LEFT JOIN store_ctl t ON t.fingerprint = c.fingerprint"
    " WHERE u.owner IN (:owners) AND u.kind <> %s"
)


class AddressUse(NamedTuple):
    """A certificate that stands for an address (its key)."""

    owner: str
    fingerprint: str
    der: bytes
    candidate: int
    trusted: int
    conflict: int
    ctl: str | None

    @property
    def is_known(self) -> bool:
        """Trusted, or somebody vouched for it."""
        return bool(self.trusted) or not self.candidate or self.ctl in (CtlEntry.ALLOW, CtlEntry.ALLOW_EXPIRED)


def uses_of(owners: Sequence[str]) -> tuple[AddressUse, ...]:
    """All certificates of these addresses, but those whose key is only shared with them."""
    if not owners:
        return ()
    rows = select(with_places(_OF_OWNERS, len(owners)), (*owners, Use.SHARED.value))
    return tuple(AddressUse(*row) for row in rows)


def in_conflict(certificate: Certificate, uses: Iterable[AddressUse]) -> bool:
    """Whether one of its addresses is known, but its key not.

    Only keys that mail is encrypted to count: many people have another one to sign with. A key that is itself in
    conflict makes no second certificate of it known.
    """
    if not can_receive(certificate):
        return False
    others: set[str] = set()
    same: set[str] = set()
    for use in uses:
        if not use.is_known:
            continue
        known = parsed(use.fingerprint, use.der)
        if not can_receive(known):
            continue
        if known.spki_sha256 != certificate.spki_sha256:
            others.add(use.owner)
        elif not use.conflict:
            same.add(use.owner)
    return bool(others - same)
