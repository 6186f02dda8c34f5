"""What happens to held mails by itself: they expire, with a notice before, and what has ended is deleted."""

import logging
from datetime import UTC, datetime
from uuid import UUID

from mailseal.errors import TransientError
from mailseal.policy.notice_kind import NoticeKind
from mailseal.roles.held_notices import tell
from mailseal.store import jobs, quarantine, quarantine_work
from mailseal.store.clock import CLOCK
from mailseal.store.jobs import Job
from mailseal.store.quarantine import NotHeldError, State
from mailseal.wiring.gateway import Node

EXPIRE = "quarantine-expire"
AT_ONCE = 50
"""Mails of one turn; others have their turn before the next."""
AGAIN_SECONDS = 1.0
ENDS = {
    State.RELEASED: NoticeKind.RELEASED,
    State.DELETED: NoticeKind.DELETED,
    State.EXPIRED: NoticeKind.EXPIRED,
}
"""What is told of each end."""

logger = logging.getLogger(__name__)


class LostTurnError(TransientError):
    """Another worker has taken the job over meanwhile."""


def expire_held(node: Node, job: Job) -> float | None:
    """End mails whose time is over, say of others that it soon will be; as of `handlers.Handler`."""
    now = datetime.now(UTC)
    for mail in quarantine_work.abandoned(AT_ONCE):
        _fence(job)
        quarantine_work.not_released(mail, mail.error or "the release was given up")
    if not CLOCK.trusted():  # nothing is deleted for its age by a clock that has jumped
        return None
    soon = quarantine_work.to_notice(now, AT_ONCE)
    for mail in soon:
        _fence(job)
        tell(node, mail, NoticeKind.EXPIRES_SOON)
        quarantine_work.noticed(mail)
    over = quarantine_work.expired(now, AT_ONCE)
    for held in over:
        _fence(job)
        if quarantine_work.expire(held, now):
            logger.info("a held mail has expired")
    return AGAIN_SECONDS if AT_ONCE in (len(soon), len(over)) else None


def end_held(node: Node, job: Job) -> float | None:
    """Tell of an end whoever is to be told, then delete what is left; as of `handlers.Handler`."""
    held, stored = UUID(str(job.payload["quarantine"])), str(job.payload["stored"])
    try:
        mail = quarantine.find(held)
    except NotHeldError:  # purged meanwhile
        return None
    _fence(job)
    if (kind := ENDS.get(mail.state)) is not None:
        tell(node, mail, kind, mail.way if mail.state is State.RELEASED else "")
    quarantine_work.forget(held, UUID(stored) if stored else None)
    return None


def _fence(job: Job) -> None:
    if not jobs.fence(job):
        raise LostTurnError("another worker has taken this job over")
