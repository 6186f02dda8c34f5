"""The search for the OpenPGP keys of one address: its own domain first, then the key servers in their order."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from mailseal.discover.fetch import FetchError
from mailseal.discover.key_source import Found, KeySource
from mailseal.mail.address import Address
from mailseal.openpgp.certificate import PgpCertificate, read_certificate
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.ring import RingError, open_ring

MAX_MEMBERS = 50
"""Read of one answer."""
MAX_CERTIFICATES = 10
"""Kept of one answer: an address has one or two, and old ones that are revoked."""


@dataclass(frozen=True, slots=True)
class FoundCertificate:
    """A certificate that names the address in a user ID which its own key has signed. `octets`: as it came."""

    octets: bytes = field(repr=False)
    certificate: PgpCertificate
    provenance: str


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search came to. `problems`: why some of the places said nothing; with none, the answer is whole."""

    found: tuple[FoundCertificate, ...] = ()
    problems: tuple[str, ...] = ()


def search(address: Address, sources: Sequence[KeySource]) -> Searched:
    """Ask one place after the other until one has certificates of the address; never raises for what a place says."""
    problems: list[str] = []
    for source in sources:
        try:
            ring = source.keys_of(address)
        except FetchError as error:
            problems.append(str(error))
            continue
        found = () if ring is None else tuple(islice(_naming(address, ring), MAX_CERTIFICATES))
        if found:
            return Searched(found, tuple(problems))
    return Searched((), tuple(problems))


def _naming(address: Address, ring: Found) -> Iterator[FoundCertificate]:
    try:
        members = open_ring(io.BytesIO(ring.octets)).members
    except RingError:
        return
    for member in islice(members, MAX_MEMBERS):
        if not member.is_certificate:
            continue
        try:
            certificate = read_certificate(member.octets)
        except PgpError:
            continue
        named = {one.address.key for one in certificate.user_ids if one.address is not None and one.bindings}
        if address.key in named:
            yield FoundCertificate(member.octets, certificate, ring.provenance)
