"""Operations on the message log: what became of each recipient's copy of each mail, and why (`store.log`)."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import AwareDatetime, Field

from mailseal.policy.model import Fate, MethodName, Treatment
from mailseal.policy.reason import ReasonCode
from mailseal.store import log
from mailseal.store.log import LogEntry, LogFilter
from mailseal.store.row import OWNER_CHARS
from mailseal.web.access import Area
from mailseal.web.api.authentication import needs, principal
from mailseal.web.api.paging import ITEMS, After, Limit, Page, after_id
from mailseal.web.api.reasons import ReasonShown, reason_shown
from mailseal.web.api.shapes import Given, Shown

router = Router()

Time = Annotated[AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC))]


class Direction(StrEnum):
    """Which way a mail goes."""

    IN = "in"
    OUT = "out"


class Wanted(Given):
    """What to look for; without it anything. Texts are compared as a whole, but for the subject."""

    sender: str | None = Field(None, max_length=OWNER_CHARS, description="An address, a domain, `<>` for none.")
    recipient: str | None = Field(None, max_length=OWNER_CHARS, description="An address or a domain.")
    party: str | None = Field(None, max_length=OWNER_CHARS, description="Sender or recipient.")
    fate: Fate | None = None
    direction: Direction | None = None
    treatment: Treatment | None = None
    method: MethodName | None = None
    reason: ReasonCode | None = None
    message: str | None = Field(None, max_length=64, description="Mailseal's own ID of a mail.")
    message_id: str | None = Field(None, max_length=OWNER_CHARS, description="The Message-ID, in its angle brackets.")
    queue_id: str | None = Field(None, max_length=64, description="The MTA's, before Mailseal or behind it.")
    subject: str | None = Field(None, max_length=OWNER_CHARS, description="A part of it, where it is logged.")
    since: Time | None = Field(None, description="From this time on.")
    until: Time | None = Field(None, description="Before this time.")


class LogShown(Shown):
    """One recipient's copy of one mail."""

    id: str
    time: datetime
    message: str = Field(description="The same for all copies of a mail.")
    message_id: str
    direction: str
    sender: str = Field(description='"" for the null sender.')
    recipient: str
    fate: str
    treatment: str
    method: str | None
    reply: str
    reasons: list[ReasonShown]
    details: dict[str, str]
    subject: str = Field(description='"" unless the settings allow to log it.')
    queue_id: str
    sent_as: str


class LogPageShown(Page[LogShown]):
    """Rows of the log, the newest first."""

    back_to: datetime | None = Field(description="Older rows were not looked at yet, though the page is not full.")


@router.get("", response=LogPageShown, auth=needs(Area.LOG), operation_id="search_log")
def search_log(
    request: HttpRequest, wanted: Annotated[Wanted, Query()], after: After = "", limit: Limit = ITEMS
) -> LogPageShown:
    """Search the log, the newest first. A page may be short, or empty, and have a next one: then it took too long."""
    given = wanted.model_dump() | {"domains": principal(request).domains_for(Area.LOG)}
    found = log.page(LogFilter(**given), before=after_id(after), limit=limit)
    more = None if found.next is None else str(found.next)
    return LogPageShown(items=[_shown(one) for one in found.entries], next=more, back_to=found.back_to)


def _shown(one: LogEntry) -> LogShown:
    return LogShown(
        id=str(one.id),
        time=one.time,
        message=one.message,
        message_id=one.message_id,
        direction=one.direction,
        sender=one.sender,
        recipient=one.recipient,
        fate=one.fate,
        treatment=one.treatment,
        method=one.method or None,
        reply=one.reply,
        reasons=[reason_shown(reason) for reason in one.reasons],
        details=dict(one.details),
        subject=one.subject,
        queue_id=one.queue_id,
        sent_as=one.sent_as,
    )
