"""What the worker does for the audit: signs the heads of its chains each minute, and says so in the log."""

import logging
from datetime import datetime

from mailseal.store import audit_signing
from mailseal.store.audit import time_text
from mailseal.store.audit_signing import Signature
from mailseal.store.jobs import Job
from mailseal.store.pace import Turn
from mailseal.wiring.gateway import Node

logger = logging.getLogger(__name__)


def sign_heads(node: Node, job: Job) -> float | None:  # noqa: ARG001 -- a Handler's signature
    """Sign what has grown; SealError (tried again) when the key does not open."""
    for signed in audit_signing.sign_heads(node.kek):
        logger.info("%s", line_of(signed))
    return None


def line_of(signed: Signature) -> str:
    """As `audit_verify.heads_in` finds it again."""
    return (
        f"audit head {signed.number} of {signed.node} is {signed.digest} at {time_text(signed.time)}, "
        f"signed {signed.signature} by key {signed.key}"
    )


def purge(node: Node, before: datetime, turn: Turn) -> None:
    """Delete what has been kept long enough; SealError, StoreUnavailable."""
    deleted = audit_signing.purge(before, node.kek, turn)
    if deleted:
        logger.info("%d events of the audit were deleted for their age", deleted)
