"""What redirects or opens mail is told to all administrators by mail: a job, made in the transaction of the change.

That is who administers or releases held mail, roots, additional recipients and next hops. Whoever takes an
administrator's session over does that noticed; nor is one person two people unnoticed (docs/security.md).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mailseal.store import jobs
from mailseal.store.accounts.models import Account
from mailseal.store.accounts.roles import Role
from mailseal.store.acting import current
from mailseal.store.jobs import ANY_NODE, Job
from mailseal.store.row import uuid7

ALERT = "account-alert"
"""The kind of job: one for each reader."""
READER, LANGUAGE, CHANGE, ABOUT, BY, WAY, PLACE = "reader", "language", "change", "about", "by", "way", "place"
MAX_READERS = 100
MAX_NAMED, MAX_NAMED_CHARS = 5, 200

RELEASING = frozenset({Role.DLP_OFFICER, Role.QUARANTINE_REVIEWER, Role.DOMAIN_ADMINISTRATOR})
"""Roles that, besides administrators, ask for or approve the release of held mail as it is: two people have to."""


class Change(StrEnum):
    """What was done to an administrator's account; RELEASING: anything of that to one that releases held mail;
    PROVIDER: by whom accounts can sign in. Then what was changed.
    """

    MADE = "made"
    ROLES = "roles"
    ACTIVATED = "activated"
    DEACTIVATED = "deactivated"
    RESET = "reset"
    LINK = "link"
    RELEASING = "releasing"
    PROVIDER = "provider"
    ROOTS = "roots"
    ADDITIONAL = "additional"
    NEXT_HOPS = "next-hops"


@dataclass(frozen=True, slots=True)
class Alert:
    """What a job tells. `reader`: of an account; `about`: another one, or what; `by`: the name of who did it."""

    reader: str
    change: Change
    about: str
    by: str
    way: str
    place: str
    language: str


def tell(change: Change, about: Account, roles: Collection[str]) -> None:
    """Tell all active administrators and the account itself, in the caller's transaction, when `roles`, which are its
    or were changed, administer or release.
    """
    if Role.ADMINISTRATOR in roles:
        _tell(change, about.email, [about.email])
    elif not RELEASING.isdisjoint(roles):
        _tell(Change.RELEASING, about.email, [about.email])


def tell_of_provider(name: str) -> None:
    """Tell all active administrators by whom accounts can sign in from now on."""
    _tell(Change.PROVIDER, name, [])


def tell_of(change: Change, about: Sequence[str]) -> None:
    """Tell all active administrators what was changed, in the caller's transaction; nothing of nothing."""
    if about:
        # What a certificate calls itself makes no lines of its own in the mail.
        shown = ["".join(each if each.isprintable() else " " for each in one) for one in about[:MAX_NAMED]]
        named = ", ".join(one[:MAX_NAMED_CHARS] for one in shown)
        _tell(change, named if len(about) <= MAX_NAMED else f"{named}, … (+{len(about) - MAX_NAMED})", [])


def _tell(change: Change, about: str, others: Sequence[str]) -> None:
    who = current()
    rows = Account.objects.filter(is_active=True).order_by("pk").values_list("email", "language", "roles")
    found = {email: language for email, language, roles in rows if Role.ADMINISTRATOR in roles}
    readers = dict.fromkeys(others, "") | dict(list(found.items())[:MAX_READERS])
    facts = {CHANGE: change.value, ABOUT: about, BY: who.actor.name, WAY: who.way.value, PLACE: who.place}
    for reader, language in readers.items():
        jobs.enqueue(ALERT, {READER: reader, LANGUAGE: language, **facts}, dedupe=str(uuid7()), node=ANY_NODE)


def of(job: Job) -> Alert:
    """What a job is to tell."""
    facts = {name: str(job.payload.get(name, "")) for name in (READER, ABOUT, BY, WAY, PLACE, LANGUAGE)}
    return Alert(
        facts[READER],
        Change(job.payload[CHANGE]),
        facts[ABOUT],
        facts[BY],
        facts[WAY],
        facts[PLACE],
        facts[LANGUAGE],
    )
