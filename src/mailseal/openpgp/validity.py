"""What a certificate is worth at a time (RFC 9580 §5.2.3.10, §10.1): pure functions of its facts.

The primary key's flags, expiry and preferences stand in the self-signature of its primary user ID and in its direct-key
signature. Where both speak, that of the user ID counts in version 4 and the direct-key signature in version 6, as
Sequoia has it; but the key expires by either: gpg goes by the one, some by the other, Sequoia by both.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

from mailseal.openpgp.component import (
    Binding,
    Component,
    Features,
    KeyFlags,
    PgpCertificate,
    UserId,
    binding_at,
    certification_revocation_at,
    is_past,
    revocation_at,
)
from mailseal.policy.reason import ReasonCode

T = TypeVar("T")

_REMEMBERED = 64
"""Answers: for one mail the same is asked of each of its certificates a dozen times."""


@lru_cache(maxsize=_REMEMBERED)
def why_dead(certificate: PgpCertificate, at: datetime) -> ReasonCode | None:
    """Why nothing of the certificate may be used at that time."""
    primary = certificate.primary
    if revocation_at(primary, at) is not None:
        return ReasonCode.PGP_KEY_REVOKED
    statements = _statements(certificate, at)
    if not statements:
        return _missing((primary, *certificate.user_ids), at)
    if is_past(_earliest(statements), at):
        return ReasonCode.PGP_KEY_EXPIRED
    return ReasonCode.PGP_KEY_DISPUTED if certificate.disputed else None


def why_component_dead(certificate: PgpCertificate, component: Component, at: datetime) -> ReasonCode | None:
    """Why this key of the certificate may not be used at that time; says nothing of what it is made for."""
    reason = why_dead(certificate, at)
    return reason if reason is not None or component is certificate.primary else why_subkey_dead(component, at)


def why_subkey_dead(subkey: Component, at: datetime) -> ReasonCode | None:
    """Why this subkey may not be used at that time, be its certificate as good as it may."""
    if revocation_at(subkey, at) is not None:
        return ReasonCode.PGP_KEY_REVOKED
    binding = binding_at(subkey, at)
    if binding is None:
        return _missing((subkey,), at)
    return ReasonCode.PGP_KEY_EXPIRED if is_past(binding.key_expires, at) else None


def flags(certificate: PgpCertificate, component: Component, at: datetime) -> KeyFlags:
    """What the key may be used for; a primary key may always certify."""
    if component is certificate.primary:
        return stated(certificate, at, lambda one: one.flags, KeyFlags(0)) | KeyFlags.CERTIFY
    binding = binding_at(component, at)
    return (binding.flags if binding is not None else None) or KeyFlags(0)


def expiry(certificate: PgpCertificate, at: datetime) -> datetime | None:
    """When the primary key expires, and with it everything, as far as is known at that time; None: never."""
    return _earliest(_statements(certificate, at))


def _earliest(statements: Sequence[Binding]) -> datetime | None:
    return min((one.key_expires for one in statements if one.key_expires is not None), default=None)


def component_expiry(certificate: PgpCertificate, component: Component, at: datetime) -> datetime | None:
    """When this key expires: not after the primary one does."""
    whole = expiry(certificate, at)
    binding = None if component is certificate.primary else binding_at(component, at)
    own = binding.key_expires if binding is not None else None
    return min((one for one in (whole, own) if one is not None), default=None)


def features(certificate: PgpCertificate, at: datetime) -> Features:
    """What the owner's program can read."""
    return stated(certificate, at, lambda one: one.features, Features(0))


def primary_user_id(certificate: PgpCertificate, at: datetime) -> UserId | None:
    """The user ID that is marked as such, the newest if there are several; without any, the newest of all.

    A revoked one only if all are.
    """
    bound = [(one, binding) for one in certificate.user_ids if (binding := binding_at(one, at)) is not None]
    if len(bound) < 2:
        return bound[0][0] if bound else None
    return max(
        bound,
        key=lambda pair: (certification_revocation_at(pair[0], at) is None, pair[1].primary_user_id, pair[1].created),
    )[0]


def live_user_ids(certificate: PgpCertificate, at: datetime) -> tuple[UserId, ...]:
    """The user IDs that are bound and not revoked; says nothing of the certificate."""
    return tuple(one for one in certificate.user_ids if why_user_id_dead(one, at) is None)


def why_user_id_dead(user_id: UserId, at: datetime) -> ReasonCode | None:
    """Why a user ID says nothing at that time."""
    if certification_revocation_at(user_id, at) is not None:
        return ReasonCode.PGP_KEY_REVOKED
    return None if binding_at(user_id, at) is not None else _missing((user_id,), at)


def stated(certificate: PgpCertificate, at: datetime, field: Callable[[Binding], T | None], default: T) -> T:
    """What the self-signatures over the primary key say in a field, the one that counts first."""
    return next((value for one in _statements(certificate, at) if (value := field(one)) is not None), default)


@lru_cache(maxsize=_REMEMBERED)
def _statements(certificate: PgpCertificate, at: datetime) -> tuple[Binding, ...]:
    named = primary_user_id(certificate, at)
    of_user_id = binding_at(named, at) if named is not None else None
    direct = binding_at(certificate.primary, at)
    order = (direct, of_user_id) if certificate.primary.public.version == 6 else (of_user_id, direct)
    return tuple(one for one in order if one is not None)


def _missing(bound: Sequence[Component | UserId], at: datetime) -> ReasonCode:
    """Why there is no self-signature at that time; none is older than its key."""
    times = [binding.created for one in bound for binding in one.bindings]
    if times:
        return ReasonCode.PGP_KEY_EXPIRED if min(times) <= at else ReasonCode.PGP_KEY_NOT_YET_VALID
    reasons = {one.unbound for one in bound}
    telling = (ReasonCode.PGP_KEY_UNSUPPORTED, ReasonCode.PGP_KEY_WEAK)
    return next((one for one in telling if one in reasons), ReasonCode.PGP_KEY_UNBOUND)
