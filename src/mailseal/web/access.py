"""Who may do what: the built-in roles as a table, and the question every page and every operation asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from mailseal.store.accounts.roles import Role
from mailseal.store.quarantine_events import Actor


class Area(StrEnum):
    """What there is to see and to change."""

    HEALTH = "health"
    LOG = "log"
    SIMULATOR = "simulator"
    SETTINGS = "settings"
    DOMAINS = "domains"
    ADDRESSES = "addresses"
    CERTIFICATES = "certificates"
    PGP = "pgp"
    TRUST = "trust"
    DKIM = "dkim"
    DLP = "dlp"
    QUARANTINE = "quarantine"
    NOTICES = "notices"
    TLS = "tls"
    ROUTES = "routes"
    LOGINS = "logins"
    QUEUE = "queue"
    JOBS = "jobs"
    ACCOUNTS = "accounts"
    AUDIT = "audit"


class Verb(StrEnum):
    """`CONTENT`: what a held mail says. `RELEASE`: ask for or do it; `APPROVE`: be the second person."""

    SEE = "see"
    CHANGE = "change"
    CONTENT = "content"
    RELEASE = "release"
    APPROVE = "approve"


Grants = Mapping[Area, frozenset[Verb]]

_SEE = frozenset({Verb.SEE})
_CHANGE = frozenset({Verb.SEE, Verb.CHANGE})
_REVIEW = frozenset({Verb.SEE, Verb.CHANGE, Verb.CONTENT, Verb.RELEASE, Verb.APPROVE})

GRANTS: Mapping[Role, Grants] = MappingProxyType(
    {
        Role.ADMINISTRATOR: dict.fromkeys(Area, frozenset(Verb)),
        Role.AUDITOR: dict.fromkeys(Area, _SEE),
        Role.HELP_DESK: dict.fromkeys(
            (
                Area.HEALTH,
                Area.LOG,
                Area.SIMULATOR,
                Area.SETTINGS,
                Area.DOMAINS,
                Area.ADDRESSES,
                Area.CERTIFICATES,
                Area.PGP,
                Area.QUARANTINE,
                Area.QUEUE,
                Area.LOGINS,
                Area.TLS,
            ),
            _SEE,
        ),
        Role.PKI: {
            **dict.fromkeys((Area.CERTIFICATES, Area.PGP, Area.TRUST, Area.DKIM), _CHANGE),
            **dict.fromkeys(
                (Area.HEALTH, Area.LOG, Area.SIMULATOR, Area.SETTINGS, Area.DOMAINS, Area.ADDRESSES, Area.JOBS), _SEE
            ),
        },
        Role.DLP_OFFICER: {
            **dict.fromkeys((Area.DLP, Area.NOTICES), _CHANGE),
            Area.QUARANTINE: _REVIEW - {Verb.APPROVE},
            **dict.fromkeys((Area.HEALTH, Area.LOG, Area.SIMULATOR, Area.SETTINGS, Area.DOMAINS, Area.ADDRESSES), _SEE),
        },
        Role.QUARANTINE_REVIEWER: {
            Area.QUARANTINE: _REVIEW,
            **dict.fromkeys((Area.HEALTH, Area.LOG), _SEE),
        },
        # Everything in here is about a domain, and is shown and changed for the account's own ones only.
        Role.DOMAIN_ADMINISTRATOR: {
            **dict.fromkeys(
                (Area.SETTINGS, Area.ADDRESSES, Area.CERTIFICATES, Area.PGP, Area.DKIM, Area.LOGINS), _CHANGE
            ),
            Area.QUARANTINE: _REVIEW - {Verb.APPROVE},
            **dict.fromkeys((Area.LOG, Area.SIMULATOR, Area.DOMAINS), _SEE),
        },
    }
)
"""What each role may do."""


class ForbiddenError(Exception):
    """Somebody may not do that. The text is for people, and tells nothing of what they may not see."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: an account in a session, or by a token. `scopes`: what a token is limited to, None for all."""

    actor: Actor
    roles: frozenset[Role]
    domains: frozenset[str] = field(default_factory=frozenset)
    scopes: frozenset[tuple[Area, Verb]] | None = None

    def may(self, area: Area, verb: Verb = Verb.SEE) -> bool:
        """Whether at least one of their roles allows it, somewhere."""
        return self.everywhere(area, verb) or self._within(area, verb)

    def everywhere(self, area: Area, verb: Verb = Verb.SEE) -> bool:
        """Whether that is so for every domain."""
        return self._in_scope(area, verb) and any(
            verb in GRANTS[role].get(area, frozenset()) for role in self.roles - {Role.DOMAIN_ADMINISTRATOR}
        )

    def domains_for(self, area: Area, verb: Verb = Verb.SEE) -> frozenset[str] | None:
        """The domains for which they may; None: for all of them. Empty: nothing."""
        if self.everywhere(area, verb):
            return None
        return self.domains if self._within(area, verb) else frozenset()

    def may_for(self, domain: str, area: Area, verb: Verb = Verb.SEE) -> bool:
        """Whether they may for a domain (an A-label in lower case, or `*.` and one); "" is the whole gateway."""
        wanted = self.domains_for(area, verb)
        return wanted is None or domain in wanted

    def require(self, area: Area, verb: Verb = Verb.SEE, *, domain: str | None = None) -> None:
        """Raise ForbiddenError unless they may, for this domain if one is given."""
        allowed = self.may(area, verb) if domain is None else self.may_for(domain, area, verb)
        if not allowed:
            raise ForbiddenError("your roles do not allow that")

    def _within(self, area: Area, verb: Verb) -> bool:
        granted = GRANTS[Role.DOMAIN_ADMINISTRATOR].get(area, frozenset())
        return (
            Role.DOMAIN_ADMINISTRATOR in self.roles
            and bool(self.domains)
            and verb in granted
            and self._in_scope(area, verb)
        )

    def _in_scope(self, area: Area, verb: Verb) -> bool:
        return self.scopes is None or (area, verb) in self.scopes
