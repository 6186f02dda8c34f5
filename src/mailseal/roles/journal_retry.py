"""A journal report that is kept, once more: opened if the keys are there now, and sent to its archive."""

import logging
import time
from uuid import UUID

from mailseal.errors import PermanentError, TransientError
from mailseal.mail.address import Address
from mailseal.mail.envelope import Envelope, Origin, Recipient, mail_id
from mailseal.mail.message import Octets
from mailseal.mail.mime import ParsedMessage, parse
from mailseal.mail.trace import received_field
from mailseal.pipeline.journal_path import archive_hop
from mailseal.pipeline.opened_report import NotOpenedError, open_report
from mailseal.ports import Journal, Transfer
from mailseal.store import jobs, journal_failures, stored_messages
from mailseal.store.jobs import Job
from mailseal.store.journal_failures import Failure
from mailseal.wiring.gateway import Node

SEND_SECONDS = 120.0

logger = logging.getLogger(__name__)


def retry_report(node: Node, job: Job) -> float | None:
    """Try one report; as of `handlers.Handler`."""
    failure = journal_failures.find(UUID(str(job.payload["failure"])))
    if failure is None or failure.kept is None:
        return None
    journal = None if node.gateway.journals is None else node.gateway.journals.of(Address.parse(failure.journal))
    if journal is None:
        raise PermanentError("the address that the report was sent to is no journal address any more")
    node.stamps.poll(time.monotonic())  # the key may have been imported a moment ago
    report = parse(b"".join(stored_messages.pieces(failure.kept, node.kek)))
    chunks: tuple[Octets, ...] = (report.root.buffer,)
    if not job.payload["as_it_came"]:
        try:
            chunks = _opened(node, journal, report)
        except NotOpenedError as error:
            journal_failures.stays_shut(failure.id, error.reasons)
            logger.info("a kept journal report stays shut")
            return None
    transfer = _transfer(node, failure, journal, report, chunks)
    if not jobs.fence(job):
        raise TransientError("another worker has taken this job over")
    (answer,) = node.gateway.relay.send(transfer)
    if not answer.accepted:
        said = f"the next hop answered {answer.code} {answer.text}"
        journal_failures.not_sent(failure.id, said)
        raise PermanentError(said) if answer.refused else TransientError(said)
    journal_failures.sent(failure.id)
    logger.info("a kept journal report was sent on")
    return None


def _opened(node: Node, journal: Journal, report: ParsedMessage) -> tuple[Octets, ...]:
    settings = node.gateway.directory.party(journal.archive).settings
    return open_report(report, node.gateway, settings, node.gateway.clock.now()).chunks


def _transfer(
    node: Node, failure: Failure, journal: Journal, report: ParsedMessage, chunks: tuple[Octets, ...]
) -> Transfer:
    hop = archive_hop(node.gateway, journal)
    sender = Address.parse(failure.sender) if failure.sender else None
    # Of its first way to here nothing is known any more but who sent it.
    envelope = Envelope(sender, (Recipient(journal.archive),), Origin.AUTHORISED)
    name = mail_id(bytes.fromhex(failure.attempt))
    trace = received_field(envelope, node.gateway.hostname, name, node.gateway.clock.now())
    utf8 = not bytes(report.root.header_octets).isascii()
    return Transfer(
        hop,
        sender,
        envelope.recipients,
        (trace, *chunks),
        eight_bit=True,
        smtputf8=utf8,
        ret="HDRS",
        deadline=time.monotonic() + SEND_SECONDS,
        route=node.gateway.relay.route(hop, journal.archive),
    )
