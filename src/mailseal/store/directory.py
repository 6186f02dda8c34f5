"""Who is internal and what is set for whom: one query per address that the cache does not know."""

from mailseal.mail.address import Address
from mailseal.policy.model import Party
from mailseal.policy.settings import Level, Override, Settings, parse_value, resolve
from mailseal.store.lru import Lru
from mailseal.store.owners import owners_of_domain, with_places
from mailseal.store.transaction import select

_ROWS = (
    "SELECT level, owner, name, value, locked FROM store_override WHERE owner IN (:owners)"
    " UNION ALL SELECT 'domain-row', name, '', '', internal FROM store_domain WHERE name IN (:domains)"
)
_GLOBAL = "SELECT level, owner, name, value, locked FROM store_override WHERE owner = ''"
_DOMAIN_ROW = "domain-row"

_OverrideRow = tuple[str, str, str, str, int]


class StoreDirectory:
    """The port `Directory`."""

    def __init__(self, *, entries: int = 10_000) -> None:
        self._parties: Lru[str, tuple[bool, Settings]] = Lru(entries)
        # Nearly all addresses have the same overrides, so nearly all share one Settings.
        self._resolved: Lru[tuple[_OverrideRow, ...], Settings] = Lru(1000)

    def party(self, address: Address | None) -> Party:
        """As of the port; raises StoreUnavailable."""
        key = "" if address is None else address.key
        known = self._parties.get(key)
        if known is None:
            generation = self._parties.generation
            known = self._read(address)
            self._parties.put(key, known, generation)
        return Party(address, known[0], known[1])

    def clear(self) -> None:
        """Forget what was read: the stamp `settings` changed."""
        self._parties.clear()

    def _read(self, address: Address | None) -> tuple[bool, Settings]:
        if address is None:
            return False, self._settings(select(_GLOBAL, ()))
        domains = owners_of_domain(address.domain)
        sql = with_places(_ROWS, len(domains) + 2, len(domains))
        rows = select(sql, ("", address.key, *domains, *domains))
        internal = {owner: flag for level, owner, _, _, flag in rows if level == _DOMAIN_ROW}
        settings = self._settings([row for row in rows if row[0] != _DOMAIN_ROW])
        return bool(next((internal[name] for name in domains if name in internal), False)), settings

    def _settings(self, rows: object) -> Settings:
        overrides: tuple[_OverrideRow, ...] = tuple(sorted(rows))  # type: ignore[call-overload]  # rows of the driver
        known = self._resolved.get(overrides)
        if known is None:
            known = resolve(
                Override(Level(level), owner, name, parse_value(name, value), bool(locked))
                for level, owner, name, value, locked in overrides
            )
            self._resolved.put(overrides, known, self._resolved.generation)
        return known
