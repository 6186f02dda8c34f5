"""The operation that says what would happen to a mail, recipient by recipient; nothing is sent or kept."""

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Router
from pydantic import Field, StrictBool

from mailseal.mail.address import Address
from mailseal.mail.envelope import Origin
from mailseal.policy.model import Action, Fate, MethodName, Treatment
from mailseal.store import console_jobs
from mailseal.store.outcomes import known_reasons
from mailseal.store.row import OWNER_CHARS
from mailseal.web.access import Area, ForbiddenError
from mailseal.web.api.authentication import needs, principal
from mailseal.web.api.body import FILE_BODY_BYTES, File
from mailseal.web.api.reasons import ReasonShown, reason_shown
from mailseal.web.api.shapes import Given, Shown
from mailseal.web.api.work import worked

router = Router()

MAX_RECIPIENTS = 50
AddressText = Annotated[str, Field(max_length=OWNER_CHARS)]


class MailGiven(Given):
    """A mail that might come in."""

    sender: AddressText = Field(description='Envelope sender; "" for the null sender.')
    recipients: list[AddressText] = Field(min_length=1, max_length=MAX_RECIPIENTS)
    origin: Origin | None = Field(None, description="Who hands it in; null: authorised if the sender is internal.")
    submission: StrictBool = Field(default=False, description="By a user who has logged in.")
    subject: str = Field("", max_length=400, description="Of the mail that is made when none is given.")
    mail: File | None = None


class FoundShown(Shown):
    """Something that DLP finds in it. The excerpt is masked."""

    name: str
    count: int
    places: list[str]
    excerpt: str
    action: Action
    delayed: bool = Field(description="It counts only if the mail would leave in clear.")


class ExplanationShown(Shown):
    """What one recipient's copy would become."""

    recipient: str
    internal: bool
    fate: Fate = Field(description="`relayed`: handed to the next hop.")
    hop: str | None
    treatment: Treatment
    method: MethodName | None
    reasons: list[ReasonShown]
    details: dict[str, str]
    findings: list[FoundShown]


class ExplainedShown(Shown):
    """What would happen to a mail."""

    origin: Origin
    sender: str
    recipients: list[ExplanationShown]


@router.post(
    "",
    response=worked(ExplainedShown),
    auth=needs(Area.SIMULATOR, body_bytes=FILE_BODY_BYTES),
    operation_id="explain",
)
def explain(request: HttpRequest, given: MailGiven) -> ExplainedShown:
    """Say what would happen to a mail and why, by the settings, keys and patterns as they are now.

    Who looks after some domains asks about mail from them, or to them alone.
    """
    _require_reach(request, given)
    arguments = {
        "sender": given.sender,
        "recipients": given.recipients,
        "origin": given.origin and given.origin.value,
        "submission": given.submission,
        "subject": given.subject,
    }
    found = console_jobs.call("explain", arguments, blob=given.mail or b"")
    explained = [_shown(one) for one in found["recipients"]]
    return ExplainedShown(origin=found["origin"], sender=found["sender"], recipients=explained)


def _require_reach(request: HttpRequest, given: MailGiven) -> None:
    """As the log shows them: mails from own domains, and of others the copies to these. Raises AddressError."""
    domains = principal(request).domains_for(Area.SIMULATOR)
    senders = {Address.parse(given.sender).domain} if given.sender else set()
    recipients = {Address.parse(one).domain for one in given.recipients}
    if domains is not None and not (senders & domains or recipients <= domains):
        raise ForbiddenError("your roles allow that for mail from your own domains, or to them alone")


def _shown(one: dict[str, Any]) -> ExplanationShown:
    told = one | {
        "reasons": [reason_shown(reason) for reason in known_reasons(one["reasons"])],
        "details": dict(one["details"]),
        "findings": [FoundShown(**found) for found in one["findings"]],
    }
    return ExplanationShown(**told)
