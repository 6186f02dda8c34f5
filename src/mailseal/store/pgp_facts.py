"""Stored OpenPGP certificates in words and lists, for those who look at them: command, console and API."""

from datetime import UTC, datetime

from mailseal.openpgp.certificate import PgpTrust
from mailseal.openpgp.component import (
    Component,
    KeyFlags,
    RevocationCode,
    UserId,
    revocation_at,
)
from mailseal.openpgp.select import fit_to_encrypt
from mailseal.openpgp.validity import (
    component_expiry,
    expiry,
    flags,
    primary_user_id,
    why_component_dead,
    why_dead,
    why_user_id_dead,
)
from mailseal.policy.reason import ReasonCode
from mailseal.store.pgp_admin import PgpInfo
from mailseal.store.pgp_rows import PgpUse, user_ids

GOOD = "good"
_CAN = {
    "certify": KeyFlags.CERTIFY,
    "sign": KeyFlags.SIGN,
    "encrypt": KeyFlags.ENCRYPT_COMMUNICATIONS | KeyFlags.ENCRYPT_STORAGE,
    "authenticate": KeyFlags.AUTHENTICATE,
}


def row_of(info: PgpInfo, at: datetime | None = None) -> dict[str, object]:
    """All that is known of a stored certificate, as of a time. `state` leaves trust aside; `trust` is "certified" of a
    candidate that a domain key vouches for. `expires`: of the primary key, and with it of all.
    """
    now = at or datetime.now(UTC)
    certificate = info.certificate
    primary = certificate.primary
    return {
        "fingerprint": certificate.fingerprint,
        "key_id": certificate.key_id,
        "version": primary.public.version,
        "user_ids": user_ids(certificate, now),
        "algorithm": primary.public.name,
        "created": primary.public.created,
        "expires": expiry(certificate, now),
        "state": _state_of(info, now),
        "revocation": _revocation(primary, now),
        "trust": "certified" if info.certified and info.trust is PgpTrust.CANDIDATE else info.trust.value,
        "provenance": info.provenance,
        "conflict": info.conflict,
        "key": bool(info.keys),
        "addresses": _owners(info, PgpUse.USER_ID),
        "published_for": _owners(info, PgpUse.PUBLISHED),
        "chosen_for": _owners(info, PgpUse.SELECTED),
        "shared_with": _owners(info, PgpUse.SHARED),
        "identities": [identity_of(info, one, now) for one in certificate.user_ids],
        "keys": [key_of(info, one, now) for one in certificate.components],
        "left_out": [f"{one.what}: {_worded(one.reason)}" for one in certificate.omissions],
        "stored_at": info.created,
        "updated_at": info.updated,
    }


def _owners(info: PgpInfo, use: PgpUse) -> list[str]:
    return [owner for owner, kind in info.uses if kind is use]


def _state_of(info: PgpInfo, now: datetime) -> str:
    dead = why_dead(info.certificate, now)
    if dead is None and not fit_to_encrypt(info.certificate, now):
        dead = ReasonCode.PGP_KEY_NO_ENCRYPTION_SUBKEY
    return GOOD if dead is None else _worded(dead)


def _worded(code: ReasonCode) -> str:
    return code.value.removeprefix("pgp-key-").replace("-", " ")


def _revocation(component: Component, now: datetime) -> str | None:
    found = revocation_at(component, now)
    if found is None:
        return None
    known = found.code in RevocationCode.__members__.values()
    return ": ".join(filter(None, (RevocationCode(found.code).name.lower() if known else str(found.code), found.text)))


def identity_of(info: PgpInfo, user_id: UserId, now: datetime) -> dict[str, object]:
    """A user ID as of a time."""
    dead = why_user_id_dead(user_id, now)
    return {
        "user_id": user_id.text,
        "address": None if user_id.address is None else str(user_id.address),
        "primary": user_id is primary_user_id(info.certificate, now),
        "state": GOOD if dead is None else _worded(dead),
        "certified": user_id.text in info.certified,
    }


def key_of(info: PgpInfo, component: Component, now: datetime) -> dict[str, object]:
    """The primary key, or a subkey, as of a time."""
    dead = why_component_dead(info.certificate, component, now)
    may = flags(info.certificate, component, now)
    return {
        "fingerprint": component.fingerprint,
        "key_id": component.public.key_id,
        "algorithm": component.public.name,
        "can": [name for name, flag in _CAN.items() if may & flag],
        "created": component.public.created,
        "expires": component_expiry(info.certificate, component, now),
        "state": GOOD if dead is None else _worded(dead),
        "revocation": _revocation(component, now),
        "secret": component.fingerprint in info.keys,
        "chosen": component.fingerprint == info.subkey,
    }
