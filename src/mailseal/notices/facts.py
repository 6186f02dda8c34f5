"""What a notice may say of a mail: names, counts, IDs and times. Never what was found, and nothing of the content."""

from dataclasses import dataclass
from datetime import datetime

from mailseal.policy.model import MAX_PLACES, Action, Finding
from mailseal.policy.notice_kind import NoticeKind, Role
from mailseal.policy.reason import Reason

SUBJECT = "subject"
MESSAGE_ID = "header message-id"
"""The places of a finding in the subject, and in that field (`policy.inspection.Passage`)."""


@dataclass(frozen=True, slots=True)
class Found:
    """A pattern that was found, by its name, and how often."""

    name: str
    count: int
    action: Action


@dataclass(frozen=True, slots=True)
class NoticeFacts:
    """Of one recipient's copy; what is not known is empty. `at`: aware UTC.

    `mail`: Mailseal's ID of the mail. `subject`: "" unless it may be shown (`shown_subject`). `quarantine`: the ID
    under which the copy is held, until `expires`. `detail`: the method that encrypted it, or the way of its release.
    """

    at: datetime
    mail: str = ""
    message_id: str = ""
    subject: str = ""
    found: tuple[Found, ...] = ()
    reasons: tuple[Reason, ...] = ()
    quarantine: str = ""
    expires: datetime | None = None
    detail: str = ""


def found_of(findings: tuple[Finding, ...]) -> tuple[Found, ...]:
    """What is safe to say of findings."""
    return tuple(Found(one.name, one.count, one.action) for one in findings)


def shown_subject(subject: str, findings: tuple[Finding, ...], *, allowed: bool) -> str:
    """The subject if the settings allow it (`notice_subject`) and nothing was found in it."""
    return "" if in_subject(findings) or not allowed else subject


def shown_message_id(message_id: str, findings: tuple[Finding, ...]) -> str:
    """The Message-ID unless something was found in that."""
    return "" if _may_be_in(MESSAGE_ID, findings) else message_id


def in_subject(findings: tuple[Finding, ...]) -> bool:
    """Whether something was found in the subject of the mail itself, or in more places than are named."""
    return _may_be_in(SUBJECT, findings)


def _may_be_in(where: str, findings: tuple[Finding, ...]) -> bool:
    return any(
        len(one.places) >= MAX_PLACES or any(place.casefold().startswith(where) for place in one.places)
        for one in findings
    )


@dataclass(frozen=True, slots=True)
class Told:
    """One recipient's copy in a notice to one reader: what `ports.Notice` says, without the way it goes."""

    kind: NoticeKind
    role: Role
    attempt: bytes
    recipient: str
    sender: str
    facts: NoticeFacts
