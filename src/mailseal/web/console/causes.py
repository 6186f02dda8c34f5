"""From a reason to the settings that have brought it about: their values at the time of asking, and whose they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from mailseal.mail.address import AddressError
from mailseal.policy.causes import Side, causes, sides
from mailseal.policy.reason import Reason
from mailseal.policy.settings import show_value
from mailseal.store import overrides
from mailseal.store.overrides import Shown
from mailseal.web.access import Area, Principal
from mailseal.web.console.scope import domain_of

SIDES: dict[Side, str | Promise] = {Side.SENDER: _("sender"), Side.RECIPIENT: _("recipient")}


@dataclass(frozen=True, slots=True)
class Cause:
    """A setting as it counts for one side. `owner`: where it is set, "" for everybody, None as it is by itself.

    `value`: None for who may see the settings neither of that side nor of that owner: to them it is a name. `url`: the
    setting's place in the form, "" for who may not see that.
    """

    name: str
    side: str | Promise
    value: str | None = None
    owner: str | None = None
    url: str = ""


class Causes:
    """Of the reasons of one mail; the settings of each party are read once."""

    def __init__(self, sender: str, who: Principal) -> None:
        self._sender = sender
        self._who = who
        self._shown: dict[str, Shown] = {}

    def of(self, reason: Reason, recipient: str) -> Iterator[Cause]:
        """What has brought it about."""
        party = {Side.SENDER: self._sender, Side.RECIPIENT: recipient}
        for name in causes(reason):
            for side in sides(name):
                yield self._cause(name, side, party[side])

    def _cause(self, name: str, side: Side, party: str) -> Cause:
        value, override = self._settings(party)[name]
        owner = None if override is None else override.owner
        place = owner or ""
        url = f"{reverse('settings')}?{urlencode({'owner': place})}#{name}"
        may_form = self._who.may_for(domain_of(place), Area.SETTINGS)
        if not may_form and not self._who.may_for(domain_of(party), Area.SETTINGS):
            return Cause(name, SIDES[side])
        return Cause(name, SIDES[side], show_value(name, value), owner, url if may_form else "")

    def _settings(self, party: str) -> Shown:
        if party not in self._shown:
            try:
                self._shown[party] = overrides.shown(party)
            except AddressError:
                self._shown[party] = overrides.shown("")
        return self._shown[party]
