"""What a change of settings comes to, shown before it is saved: each value before and after, and what follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext

from mailseal.policy.combine import weakens
from mailseal.policy.settings import Strength, parse_value
from mailseal.store import overrides
from mailseal.store.overrides import Wanted
from mailseal.web.console.setting_fields import Field, fields

MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Change:
    """One row. `weaker`: what counts protects less than before; `keepers`: who below has a value of his own."""

    name: str
    label: str | Promise
    before: Field
    after: Field
    wanted: Wanted
    weaker: bool
    keepers: tuple[str, ...]

    @property
    def lock(self) -> str:
        """What becomes of the lock, "" for nothing."""
        if self.before.locked == self.after.locked:
            return ""
        return gettext("locked for all levels below") if self.after.locked else gettext("no longer locked")

    @property
    def keepers_named(self) -> str:
        """Some of them."""
        more = gettext(" and more") if len(self.keepers) > MAX_NAMED else ""
        return ", ".join(self.keepers[:MAX_NAMED]) + more

    @property
    def refused(self) -> str:
        """Why the value would not count, "" when it does."""
        if not self.after.own or self.after.counts:
            return ""
        return gettext("%(who)s has locked this at %(value)s: only stricter values count here") % {
            "who": self.after.origin.text,
            "value": self.after.effective,
        }


def changes(owner: str, found: Mapping[str, Field], wanted: Mapping[str, Wanted]) -> Sequence[Change]:
    """The rows, in the order of the table; raises SettingError for values that contradict each other."""
    after = fields(overrides.own_after(owner, wanted), overrides.preview(owner, wanted), overrides.inherited(owner))
    keepers = overrides.own_below(owner, wanted, limit=MAX_NAMED + 1)
    return [
        Change(name, one.label, one, after[name], wanted[name], _is_weaker(one, after[name]), keepers.get(name, ()))
        for name, one in found.items()
        if name in wanted
    ]


def _is_weaker(before: Field, after: Field) -> bool:
    info = before.info
    if info.strength is Strength.FIXED:
        return False
    was, is_now = parse_value(info.name, before.effective), parse_value(info.name, after.effective)
    return weakens(info.strength, is_now, was)
