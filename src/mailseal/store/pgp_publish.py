"""Which of our own OpenPGP certificates the world may have: for addresses of internal domains, alive or revoked.

Who has a key that was revoked since learns of it where he got it (draft-koch-openpgp-webkey-service §3.1).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef

from mailseal.mail.address import Address
from mailseal.openpgp.certificate import PgpCertificate, PgpTrust
from mailseal.openpgp.edit import minimal
from mailseal.openpgp.validity import live_user_ids, why_dead
from mailseal.policy.reason import ReasonCode
from mailseal.store.directory import StoreDirectory
from mailseal.store.pgp_models import PgpCertificateRow, PgpComponentRow
from mailseal.store.pgp_rows import parsed
from mailseal.store.transaction import read

CHUNK_ROWS = 100


@dataclass(frozen=True, slots=True)
class Published:
    """What is published of a certificate for one address: no other user ID is in it."""

    address: Address
    octets: bytes


def published(at: datetime) -> Iterator[Published]:
    """All certificates whose secret key is held, a row for each internal address, those that are revoked at the end.

    Raises StoreUnavailable.
    """
    directory = StoreDirectory()
    for revoked, why in ((False, None), (True, ReasonCode.PGP_KEY_REVOKED)):
        for certificate in _ours(revoked=revoked):
            if why_dead(certificate, at) is why:
                for address in dict.fromkeys(internal_addresses(certificate, directory, at)):
                    # No other address in it (draft-koch-openpgp-webkey-service §5).
                    named = user_ids_of(certificate, [address], at)
                    yield Published(address, minimal(certificate, at, named, with_revoked=True))


def internal_addresses(certificate: PgpCertificate, directory: StoreDirectory, at: datetime) -> list[Address]:
    """The addresses of its user IDs that are ours."""
    found = (one.address for one in live_user_ids(certificate, at))
    return [one for one in found if one is not None and directory.party(one).internal]


def user_ids_of(certificate: PgpCertificate, addresses: Collection[Address], at: datetime) -> list[str]:
    """The texts of the user IDs that name these addresses, and no others'."""
    wanted = {one.key for one in addresses}
    alive = live_user_ids(certificate, at)
    return [one.text for one in alive if one.address is not None and one.address.key in wanted]


def _ours(*, revoked: bool) -> Iterator[PgpCertificate]:
    bound = Exists(PgpComponentRow.objects.filter(certificate=OuterRef("pk"), bound=True))
    rows = PgpCertificateRow.objects.filter(bound, trust=PgpTrust.TRUSTED.value, revoked=revoked).order_by("pk")
    after = None
    while True:
        page = rows if after is None else rows.filter(pk__gt=after)
        some = read(lambda page=page: list(page.only("octets")[:CHUNK_ROWS]))  # type: ignore[misc]
        yield from (parsed(row.octets) for row in some)
        if len(some) < CHUNK_ROWS:
            return
        after = some[-1].pk
