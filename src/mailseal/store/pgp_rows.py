"""OpenPGP certificates as rows and back: uses, provenance, what the columns hold."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from mailseal.openpgp.certificate import PgpCertificate, PgpTrust, StoredPgpCertificate, reread_certificate
from mailseal.openpgp.component import Component, revocation_at
from mailseal.openpgp.select import fit_to_encrypt
from mailseal.openpgp.validity import component_expiry, expiry, primary_user_id
from mailseal.store.lru import Lru
from mailseal.store.pgp_models import PROVENANCE_CHARS
from mailseal.store.row import storable

MAX_ADDRESSES = 100
"""Addresses of one certificate that it can be found by."""
MAX_USER_ID_CHARS = 1000


class PgpUse(StrEnum):
    """Why a certificate stands for an owner.

    USER_ID: one of its user IDs names the address. SELECTED: an administrator chose it for an address or a domain, to
    encrypt to, to sign with, and, for a domain, to believe what it certifies of the domain's addresses. SHARED: its
    secret keys may also open the mail of an address or a domain. PUBLISHED: the address's own domain publishes it for
    the address (WKD).
    """

    USER_ID = "user-id"
    SELECTED = "selected"
    SHARED = "shared"
    PUBLISHED = "published"


class Provenance(StrEnum):
    """Whence a certificate came first; the first word of the column, what more is known follows it."""

    IMPORT = "import"
    GENERATED = "generated"
    MAIL = "mail"
    WKD = "wkd"
    KEY_SERVER = "key-server"

    def with_source(self, source: str) -> str:
        """As it is stored."""
        return storable(f"{self.value} {source}".strip())[:PROVENANCE_CHARS]


_parsed: Lru[tuple[bytes, ...], PgpCertificate] = Lru(10_000, max_age_seconds=86_400.0)
_USUAL_OCTETS = 4096
"""What is read of so many takes 3 to 15 KB of memory; strangers' certificates may be of 64 KiB and more."""


def parsed(
    octets: bytes | memoryview, certifiers: Sequence[PgpCertificate] = (), *, disputed: bool | None = None
) -> PgpCertificate:
    """The certificate of a row: octets that were read before they were stored, so what is in them is known.

    `disputed` is the column; on the mail path Sequoia is not asked again.
    """
    data = bytes(octets)
    key = tuple(hashlib.sha256(one).digest() for one in (data, *(certifier.octets for certifier in certifiers)))
    known = _parsed.get(key)
    if known is None:
        known = reread_certificate(data, certifiers, disputed=disputed)
        _parsed.put(key, known, _parsed.generation, weight_of(known))
    return known if disputed is None or known.disputed is disputed else replace(known, disputed=disputed)


def weight_of(*certificates: PgpCertificate) -> int:
    """For how many usual certificates these stand in a cache; at least 1."""
    return max(1, sum(1 + len(one.octets) // _USUAL_OCTETS for one in certificates))


def seen(
    certificate: PgpCertificate,
    trust: str,
    provenance: str,
    subkey: str,
    held: str | None,
    *,
    certified: frozenset[str] | None = None,
) -> StoredPgpCertificate:
    """The snapshot that the mail path gets. `held`: the fingerprints of secret keys, with a comma between.

    `certified`: the user IDs for which a domain key vouches; then it counts as trusted for these.
    """
    keys = frozenset(held.split(",")) if held else frozenset[str]()
    return StoredPgpCertificate(
        certificate,
        PgpTrust(trust) if certified is None else PgpTrust.TRUSTED,
        selected=False,
        has_key=bool(keys),
        provenance=provenance,
        keys=keys,
        subkey=subkey,
        certified=certified,
    )


def columns(certificate: PgpCertificate, at: datetime) -> dict[str, Any]:
    """Column values of the certificate itself, as far as is known of it at that time."""
    return {
        "octets": certificate.octets,
        "user_ids": storable("\n".join(user_ids(certificate, at))),
        "algorithm": certificate.primary.public.name[:64],
        "key_created": certificate.primary.public.created,
        "expires": useful_until(certificate, at),
        "revoked": revocation_at(certificate.primary, at) is not None,
        "disputed": certificate.disputed,
    }


def user_ids(certificate: PgpCertificate, at: datetime) -> list[str]:
    """The texts of its user IDs, each a line, the primary one first; those that nobody has bound are left out."""
    first = primary_user_id(certificate, at)
    bound = [one for one in certificate.user_ids if one.bindings]
    ordered = sorted(bound, key=lambda one: one is not first)
    return [" ".join(one.text[:MAX_USER_ID_CHARS].split()) for one in ordered]


def useful_until(certificate: PgpCertificate, at: datetime) -> datetime | None:
    """When there will be no key to encrypt to any more; of one that has none now, when the primary key expires."""
    ends = [component_expiry(certificate, one, at) for one in fit_to_encrypt(certificate, at)]
    if not ends or None in ends:
        return expiry(certificate, at)
    return max(one for one in ends if one is not None)


def address_keys(certificate: PgpCertificate) -> list[str]:
    """The addresses (their keys) that it is found by: those of user IDs that it has bound itself, whenever."""
    found = (one.address.key for one in certificate.user_ids if one.address is not None and one.bindings)
    return list(dict.fromkeys(found))[:MAX_ADDRESSES]


def findable(certificate: PgpCertificate, held: Collection[str] = ()) -> tuple[Component, ...]:
    """The keys that it is found by: the primary key, subkeys that it has bound, and any whose secret key is held."""
    return tuple(
        one for one in certificate.components if one is certificate.primary or one.bindings or one.fingerprint in held
    )
