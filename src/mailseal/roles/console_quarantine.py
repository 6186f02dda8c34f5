"""Held mails for the console: the safe view of one, which takes the KEK and parses what a stranger wrote."""

from collections.abc import Mapping
from uuid import UUID

from mailseal.pipeline.safe_view import SafeView, view_of
from mailseal.policy.model import Finding
from mailseal.roles import console_arguments as read
from mailseal.roles.console_arguments import ArgumentError
from mailseal.store import quarantine as held_mails
from mailseal.store import quarantine_actions
from mailseal.store.acting import Acting
from mailseal.store.console_jobs import Json
from mailseal.store.dlp_scanners import StorePatterns
from mailseal.store.quarantine import NotHeldError
from mailseal.store.quarantine_details import Details
from mailseal.store.quarantine_events import Action
from mailseal.wiring.gateway import Node


def view(node: Node, arguments: Mapping[str, Json], blob: bytes, who: Acting) -> Json:  # noqa: ARG001 -- an Action's signature
    """`quarantine-view` {id, domains}: what may be shown of a held mail. That somebody has looked is recorded first.

    Raises ArgumentError, NotHeldError, MimeError, SealError.
    """
    held, domains = _id(arguments), read.limited_to(arguments)
    mail = held_mails.find(held)
    if domains is not None and mail.domain not in domains:
        raise NotHeldError(f"no mail {held} is or was held")
    quarantine_actions.seen(held, who.actor, Action.SHOWN)
    details = held_mails.details(held, node.kek)
    return _json(details, view_of(details.envelope, held_mails.octets(mail, node.kek), StorePatterns()))


def _id(arguments: Mapping[str, Json]) -> UUID:
    try:
        return UUID(read.text(arguments, "id"))
    except ValueError:
        raise ArgumentError("id is the ID of a held mail") from None


def _json(details: Details, view: SafeView) -> Json:
    envelope = details.envelope
    return {
        "client": envelope.client.address,
        "origin": envelope.origin.value,
        "findings": [_finding(one) for one in details.findings],
        "header": [list(field) for field in view.headers],
        "texts": [{"place": one.place, "text": one.text} for one in view.texts],
        "attachments": [
            {"name": one.name, "type": one.media_type, "size_bytes": one.size_bytes} for one in view.attachments
        ],
        "not_read": [{"place": one.place, "reason": one.reason.value} for one in view.gaps],
        "fault": view.fault,
        "cut": view.cut,
    }


def _finding(finding: Finding) -> Json:
    return {
        "name": finding.name,
        "action": finding.action.value,
        "count": finding.count,
        "places": list(finding.places),
        "excerpt": finding.excerpt,
    }
