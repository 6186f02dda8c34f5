"""The components of a certificate (RFC 9580 §10.1): keys and user IDs, with what their valid self-signatures say.

Facts hold times; what counts at a time is a pure function of them. Signatures of the future count for nothing yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, IntFlag

from mailseal.mail.address import Address
from mailseal.openpgp.key import PublicKey
from mailseal.policy.reason import ReasonCode


class KeyFlags(IntFlag):
    """What a key may be used for (RFC 9580 §5.2.3.29)."""

    CERTIFY = 0x01
    SIGN = 0x02
    ENCRYPT_COMMUNICATIONS = 0x04
    ENCRYPT_STORAGE = 0x08
    AUTHENTICATE = 0x20


class Features(IntFlag):
    """What the owner's program can read (RFC 9580 §5.2.3.32)."""

    SEIPD_V1 = 0x01
    SEIPD_V2 = 0x08


class RevocationCode(IntEnum):
    """Why a key or a user ID was revoked (RFC 9580 §5.2.3.31)."""

    UNSPECIFIED = 0
    SUPERSEDED = 1
    COMPROMISED = 2
    RETIRED = 3
    USER_ID_INVALID = 32


SOFT = frozenset({RevocationCode.SUPERSEDED, RevocationCode.RETIRED, RevocationCode.USER_ID_INVALID})
"""A revocation for one of these counts from its time on; one for any other reason, or for none, for all times."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What one valid self-signature says. None: it does not say; `expires` is of the signature, not of the key.

    `ciphers`, `digests`, `compressions` are numbers in order of preference, `aeads` pairs (cipher, mode).
    """

    created: datetime
    expires: datetime | None = None
    key_expires: datetime | None = None
    flags: KeyFlags | None = None
    features: Features | None = None
    ciphers: tuple[int, ...] | None = None
    aeads: tuple[tuple[int, int], ...] | None = None
    digests: tuple[int, ...] | None = None
    compressions: tuple[int, ...] | None = None
    primary_user_id: bool = False


@dataclass(frozen=True, slots=True)
class Revocation:
    """A valid revocation. `code` is a RevocationCode or a number that we do not know; `text` is the owner's."""

    created: datetime
    code: int
    text: str = ""

    @property
    def hard(self) -> bool:
        """Whether it counts for all times, those before it included."""
        return self.code not in SOFT


@dataclass(frozen=True, slots=True)
class Certification:
    """What another's key says of a user ID: `certifier` is the fingerprint of its certificate, `bindings` are valid
    certifications, newest first.
    """

    certifier: str
    bindings: tuple[Binding, ...]
    revocations: tuple[Revocation, ...] = ()


@dataclass(frozen=True, slots=True)
class UserId:
    """A user ID. `address`: the one mailbox that it names, if it does so without doubt.

    `bindings` are newest first. Without any, `unbound` says why none counts.
    """

    text: str
    address: Address | None
    bindings: tuple[Binding, ...]
    revocations: tuple[Revocation, ...] = ()
    certifications: tuple[Certification, ...] = ()
    unbound: ReasonCode | None = None


@dataclass(frozen=True, slots=True)
class Component:
    """A key. The bindings of a primary key are its direct-key signatures; its user IDs bind it, too.

    A binding with KeyFlags.SIGN of a subkey has a valid back signature: without one it is none. `bindings` are newest
    first. Without any, `unbound` says why none counts.
    """

    public: PublicKey
    bindings: tuple[Binding, ...]
    revocations: tuple[Revocation, ...] = ()
    unbound: ReasonCode | None = None

    @property
    def fingerprint(self) -> str:
        """Of this key, not of the certificate."""
        return self.public.fingerprint


@dataclass(frozen=True, slots=True)
class Omission:
    """What a certificate had and we do not use: a fingerprint, or a user ID's text cut to 80 characters; and why."""

    what: str
    reason: ReasonCode


@dataclass(frozen=True, slots=True, eq=False)
class PgpCertificate:
    """A certificate, every self-signature of it verified by us; equal when the octets and the judgement are.

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
        return next((one for one in self.components if issuer in (one.public.fingerprint, one.public.key_id)), None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PgpCertificate) and self.octets == other.octets and self.disputed is other.disputed

    def __hash__(self) -> int:
        return hash(self.octets)


def binding_at(bound: Component | UserId | Certification, at: datetime) -> Binding | None:
    """The self-signature that counts: the newest that there was, if it has not expired."""
    for one in bound.bindings:
        if one.created <= at and not is_past(one.expires, at):
            return one
    return None


def revocation_at(key: Component, at: datetime) -> Revocation | None:
    """What revokes a key; nothing takes that back."""
    return _revocation(key.revocations, at) if key.revocations else None


def certification_revocation_at(bound: UserId | Certification, at: datetime) -> Revocation | None:
    """What revokes a user ID; a newer signature over it takes back a soft revocation (RFC 9580 §5.2.3.31)."""
    if not bound.revocations:
        return None
    binding = binding_at(bound, at)
    since = binding.created if binding is not None else None
    return _revocation([one for one in bound.revocations if one.hard or since is None or one.created >= since], at)


def _revocation(revocations: Sequence[Revocation], at: datetime) -> Revocation | None:
    return next((one for one in revocations if one.hard), None) or next(
        (one for one in revocations if one.created <= at), None
    )


def is_past(expires: datetime | None, at: datetime) -> bool:
    """Whether it has expired; None never does."""
    return expires is not None and at >= expires
