"""Settings at their levels: set, unset, changed together, shown with where each value comes from."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from mailseal.errors import PermanentError
from mailseal.mail.address import Address
from mailseal.policy.settings import (
    Level,
    Override,
    check,
    levels_for,
    parse_value,
    resolve,
    resolve_with_origin,
    show_value,
)
from mailseal.store.accounts import alerts
from mailseal.store.accounts.alerts import Change
from mailseal.store.addresses import remember
from mailseal.store.audit import record
from mailseal.store.audit_mask import Json
from mailseal.store.keyset import behind
from mailseal.store.models import SettingOverride
from mailseal.store.owners import in_domains, read_owner
from mailseal.store.stamps import Scope, bump, bump_alone
from mailseal.store.transaction import reads, writes

ADDITIONAL = frozenset({"additional_certificates", "pgp_additional_keys"})
"""Settings that say who can read mail besides its recipients."""

Shown = Mapping[str, tuple[object, Override | None]]
"""Of each setting the value that counts for an owner, and the override that it comes from (None: factory)."""


class StaleSettingsError(PermanentError):
    """Somebody else has changed the settings since they were looked at."""


class LockedSettingError(PermanentError):
    """The setting is locked at this level, and who wants to change it may not unlock it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a setting shall be at a level: a text as `parse_value` reads it; None: as it is inherited."""

    text: str | None
    locked: bool = False


@writes
def set_override(owner: str, name: str, text: str, *, locked: bool = False) -> Override:
    """Set one setting for "" (global), `*.example.com`, `example.com` or an address.

    Raises SettingError for a value that is none, or that contradicts the owner's other settings; AddressError.
    """
    level, key = read_owner(owner)
    value = parse_value(name, text)
    before = _stored(key, name)
    SettingOverride.objects.update_or_create(
        owner=key, name=name, defaults={"level": level, "value": show_value(name, value), "locked": locked}
    )
    check(resolve(_of_owner(level, key)))
    if level is Level.ADDRESS:
        remember([key])
    bump(Scope.SETTINGS)
    _record(key, name, before)
    return Override(level, key, name, value, locked)


@writes
def unset_override(owner: str, name: str) -> bool:
    """Let the owner inherit the setting again; False: it was not set there."""
    level, key = read_owner(owner)
    before = _stored(key, name)
    deleted, _ = SettingOverride.objects.filter(owner=key, name=name).delete()
    check(resolve(_of_owner(level, key)))
    bump(Scope.SETTINGS)
    _record(key, name, before)
    return bool(deleted)


@writes
def change(
    owner: str, wanted: Mapping[str, Wanted], *, expected: str | None = None, may_lock: bool = True
) -> dict[str, Override | None]:
    """Set and unset several settings of an owner at once, or none of them; what is set there of each before.

    `expected`: only if `version` still is this, else StaleSettingsError. Without `may_lock` what is locked at this very
    level stays as it is, and nothing is locked (LockedSettingError). Raises SettingError, AddressError.
    """
    level, key = read_owner(owner)
    bump_alone(Scope.SETTINGS)
    found = _of_owner(level, key)
    if expected is not None and expected != _version(resolve_with_origin(found)):
        raise StaleSettingsError("somebody else has changed these settings meanwhile")
    before = {one.name: one for one in found if one.owner == key}
    if not may_lock:
        _leave_locks(wanted, before)
    check(resolve(_changed(found, level, key, wanted)))
    stored = {name: _stored(key, name) for name in wanted}
    for name, one in wanted.items():
        _put(level, key, name, one)
    if level is Level.ADDRESS and any(one.text is not None for one in wanted.values()):
        remember([key])
    bump(Scope.SETTINGS)
    for name in wanted:
        _record(key, name, stored[name])
    return {name: before.get(name) for name in wanted}


@reads
def preview(owner: str, wanted: Mapping[str, Wanted]) -> Shown:
    """As `shown` would be after `change`; raises SettingError, AddressError."""
    level, key = read_owner(owner)
    changed = _changed(_of_owner(level, key), level, key, wanted)
    check(resolve(changed))
    return resolve_with_origin(changed)


@reads
def own_after(owner: str, wanted: Mapping[str, Wanted]) -> tuple[Override, ...]:
    """What would be set for exactly this owner after `change`; raises SettingError, AddressError."""
    level, key = read_owner(owner)
    return tuple(one for one in _changed(_of_owner(level, key), level, key, wanted) if one.owner == key)


@reads
def inherited(owner: str) -> Shown:
    """As `shown` would be if nothing were set for the owner itself; raises AddressError."""
    level, key = read_owner(owner)
    return resolve_with_origin(one for one in _of_owner(level, key) if one.owner != key)


@reads
def own_below(owner: str, names: Collection[str], *, limit: int = 20) -> Mapping[str, tuple[str, ...]]:
    """Who of those below an owner has an own value of a setting, and so keeps it; at most `limit` for each name."""
    level, key = read_owner(owner)
    if level is Level.ADDRESS:
        return {}
    below = SettingOverride.objects.exclude(owner="")
    if level is Level.DOMAIN:
        below = below.filter(owner__endswith=f"@{key}")
    elif level is Level.WILDCARD:
        rest = key.removeprefix("*")  # ".example.com", below which are domains, wildcards and addresses
        below = below.filter(owner__endswith=rest).exclude(owner=key)
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        owners = below.filter(name=name).order_by("owner").values_list("owner", flat=True)[:limit]
        if owners:
            found[name] = tuple(owners)
    return found


@reads
def version(owner: str) -> str:
    """Another text whenever something of what `shown` gives is another."""
    return _version(shown(owner))


def _version(of: Shown) -> str:
    rows = [
        [name, show_value(name, value), *((one.level.value, one.owner, one.locked) if one else ())]
        for name, (value, one) in of.items()
    ]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:32]


def _changed(found: Iterable[Override], level: Level, key: str, wanted: Mapping[str, Wanted]) -> list[Override]:
    kept = [one for one in found if one.owner != key or one.name not in wanted]
    new = [
        Override(level, key, name, parse_value(name, one.text), one.locked)
        for name, one in wanted.items()
        if one.text is not None
    ]
    return kept + new


def _leave_locks(wanted: Mapping[str, Wanted], before: Mapping[str, Override]) -> None:
    for name, one in wanted.items():
        if one.locked or (name in before and before[name].locked):
            raise LockedSettingError(f"{name} is locked, or to be locked, which is not yours to decide")


def _put(level: Level, key: str, name: str, wanted: Wanted) -> None:
    rows = SettingOverride.objects
    if wanted.text is None:
        rows.filter(owner=key, name=name).delete()
        return
    value = show_value(name, parse_value(name, wanted.text))
    rows.update_or_create(owner=key, name=name, defaults={"level": level, "value": value, "locked": wanted.locked})


def _stored(key: str, name: str) -> Json:
    """Even a value that is none any more."""
    row = SettingOverride.objects.filter(owner=key, name=name).first()
    return None if row is None else {name: row.value, "locked": row.locked}


def _record(key: str, name: str, before: Json) -> None:
    """Into the audit, if anything changed: a setting and whose it is, "mode example.com"; "mode" is everybody's."""
    after = _stored(key, name)
    if before != after:
        subject = f"{name} {key}".rstrip()
        record("settings", "unset" if after is None else "set", subject, before=before, after=after)
        if name in ADDITIONAL:
            alerts.tell_of(Change.ADDITIONAL, [subject])


@reads
def list_overrides(owner: str | None = None) -> tuple[Override, ...]:
    """All overrides, or those set for exactly this owner."""
    rows = SettingOverride.objects.order_by("owner", "name")
    if owner is not None:
        rows = rows.filter(owner=read_owner(owner)[1])
    return tuple(_override(row) for row in rows)


@reads
def page(
    *, within: Collection[str] | None = None, after: tuple[str, str] | None = None, limit: int = 200
) -> tuple[Override, ...]:
    """Some overrides by owner and name: those after such a pair, of these domains alone (`owners.in_domains`)."""
    rows = SettingOverride.objects.order_by("owner", "name")
    if within is not None:
        rows = rows.filter(in_domains("owner", within))
    if after is not None:
        rows = rows.filter(behind({"owner": after[0], "name": after[1]}))
    return tuple(_override(row) for row in rows[:limit])


@reads
def shown(owner: str = "") -> dict[str, tuple[object, Override | None]]:
    """Every setting as it counts for an owner, with the override it comes from (None: factory)."""
    return resolve_with_origin(_of_owner(*read_owner(owner)))


def _of_owner(level: Level, key: str) -> list[Override]:
    """The overrides that count for an owner, its own included."""
    match level:
        case Level.GLOBAL:
            owners = [""]
        case Level.ADDRESS:
            owners = [owner for _, owner in levels_for(Address.parse(key))]
        case Level.DOMAIN | Level.WILDCARD:
            domain = key.removeprefix("*.")
            below = levels_for(Address("", domain, f"@{domain}"))
            owners = [owner for one, owner in below if one in {Level.GLOBAL, Level.WILDCARD}] + [key]
    return [_override(row) for row in SettingOverride.objects.filter(owner__in=owners)]


def _override(row: SettingOverride) -> Override:
    return Override(Level(row.level), row.owner, row.name, parse_value(row.name, row.value), row.locked)
