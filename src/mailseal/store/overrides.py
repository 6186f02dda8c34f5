"""Settings at their levels: set, unset, shown with where each value comes from."""

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
from mailseal.store.addresses import remember
from mailseal.store.models import SettingOverride
from mailseal.store.owners import read_owner
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import reads, writes


@writes
def set_override(owner: str, name: str, text: str, *, locked: bool = False) -> Override:
    """Set one setting for "" (global), `*.example.com`, `example.com` or an address.

    Raises SettingError for a value that is none, or that contradicts the owner's other settings; AddressError.
    """
    level, key = read_owner(owner)
    value = parse_value(name, text)
    SettingOverride.objects.update_or_create(
        owner=key, name=name, defaults={"level": level, "value": show_value(name, value), "locked": locked}
    )
    check(resolve(_of_owner(level, key)))
    if level is Level.ADDRESS:
        remember([key])
    bump(Scope.SETTINGS)
    return Override(level, key, name, value, locked)


@writes
def unset_override(owner: str, name: str) -> bool:
    """Let the owner inherit the setting again; False: it was not set there."""
    level, key = read_owner(owner)
    deleted, _ = SettingOverride.objects.filter(owner=key, name=name).delete()
    check(resolve(_of_owner(level, key)))
    bump(Scope.SETTINGS)
    return bool(deleted)


@reads
def list_overrides(owner: str | None = None) -> tuple[Override, ...]:
    """All overrides, or those set for exactly this owner."""
    rows = SettingOverride.objects.order_by("owner", "name")
    if owner is not None:
        rows = rows.filter(owner=read_owner(owner)[1])
    return tuple(_override(row) for row in rows)


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
