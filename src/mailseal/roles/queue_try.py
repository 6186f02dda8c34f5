"""The job that has mails tried for which something has come that they waited for."""

import logging

from mailseal.errors import MailsealError
from mailseal.mail.queue_id import is_queue_id
from mailseal.roles.queue_client import queue_client
from mailseal.store import lookup_waits
from mailseal.store.configure import this_node
from mailseal.store.jobs import Job
from mailseal.wiring.gateway import Node

logger = logging.getLogger(__name__)


def try_waiting(node: Node, job: Job) -> float | None:
    """Ask the Postfix of this node. If it cannot be asked nothing is lost: the mails wait for its own back-off."""
    if job.payload[lookup_waits.NODE] != this_node():
        return None  # taken over from a node that is dead, and its queue with it
    ids = [one for one in job.payload[lookup_waits.IDS] if is_queue_id(one)]
    try:
        queue_client(node.config).try_now(ids)
    except MailsealError as error:
        logger.warning("%d mails wait until Postfix tries them by itself: %s", len(ids), error)
    else:
        logger.info("Postfix was asked to try %d mails that waited for a search", len(ids))
    return None
