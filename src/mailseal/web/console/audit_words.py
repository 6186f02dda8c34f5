"""The words for what is in the audit: areas, actions, ways, and what differs between before and after."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from django.utils.functional import Promise
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from mailseal.store.acting import Way
from mailseal.store.audit import AuditEvent

AREAS: Mapping[str, str | Promise] = MappingProxyType(
    {
        "accounts": _("Accounts"),
        "addresses": _("Addresses"),
        "audit": _("Audit"),
        "certificates": _("Certificates"),
        "dkim": "DKIM",
        "dlp": "DLP",
        "domains": _("Domains"),
        "journals": _("Journaling"),
        "keys": _("Key encryption keys"),
        "logins": _("Logins"),
        "notices": _("Notices"),
        "pgp": "OpenPGP",
        "quarantine": _("Quarantine"),
        "queue": _("Queue"),
        "routes": _("Routes"),
        "settings": _("Settings"),
        "store": _("Database"),
        "tls": "TLS",
        "trust": _("Trust"),
    }
)
WAYS: Mapping[Way, str | Promise] = MappingProxyType(
    {Way.COMMAND: _("command line"), Way.CONSOLE: _("console"), Way.API: "API", Way.ITSELF: _("by itself")}
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One fact before and after; None: it was not there."""

    name: str
    before: str | None
    after: str | None


def area(name: str) -> str | Promise:
    """As people call it."""
    return AREAS.get(name, name)


def action(name: str) -> str:
    """As people call it."""
    return pgettext("audit", words(name))


def words(name: str) -> str:
    """The words of a name: "set-password" is "Set password"."""
    return name.replace("-", " ").capitalize()


def differences(event: AuditEvent) -> list[Difference]:
    """What was changed, fact by fact; facts that stayed the same are left out."""
    before, after = (_named(facts) for facts in (event.before, event.after))
    names = dict.fromkeys((*before, *after))
    pairs = [(name, before.get(name), after.get(name)) for name in names]
    return [Difference(*pair) for pair in pairs if pair[1] != pair[2]]


def _named(facts: object) -> dict[str, str]:
    if facts is None:
        return {}
    if isinstance(facts, Mapping):
        return {str(name): _text(value) for name, value in facts.items()}
    return {"": _text(facts)}


def _text(value: object) -> str:
    match value:
        case None | "":
            return "–"  # noqa: RUF001 -- a dash for nothing, as everywhere in the tables
        case bool():
            return _now("yes") if value else _now("no")
        case str():
            return value
        case list() if all(isinstance(one, str | int) for one in value):
            return ", ".join(map(str, value)) or "–"  # noqa: RUF001 -- same
        case _:
            return json.dumps(value, ensure_ascii=False)
