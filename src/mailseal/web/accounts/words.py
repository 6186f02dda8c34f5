"""What roles, areas and verbs are called, and the texts of the store's errors, for the pages and their translation."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from mailseal.store.accounts.roles import Role
from mailseal.web.access import Area, Verb
from mailseal.web.told import sentence

ROLES: Mapping[Role, Promise | str] = MappingProxyType(
    {
        Role.ADMINISTRATOR: _("Administrator"),
        Role.AUDITOR: _("Auditor"),
        Role.HELP_DESK: _("Help desk"),
        Role.PKI: _("PKI"),
        Role.DLP_OFFICER: _("DLP officer"),
        Role.QUARANTINE_REVIEWER: _("Quarantine reviewer"),
        Role.DOMAIN_ADMINISTRATOR: _("Domain administrator"),
    }
)

ROLE_HELP: Mapping[Role, Promise | str] = MappingProxyType(
    {
        Role.ADMINISTRATOR: _("may do everything, also make accounts"),
        Role.AUDITOR: _("sees everything, changes nothing, reads no held mail"),
        Role.HELP_DESK: _("sees what became of mail and what is set, changes nothing"),
        Role.PKI: _("looks after certificates, OpenPGP keys, roots and DKIM"),
        Role.DLP_OFFICER: _("writes patterns and notices, reviews held mail and asks for release"),
        Role.QUARANTINE_REVIEWER: _("reviews held mail, releases and approves"),
        Role.DOMAIN_ADMINISTRATOR: _("looks after settings, addresses and keys of the domains below, and no others"),
    }
)

AREAS: Mapping[Area, Promise | str] = MappingProxyType(
    {
        Area.HEALTH: _("Health"),
        Area.LOG: _("Message log"),
        Area.SIMULATOR: _("Simulator"),
        Area.SETTINGS: _("Settings"),
        Area.DOMAINS: _("Domains"),
        Area.ADDRESSES: _("Addresses"),
        Area.CERTIFICATES: _("Certificates"),
        Area.PGP: _("OpenPGP keys"),
        Area.TRUST: _("Roots and lists of trust"),
        Area.DKIM: _("DKIM keys"),
        Area.DLP: _("DLP"),
        Area.QUARANTINE: _("Quarantine"),
        Area.NOTICES: _("Notices"),
        Area.TLS: _("TLS"),
        Area.ROUTES: _("Routes"),
        Area.LOGINS: _("Logins"),
        Area.QUEUE: _("Queue"),
        Area.JOBS: _("Jobs"),
        Area.ACCOUNTS: _("Accounts"),
        Area.AUDIT: _("Audit"),
    }
)

VERBS: Mapping[Verb, Promise | str] = MappingProxyType(
    {
        Verb.SEE: _("see"),
        Verb.CHANGE: _("change"),
        Verb.CONTENT: _("read the content"),
        Verb.RELEASE: _("release"),
        Verb.APPROVE: _("approve"),
    }
)

_ONLY_SEEN: Final = frozenset({Area.HEALTH, Area.LOG, Area.SIMULATOR, Area.AUDIT})
SCOPES: Final = tuple(
    (area, verb)
    for area in Area
    for verb in Verb
    if verb is Verb.SEE or area is Area.QUARANTINE or (verb is Verb.CHANGE and area not in _ONLY_SEEN)
)
"""What a token can be made for: what there is to do in each area."""


def in_words(error: Exception) -> str:
    """An error of the store in the reader's language, as a sentence."""
    text = sentence(str(error))
    return text + ("" if text.endswith(".") else ".")
