"""OpenPGP keys for tests, made by the engine's own generator as of a frozen clock (see pki.NOW).

anna = pgp_key("Anna <anna@inside.example>")
anna.certificate, anna.octets, anna.keys        # what is stored, its packets, its secret keys
anna.secret                                     # a transferable secret key, unlocked
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import cache

from mailseal.keys import PrivateKey
from mailseal.openpgp.certificate import (
    PgpCertificate,
    PgpTrust,
    StoredPgpCertificate,
    read_certificate,
    reread_certificate,
)
from mailseal.openpgp.generate import KeyKind, generate
from mailseal.openpgp.key import PublicKey
from mailseal.openpgp.packet import Tag, read_packets, write_packet
from mailseal.openpgp.secret_key import write_secret_key
from pki import NOW

MADE = NOW - timedelta(days=10)


@dataclass(frozen=True)
class PgpIdentity:
    """A key pair with its certificate."""

    octets: bytes
    keys: tuple[tuple[PublicKey, PrivateKey], ...]

    @property
    def certificate(self) -> PgpCertificate:
        return read_certificate(self.octets)

    @property
    def fingerprint(self) -> str:
        return self.keys[0][0].fingerprint

    @property
    def primary(self) -> PrivateKey:
        return self.keys[0][1]

    @property
    def secret(self) -> bytes:
        """Transferable secret key, not locked."""
        return self.locked(None)

    def locked(self, password: str | None) -> bytes:
        """Transferable secret key, locked by a password."""
        private = {public.octets: (public, key) for public, key in self.keys}
        written = {Tag.PUBLIC_KEY: Tag.SECRET_KEY, Tag.PUBLIC_SUBKEY: Tag.SECRET_SUBKEY}
        packets = []
        for packet in read_packets(self.octets):
            tag, body = packet.tag, packet.octets
            if tag in written:
                tag = written[tag]
                body = write_secret_key(*private[body], password, tag)
            packets.append(write_packet(tag, body))
        return b"".join(packets)

    def stored(
        self, *, has_key: bool = False, trust: PgpTrust = PgpTrust.TRUSTED, **more: object
    ) -> StoredPgpCertificate:
        """As a port gives it."""
        held = frozenset(public.fingerprint for public, _ in self.keys) if has_key else frozenset()
        return StoredPgpCertificate(self.certificate, trust, has_key=has_key, keys=held, **more)


def pgp_key(
    *user_ids: str,
    kind: KeyKind = KeyKind.ED25519,
    expires_after: timedelta | None = timedelta(days=50 * 365),  # Sequoia goes by the machine's clock
    at: datetime = MADE,
) -> PgpIdentity:
    """A new key each time."""
    made = generate(user_ids, kind, expires_after=expires_after, at=at)
    return PgpIdentity(made.octets, made.keys)


@cache
def shared_key(*user_ids: str) -> PgpIdentity:
    """The same key each time: for tests that need no other."""
    return pgp_key(*user_ids)


def assert_read_again(certificate: PgpCertificate, certifiers: Sequence[PgpCertificate] = ()) -> None:
    """What was read says the same when it is read again, whether its signatures are verified or believed."""
    verified = read_certificate(certificate.octets, certifiers)
    believed = reread_certificate(certificate.octets, certifiers, disputed=certificate.disputed)
    assert verified == certificate
    assert facts(believed) == facts(verified) == facts(certificate) | {"omissions": verified.omissions}


def facts(certificate: PgpCertificate) -> dict[str, object]:
    """All of it, where == looks at the octets."""
    return {one.name: getattr(certificate, one.name) for one in fields(certificate)}
