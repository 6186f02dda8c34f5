"""Operations on mail that waits in Postfix on the node that answers: why, and what to do with it (docs/queue.md)."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Path, Query, Router
from pydantic import Field, StrictBool

from mailseal.store import console_jobs
from mailseal.store.row import OWNER_CHARS
from mailseal.web.access import Area, Verb
from mailseal.web.api.authentication import needs
from mailseal.web.api.paging import ITEMS, After, Limit
from mailseal.web.api.problem import not_found, unfit
from mailseal.web.api.shapes import Given, Shown
from mailseal.web.api.work import worked

router = Router()
MAX_IDS = 1000

QueueId = Annotated[str, Path(pattern="^[0-9A-Za-z]{5,32}$", description="Postfix's queue ID.")]


class QueueName(StrEnum):
    """A queue of Postfix."""

    DEFERRED = "deferred"
    HOLD = "hold"
    ACTIVE = "active"
    INCOMING = "incoming"
    MAILDROP = "maildrop"


class QueueVerb(StrEnum):
    """What can be done. `requeue`: through Postfix's rewriting and its filter again; `try`, `flush`: deliver now."""

    HOLD = "hold"
    RELEASE = "release"
    REQUEUE = "requeue"
    DELETE = "delete"
    TRY = "try"
    FLUSH = "flush"


class QueueWanted(Given):
    """What to look for; without it anything."""

    queue: QueueName | None = None
    sender: str = Field("", max_length=OWNER_CHARS, description="An address or a domain; `<>` is the null sender.")
    recipient: str = Field("", max_length=OWNER_CHARS, description="An address or a domain.")
    reason: str = Field("", max_length=200, description="A kind of reason, or a piece of its text.")


class WaitsShown(Shown):
    """How many recipients wait for the same reason and next hop."""

    recipients: int
    mails: int
    kind: str
    why: str
    next_hop: str
    since: datetime


class WaitingRecipient(Shown):
    """A recipient who has not got the mail yet."""

    address: str
    kind: str
    why: str
    next_hop: str | None
    postfix: str | None = Field(description="Postfix's own text.")
    message: str | None = Field(description="Mailseal's ID of the mail, if it was Mailseal that has deferred it.")
    reason_codes: list[str]


class QueuedShown(Shown):
    """A mail that waits."""

    id: str
    queue: str
    arrived: datetime
    size_bytes: int
    sender: str
    expiring: bool
    recipients: list[WaitingRecipient] = Field(description="The first hundred.")
    recipient_count: int


class QueueShown(Shown):
    """The queue: how much waits for what; then the oldest mails that were asked for."""

    count: int
    queues: dict[str, int]
    summary: list[WaitsShown]
    mails: list[QueuedShown]
    unreadable: int
    note: str = Field(description="What Postfix complains of.")
    next: str | None = Field(description="For `after`, if there are more.")


class QueueFacts(Shown):
    """One mail: its envelope and the names of its header fields; `mail` is null if it is just being delivered."""

    facts: dict[str, Any]
    known_as: list[str] = Field(description="Queue IDs by which the message log may know it.")
    mail: QueuedShown | None


class QueueChange(Given):
    """What to do, to mails by their IDs or to all."""

    verb: QueueVerb
    ids: list[Annotated[str, Field(pattern="^[0-9A-Za-z]{5,32}$")]] = Field([], max_length=MAX_IDS)
    all: StrictBool = Field(default=False, description="For hold and release. flush is for all anyway.")


class QueueChanged(Shown):
    """What was done."""

    count: int
    ids: list[str]
    kept: list[str] = Field(
        description="Left alone: Postfix would hand them to another filter than they came from, maybe past Mailseal."
    )
    note: str


@router.get("", response=worked(QueueShown), auth=needs(Area.QUEUE), operation_id="list_queue")
def list_queue(
    request: HttpRequest, wanted: Annotated[QueueWanted, Query()], after: After = "", limit: Limit = ITEMS
) -> QueueShown:
    """What waits: how much for which reason, then the oldest mails and why each recipient waits."""
    filters = wanted.model_dump(mode="json") | {"queue": wanted.queue.value if wanted.queue else ""}
    return QueueShown(**console_jobs.call("queue-list", filters | {"after": after, "limit": limit}))


@router.post(
    "/changes", response=worked(QueueChanged), auth=needs(Area.QUEUE, Verb.CHANGE), operation_id="change_queue"
)
def change_queue(request: HttpRequest, given: QueueChange) -> QueueChanged:
    """Hold, release, requeue, delete or try mails. Nobody is told of one that is deleted, the sender least of all."""
    if not given.ids and not given.all and given.verb is not QueueVerb.FLUSH:
        raise unfit("name mails by their queue IDs, or all", place="body.ids")
    return QueueChanged(**console_jobs.call("queue-change", given.model_dump(mode="json")))


@router.get("/{queue_id}", response=worked(QueueFacts), auth=needs(Area.QUEUE), operation_id="get_queued_mail")
def get_queued_mail(request: HttpRequest, queue_id: QueueId) -> QueueFacts:
    """One mail. What became of it in Mailseal is at `/log?queue_id=`."""
    found = console_jobs.call("queue-show", {"id": queue_id})
    if found is None:
        raise not_found("mail in the queue (any more)")
    return QueueFacts(**found)
