"""Changes of administrators are told to all administrators by mail: a job, made in the transaction of the change.

Whoever takes an administrator's session over cannot make another administrator unnoticed (docs/security.md).
"""

from collections.abc import Sequence
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


class Change(StrEnum):
    """What was done to an administrator's account; PROVIDER: by whom accounts can sign in."""

    MADE = "made"
    ROLES = "roles"
    ACTIVATED = "activated"
    DEACTIVATED = "deactivated"
    RESET = "reset"
    LINK = "link"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class Alert:
    """What a job tells. `reader`, `about`: email addresses of accounts; `by`: the name of who did it."""

    reader: str
    change: Change
    about: str
    by: str
    way: str
    place: str
    language: str


def tell(change: Change, about: Account) -> None:
    """Tell all active administrators and the account itself, in the caller's transaction."""
    _tell(change, about.email, [about.email])


def tell_of_provider(name: str) -> None:
    """Tell all active administrators by whom accounts can sign in from now on."""
    _tell(Change.PROVIDER, name, [])


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
