"""An OpenPGP certificate (RFC 9580 §10.1) and what is stored of it: its components, trust, hand-made choices."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from mailseal.openpgp.component import Component, UserId
from mailseal.openpgp.key import PublicKey
from mailseal.policy.reason import ReasonCode


@dataclass(frozen=True, slots=True)
class Omission:
    """What a certificate had and we do not use: a fingerprint, or a user ID's text cut to 80 characters; and why."""

    what: str
    reason: ReasonCode


@dataclass(frozen=True, slots=True, eq=False)
class PgpCertificate:
    """A certificate, every self-signature of it verified by us; equal when the octets are.

    `octets`: its packets in canonical order, without anything that a stranger put in. `primary.bindings` are the
    direct-key signatures. `disputed`: Sequoia takes it for revoked or expires it earlier; such a one is not used.
    """

    octets: bytes = field(repr=False)
    primary: Component
    user_ids: tuple[UserId, ...]
    subkeys: tuple[Component, ...]
    omissions: tuple[Omission, ...] = ()
    disputed: bool = False

    @property
    def fingerprint(self) -> str:
        """Lower-case hex of the primary key: 40 digits of version 4, 64 of version 6."""
        return self.primary.public.fingerprint

    @property
    def key_id(self) -> str:
        """16 lower-case hex digits."""
        return self.primary.public.key_id

    @property
    def components(self) -> tuple[Component, ...]:
        """The primary key, then the subkeys."""
        return (self.primary, *self.subkeys)

    def component(self, issuer: str) -> Component | None:
        """The key with this fingerprint or key ID (lower-case hex)."""
        return next((one for one in self.components if names(issuer, one.public)), None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PgpCertificate) and self.octets == other.octets

    def __hash__(self) -> int:
        return hash(self.octets)


def names(issuer: str, public: PublicKey) -> bool:
    """Whether an issuer, a fingerprint or key ID in lower-case hex, is this key."""
    return issuer in (public.fingerprint, public.key_id)


class PgpTrust(StrEnum):
    """What an administrator, or a rule that one has set, says of a certificate."""

    CANDIDATE = "candidate"
    TRUSTED = "trusted"
    DISTRUSTED = "distrusted"


@dataclass(frozen=True, slots=True)
class StoredPgpCertificate:
    """A certificate as stored. `selected`: chosen by hand for this address or its domain.

    `keys`: the fingerprints of the components whose secret key is held; with any, `has_key`, the certificate is ours.
    `provenance` is a short text: where it came from. `own_domain`: the domain of the address that was asked for
    publishes it for that address by WKD, over HTTPS.
    """

    certificate: PgpCertificate
    trust: PgpTrust
    selected: bool = False
    has_key: bool = False
    provenance: str = ""
    keys: frozenset[str] = frozenset()
    own_domain: bool = False


def read_certificate(octets: bytes, certifiers: Sequence[PgpCertificate] = ()) -> PgpCertificate:
    """Read one certificate, binary, of public or secret keys; raises PgpError, nothing else.

    Strangers' signatures are left out, but those over user IDs by `certifiers`.
    """
    raise NotImplementedError
