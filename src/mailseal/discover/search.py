"""The search for the OpenPGP keys of one address: its own domain first, then the key servers in their order."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from mailseal.discover.fetch import FetchError
from mailseal.discover.key_source import KeySource
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


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search came to. `source`: where it was found. `without`: the places that have none of the address.

    `problems`: why other places said nothing; with none, the answer is whole.
    """

    found: tuple[FoundCertificate, ...] = ()
    source: str = ""
    without: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def search(address: Address, sources: Sequence[KeySource]) -> Searched:
    """Ask one place after the other until one has certificates of the address; never raises for what a place says."""
    without: list[str] = []
    problems: list[str] = []
    for source in sources:
        try:
            ring = source.keys_of(address)
        except FetchError as error:
            problems.append(str(error))
            continue
        found = tuple(islice(_naming(address, ring), MAX_CERTIFICATES))
        if found:
            return Searched(found, source.name, tuple(without), tuple(problems))
        without.append(source.name)
    return Searched((), "", tuple(without), tuple(problems))


def _naming(address: Address, ring: bytes) -> Iterator[FoundCertificate]:
    try:
        members = open_ring(io.BytesIO(ring)).members
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
            yield FoundCertificate(member.octets, certificate)
