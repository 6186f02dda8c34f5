"""Operations on journal addresses (`store.journaling`), and on reports that were not opened (docs/journaling.md)."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router
from ninja.responses import Status
from pydantic import Field, StrictBool

from mailseal.config.values import BadValueError
from mailseal.config.values import networks as read_networks
from mailseal.mail.address import Address
from mailseal.ports import OnUnopened
from mailseal.store import journal_failures, journaling
from mailseal.store.journal_failures import Failure
from mailseal.store.journaling import JournalInfo
from mailseal.store.row import OWNER_CHARS
from mailseal.web.access import Area, Verb
from mailseal.web.api import etag
from mailseal.web.api.authentication import needs
from mailseal.web.api.paging import ITEMS, After, Limit, Page, after_id, page
from mailseal.web.api.problem import not_found, unfit
from mailseal.web.api.reasons import ReasonShown, reason_shown
from mailseal.web.api.shapes import Given, Shown

router = Router()
_SEE, _CHANGE = needs(Area.ROUTES), needs(Area.ROUTES, Verb.CHANGE)
MAX_IDS = 1000


class JournalShown(Shown):
    """An address that journal reports are sent to."""

    address: str
    archive: str = Field(description="Who gets the opened reports, and nobody else does.")
    on_failure: OnUnopened
    networks: list[str] = Field(description="Clients that are believed besides the authorised class.")
    outside: bool = Field(description="The archive may be an address that is not internal.")
    kept: int = Field(description="Reports that wait here.")
    passed_on: int = Field(description="Reports that went on unopened.")
    created: datetime


class JournalGiven(Given):
    """How it is done. Whoever can send from the networks can have captured mail decrypted into the archive."""

    archive: str = Field(min_length=3, max_length=OWNER_CHARS)
    on_failure: OnUnopened = OnUnopened.FORWARD
    networks: list[str] = Field([], max_length=100)
    outside: StrictBool = False


class FailureShown(Shown):
    """A report that was not opened. `kept`: here; else it went on as it came, or has been sent on since (`ended`)."""

    id: str
    time: datetime
    journal: str
    sender: str
    message_id: str
    kept: bool
    size_bytes: int
    tries: int
    reasons: list[ReasonShown]
    error: str
    ended: datetime | None


class RetryGiven(Given):
    """Which reports the worker shall try again."""

    ids: list[UUID] = Field([], max_length=MAX_IDS)
    all: StrictBool = False
    as_it_came: StrictBool = Field(
        default=False, description="Do not open them: send them to the archive as they came."
    )


class RetriedShown(Shown):
    """How many are to be tried; those that wait for it already are not counted."""

    to_be_tried: int


@router.get("", response=Page[JournalShown], auth=_SEE, operation_id="list_journals")
def list_journals(request: HttpRequest, after: After = "", limit: Limit = ITEMS) -> Page[JournalShown]:
    """Journal addresses."""
    rows = [one for one in journaling.list_journals() if one.journal.address.key > after]
    return page(rows, limit, show=_shown, key=lambda one: one.journal.address.key)


@router.get("/failures", response=Page[FailureShown], auth=_SEE, operation_id="list_journal_failures")
def list_journal_failures(
    request: HttpRequest,
    journal: Annotated[str, Query(max_length=OWNER_CHARS, description="Only those to one address.")] = "",
    kept: Annotated[bool | None, Query(description="Only those that are kept here, or not.")] = None,
    after: After = "",
    limit: Limit = ITEMS,
) -> Page[FailureShown]:
    """Reports that were not opened and not sent on yet, the newest first."""
    address = Address.parse(journal) if journal else None
    rows = journal_failures.list_failures(journal=address, kept=kept, before=after_id(after), limit=limit + 1)
    return page(rows, limit, show=_failure, key=lambda one: one.id)


@router.post("/failures/retry", response=RetriedShown, auth=_CHANGE, operation_id="retry_journal_failures")
def retry_journal_failures(request: HttpRequest, given: RetryGiven) -> RetriedShown:
    """Have kept reports tried again, when a key has been imported for example."""
    if given.all is bool(given.ids):
        raise unfit("give IDs, or all", place="body.ids")
    kept = journal_failures.kept() if given.all else given.ids
    for one in () if given.all else kept:
        found = journal_failures.find(one)
        if found is None or found.kept is None:
            raise not_found("kept report")
    return RetriedShown(to_be_tried=journal_failures.retry(kept, as_it_came=given.as_it_came))


@router.get("/failures/{failure}", response=FailureShown, auth=_SEE, operation_id="get_journal_failure")
def get_journal_failure(request: HttpRequest, failure: UUID) -> FailureShown:
    """One of them."""
    found = journal_failures.find(failure)
    if found is None:
        raise not_found("report")
    return _failure(found)


@router.get("/{path:address}", response=JournalShown, auth=_SEE, operation_id="get_journal")
def get_journal(request: HttpRequest, address: str) -> JournalShown:
    """One journal address."""
    return _find(Address.parse(address))


@router.put("/{path:address}", response=JournalShown, auth=_CHANGE, operation_id="put_journal")
def put_journal(request: HttpRequest, address: str, given: JournalGiven) -> JournalShown:
    """Take journal reports at an address, or change how it is done."""
    journal, archive = Address.parse(address), Address.parse(given.archive)
    try:
        clients = read_networks(given.networks)
    except BadValueError as error:
        raise unfit(f"networks {error}", place="body.networks") from None
    etag.change(
        request,
        lambda: _find(journal),
        lambda: journaling.add(journal, archive, on_unopened=given.on_failure, networks=clients, outside=given.outside),
    )
    return _find(journal)


@router.delete("/{path:address}", response={204: None}, auth=_CHANGE, operation_id="delete_journal")
def delete_journal(request: HttpRequest, address: str) -> Status[None]:
    """Make it an address like any other. Not while reports to it are kept."""
    journal = Address.parse(address)
    if not etag.change(request, lambda: _find(journal), lambda: journaling.remove(journal)):
        raise not_found("journal address")
    return Status(204, None)


def _find(address: Address) -> JournalShown:
    for one in journaling.list_journals():
        if one.journal.address == address:
            return _shown(one)
    raise not_found("journal address")


def _shown(one: JournalInfo) -> JournalShown:
    journal = one.journal
    return JournalShown(
        address=str(journal.address),
        archive=str(journal.archive),
        on_failure=journal.on_unopened,
        networks=[str(network) for network in journal.networks],
        outside=journal.outside,
        kept=one.kept,
        passed_on=one.passed,
        created=one.created,
    )


def _failure(one: Failure) -> FailureShown:
    return FailureShown(
        id=str(one.id),
        time=one.created,
        journal=one.journal,
        sender=one.sender,
        message_id=one.message_id,
        kept=one.kept is not None,
        size_bytes=one.size_bytes,
        tries=one.tries,
        reasons=[reason_shown(reason) for reason in one.reasons],
        error=one.error,
        ended=one.ended,
    )
