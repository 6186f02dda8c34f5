"""A held mail on its way once more: as policy says today, without what somebody has approved (docs/quarantine.md).

Killed before the next hop's 250, it is tried again; killed between that and the commit, it is sent again; else once.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from mailseal.errors import PermanentError, TransientError
from mailseal.mail.address import Address
from mailseal.mail.message import Message
from mailseal.mail.reply import Reply
from mailseal.pipeline import Processed, process_mail
from mailseal.policy.held import Held
from mailseal.policy.model import Action, Fate, Outcome, Waiver
from mailseal.policy.text import render
from mailseal.ports import Hop, Relay, ToTell, Transfer
from mailseal.roles.records import direction_of
from mailseal.store import jobs, quarantine, quarantine_work
from mailseal.store.jobs import MAX_ATTEMPTS, Job
from mailseal.store.quarantine import HeldMail
from mailseal.store.quarantine_actions import Way
from mailseal.store.quarantine_details import Details
from mailseal.store.records import LogRecord
from mailseal.store.transaction import StoreUnavailable
from mailseal.wiring.gateway import Node

COMMIT_SECONDS = 180.0
"""What the lease of a release is longer than the time that any mail has, which a release has too."""
COMMIT_PAUSE_SECONDS = 0.5
_ID_OCTETS = 8

logger = logging.getLogger(__name__)


class LostReleaseError(TransientError):
    """Another worker has taken the release over meanwhile."""


class FencedRelay:
    """Implements `ports.Relay` over another: nothing is sent for a job that is another worker's now."""

    def __init__(self, relay: Relay, job: Job, lease_seconds: float) -> None:
        self._relay = relay
        self._job = job
        self._lease_seconds = lease_seconds
        self.lost = False

    def route(self, hop: Hop, address: Address) -> str:
        """As of the other."""
        return self._relay.route(hop, address)

    def send(self, transfer: Transfer) -> Sequence[Reply]:
        """As of the other; raises LostReleaseError."""
        if not jobs.fence(self._job, lease_seconds=self._lease_seconds):
            self.lost = True
            raise LostReleaseError("another worker has taken this release over")
        return self._relay.send(transfer)


class HeldAgain:
    """Implements `ports.Quarantine` for a mail that is held already: only takes note of what it would be held for."""

    def __init__(self, mail: HeldMail) -> None:
        self._mail = mail
        self.held: Held | None = None

    def hold(self, held: Held, message: Message, to_tell: ToTell | None = None) -> str:  # noqa: ARG002 -- the port's signature
        """As of the port."""
        self.held = held
        return str(self._mail.id)

    def has(self, attempt: bytes, recipient: Address) -> bool:  # noqa: ARG002 -- the port's signature
        """It shall be processed."""
        return False


def release_attempt(mail: HeldMail) -> bytes:
    """What names one release: equal when it is tried again. Mailseal's ID of the mail stays (`envelope.mail_id`)."""
    name = hashlib.sha256(b"release\0" + mail.id.bytes + mail.releases.to_bytes(4, "big")).digest()
    return mail.attempt[:_ID_OCTETS] + name[_ID_OCTETS:]


def release_held(node: Node, job: Job) -> float | None:
    """Release one; as of `handlers.Handler`."""
    mail = quarantine_work.to_release(UUID(str(job.payload["quarantine"])), int(job.payload["number"]))
    if mail is None:
        return None
    try:
        _release(node, job, mail)
    except (StoreUnavailable, LostReleaseError):
        raise
    except Exception as error:
        if job.attempts >= MAX_ATTEMPTS or isinstance(error, PermanentError):
            told = str(error) if isinstance(error, PermanentError | TransientError) else type(error).__name__
            quarantine_work.not_released(mail, told)
        raise
    return None


def _release(node: Node, job: Job, mail: HeldMail) -> None:
    lease_seconds = node.gateway.deadline_seconds + COMMIT_SECONDS
    if not jobs.fence(job, lease_seconds=lease_seconds):
        raise LostReleaseError("another worker has taken this release over")
    node.stamps.poll(time.monotonic())  # the key or pattern may have been changed a moment ago
    details = quarantine.details(mail.id, node.kek)
    relay, again = FencedRelay(node.gateway.relay, job, lease_seconds), HeldAgain(mail)
    gateway = replace(node.gateway, relay=relay, quarantine=again)
    message = Message(quarantine.octets(mail, node.kek))
    done = process_mail(details.envelope, message, gateway, release_attempt(mail), waiver=waiver_of(mail, details))
    if relay.lost:
        raise LostReleaseError("another worker has taken this release over")
    _store(node, job, mail, details, done, again.held)


def waiver_of(mail: HeldMail, details: Details) -> Waiver:
    """What somebody has approved: the findings that the mail is held for.

    Not what it is listed with as a warning: if a setting of today holds it for that, nobody has said that it may leave.
    """
    way = Way(mail.way)
    approved = frozenset(one.key for one in details.findings if one.action is Action.QUARANTINE)
    return Waiver(approved, must_encrypt=way is Way.ENCRYPTED, as_is=way is Way.AS_IS)


def _store(node: Node, job: Job, mail: HeldMail, details: Details, done: Processed, held: Held | None) -> None:
    """Commit what became of it; raises TransientError when it is to be tried again."""
    (outcome,) = done.outcomes
    record = _record(mail, details, done, outcome)
    why = _why(outcome)
    if outcome.fate in (Fate.RELAYED, Fate.KEPT):
        _commit(lambda: quarantine_work.released(mail, why, record))
        logger.info("a held mail was released")
    elif outcome.fate is Fate.HELD and held is not None:
        # With what was approved before, or the next release would be held for that.
        findings = tuple({one.key or one: one for one in (*details.findings, *held.findings)}.values())
        told = replace(held, subject=details.subject, envelope=details.envelope, findings=findings)
        quarantine_work.held_again(mail, told, record, node.kek)
        logger.info("a mail that was to be released is held again")
    elif outcome.fate is Fate.DEFERRED and job.attempts < MAX_ATTEMPTS:
        quarantine_work.deferred(mail, why, record)
        raise TransientError(why)
    else:
        quarantine_work.not_released(mail, why, record)
        logger.warning("a held mail could not be released and is held on")


def _commit(work: Callable[[], object]) -> None:
    """The next hop has the mail: whatever the database is like, this is tried for as long as the process lives."""
    while True:
        try:
            work()
        except StoreUnavailable:
            time.sleep(COMMIT_PAUSE_SECONDS)
        except Exception as error:  # noqa: BLE001 -- whatever it is: trying again would send it again
            # The text of an unexpected exception may hold a piece of the mail.
            logger.error("a mail has been released, which cannot be stored: %s", type(error).__name__)
            raise PermanentError(f"the next hop has it, which could not be stored ({type(error).__name__})") from None
        else:
            return


def _why(outcome: Outcome) -> str:
    answer = outcome.reply
    reasons = "; ".join(render(one) for one in outcome.reasons)
    return f"{outcome.fate.value}, {outcome.treatment.value}: {answer.code} {answer.enhanced} {answer.text}; {reasons}"


def _record(mail: HeldMail, details: Details, done: Processed, outcome: Outcome) -> LogRecord:
    """Another line in the log, under the ID of the mail."""
    key = outcome.recipient.key
    return LogRecord(
        message=mail.mail,
        time=datetime.now(UTC),
        sender=details.envelope.sender,
        direction=direction_of(outcome, done),
        outcome=replace(outcome, details=(*outcome.details, ("quarantine", str(mail.id)), ("released", mail.way))),
        message_id=done.message_id,
        subject=done.subject if key in done.subject_for else "",
        queue_id=details.envelope.queue_id or "",
    )
