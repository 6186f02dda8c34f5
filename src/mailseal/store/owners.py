"""Owners: the text under which a row belongs to everybody (""), a wildcard, a domain or an address.

The four kinds cannot be confused: an address key has an @, a wildcard starts with "*.".
"""

from collections.abc import Collection
from functools import lru_cache

from django.db.models import Q

from mailseal.mail.address import Address, domain_to_ascii
from mailseal.policy.settings import Level, levels_for


@lru_cache(maxsize=4096)
def owners_of_domain(domain: str) -> tuple[str, ...]:
    """The domain itself, then its wildcards, the most specific first."""
    levels = levels_for(Address("", domain, f"@{domain}"))
    return tuple(owner for level, owner in reversed(levels) if level in {Level.DOMAIN, Level.WILDCARD})


@lru_cache(maxsize=256)
def with_places(sql: str, owners: int, domains: int = 0) -> str:
    """Put as many parameter marks for `:owners` and `:domains` as there are values."""
    return sql.replace(":owners", ", ".join(["%s"] * owners)).replace(":domains", ", ".join(["%s"] * domains))


def in_domains(column: str, domains: Collection[str]) -> Q:
    """A filter on a column of owners: these domains and wildcards (stored form) themselves, and the addresses in them.

    Of no domains it is a filter that nothing passes.
    """
    wanted = Q(**{f"{column}__in": sorted(domains)})
    for name in sorted(domains):
        wanted |= Q(**{f"{column}__endswith": f"@{name}"})
    return wanted


def is_in_domains(owner: str, domains: Collection[str]) -> bool:
    """Whether an owner (stored form) passes `in_domains`."""
    return (owner.rpartition("@")[2] if "@" in owner else owner) in domains


def domain_name(text: str) -> str:
    """A domain or wildcard in its stored form (lower-case A-labels); raises AddressError."""
    text = text.strip()
    if text.startswith("*."):
        return "*." + domain_to_ascii(text[2:])
    return domain_to_ascii(text)


def read_owner(text: str) -> tuple[Level, str]:
    """The level and stored form of an owner as a person writes it; "" is global. Raises AddressError."""
    text = text.strip()
    if not text:
        return Level.GLOBAL, ""
    if "@" in text:
        return Level.ADDRESS, Address.parse(text).key
    name = domain_name(text)
    return (Level.WILDCARD if name.startswith("*.") else Level.DOMAIN), name
