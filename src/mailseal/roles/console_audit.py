"""What the worker does for the audit's page: it alone can tell which key has signed."""

from collections.abc import Mapping

from mailseal.store import audit_signing, audit_verify
from mailseal.store.acting import Acting
from mailseal.store.console_jobs import Json
from mailseal.wiring.gateway import Node

NEWEST = 100_000
"""Of a chain, some seconds: who waits sits before a page. `mailseal audit verify` walks through all."""


def verify(node: Node, arguments: Mapping[str, Json], blob: bytes, who: Acting) -> Json:  # noqa: ARG001 -- an Action's signature
    """Walk through the newest part of every chain; what `audit_verify.facts_of` says."""
    return audit_verify.facts_of(audit_verify.verify(audit_signing.genuine_keys(node.kek), newest=NEWEST))
