"""Where the pages are: one table, from which the menu of every page is made."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from mailseal.web.access import Area, Principal


@dataclass(frozen=True, slots=True)
class Place:
    """A page of the menu: the name of its URL, what it is called, what one must be allowed to see, its icon.

    Places of one section stand together; "" has no heading.
    """

    url: str
    title: str | Promise
    area: Area | None
    icon: str
    section: str | Promise = ""


_MAIL = _("Mail")
_POLICY = _("Policy")
_SYSTEM = _("System")

PLACES: tuple[Place, ...] = (
    Place("start", _("Start"), None, "start"),
    Place("mails", _("Messages"), Area.LOG, "mail", _MAIL),
    Place("quarantine", _("Quarantine"), Area.QUARANTINE, "quarantine", _MAIL),
    Place("simulator", _("Simulator"), Area.SIMULATOR, "simulator", _MAIL),
    Place("settings", _("Settings"), Area.SETTINGS, "settings", _POLICY),
    Place("domains", _("Domains"), Area.DOMAINS, "domain", _POLICY),
    Place("addresses", _("Addresses"), Area.ADDRESSES, "address", _POLICY),
    Place("keys", _("Keys that expire"), Area.CERTIFICATES, "key", _POLICY),
    Place("accounts", _("Accounts"), Area.ACCOUNTS, "accounts", _SYSTEM),
    Place("audit", _("Audit"), Area.AUDIT, "audit", _SYSTEM),
    Place("api-docs", "API", None, "api", _SYSTEM),
)
"""In the order of the menu."""


def context(request: HttpRequest) -> dict[str, Any]:
    """For every template: who has signed in, and the menu of what they may see (`menu`)."""
    who = getattr(request, "principal", None)
    if not isinstance(who, Principal):
        return {"principal": None, "menu": []}
    open_to_them = [place for place in PLACES if place.area is None or who.may(place.area)]
    entries = [_entry(place, request.path) for place in open_to_them]
    current = max((one for one in entries if one["here"]), key=lambda one: len(one["href"]), default=None)
    for one in entries:
        one["here"] = one is current
    menu = [(title, list(found)) for title, found in groupby(entries, key=lambda one: one["section"])]
    return {"principal": who, "menu": menu, "own_account": reverse("account")}


def _entry(place: Place, path: str) -> dict[str, Any]:
    href = reverse(place.url)
    here = path == href if href == reverse("start") else path.startswith(href)
    return {"href": href, "title": place.title, "icon": place.icon, "section": place.section, "here": here}
