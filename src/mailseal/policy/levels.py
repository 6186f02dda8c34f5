"""Levels of settings: factory < global < `*.b.c` < `*.a.b.c` < domain < address; a lower level overrides."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mailseal.mail.address import Address
from mailseal.policy.combine import weakens
from mailseal.policy.table import SETTINGS, Settings
from mailseal.policy.values import AS_PATTERN, SUBJECT_TRIGGERS, setting


class Level(StrEnum):
    """Where an override stands, in order of precedence; the later wins."""

    GLOBAL = "global"
    WILDCARD = "wildcard"
    DOMAIN = "domain"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class Override:
    """One setting set at one level. `owner`: "" (global), "*.example.com", "example.com" or an `Address.key`.

    `locked`: lower levels may only strengthen it.
    """

    level: Level
    owner: str
    name: str
    value: Any
    locked: bool = False


def levels_for(address: Address | None) -> list[tuple[Level, str]]:
    """The (level, owner) pairs whose overrides count for an address, weakest first; of None only the global one."""
    levels = [(Level.GLOBAL, "")]
    if address is None:
        return levels
    domain = address.domain
    if not domain.startswith("["):  # an address literal has no parent domains
        parents = domain.split(".")[1:]
        levels += [(Level.WILDCARD, "*." + ".".join(parents[start:])) for start in range(len(parents) - 1, -1, -1)]
    return [*levels, (Level.DOMAIN, domain), (Level.ADDRESS, address.key)]


def resolve(overrides: Iterable[Override]) -> Settings:
    """The settings that a party's overrides (those of `levels_for`, in any order) amount to; raises SettingError."""
    return Settings(**{name: value for name, (value, _) in resolve_with_origin(overrides).items()})


def resolve_with_origin(overrides: Iterable[Override]) -> dict[str, tuple[Any, Override | None]]:
    """Of each setting the value and the override that it comes from (None: factory), in the order of SETTINGS."""
    found: dict[str, tuple[Any, Override | None]] = {info.name: (info.default, None) for info in SETTINGS}
    floors: dict[str, Any] = {}
    for override in sorted(overrides, key=_precedence):
        info = setting(override.name)
        if override.name in floors and weakens(info.strength, override.value, floors[override.name]):
            continue
        found[override.name] = (override.value, override)
        if override.locked:
            floors[override.name] = override.value
            if override.name in SUBJECT_TRIGGERS:
                # Read as a keyword, a locked pattern would no longer match: how it is read is locked with it.
                floors[AS_PATTERN], _ = found[AS_PATTERN]
    return found


def _precedence(override: Override) -> tuple[int, int, bool]:
    """Within a level, how triggers are read comes before the triggers, which may lock it."""
    return list(Level).index(override.level), override.owner.count("."), override.name != AS_PATTERN
