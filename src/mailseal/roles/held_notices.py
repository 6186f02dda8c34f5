"""Who is told of what becomes of a held mail: its managers, its sender, and an internal recipient, as set."""

import logging
from collections.abc import Iterator

from mailseal.errors import MailsealError
from mailseal.mail.address import Address
from mailseal.mail.envelope import Origin
from mailseal.notices.facts import NoticeFacts, found_of, shown_message_id, shown_subject
from mailseal.policy.combine import combine
from mailseal.policy.notice_kind import NoticeKind, Role
from mailseal.policy.settings import Settings
from mailseal.ports import Gateway, Hop, Notice
from mailseal.store import notice_requests, quarantine
from mailseal.store.quarantine import HeldMail
from mailseal.store.quarantine_details import Details
from mailseal.store.row import utc_now
from mailseal.wiring.gateway import Node

logger = logging.getLogger(__name__)


def tell(node: Node, mail: HeldMail, kind: NoticeKind, detail: str = "") -> None:
    """Ask for the notices of a kind, once each. Never raises: what happens to the mail does not wait for them."""
    notices = node.gateway.notices
    if notices is None:
        return
    try:
        details = quarantine.details(mail.id, node.kek)
        for notice in notices_of(node.gateway, mail, details, kind, detail):
            notices.request(notice)
    except Exception as error:  # noqa: BLE001 -- one mail that cannot be told of would keep the end of all others back
        why = error if isinstance(error, MailsealError) else type(error).__name__
        logger.error("nobody could be told that a held mail is %s: %s", kind, why)


def notices_of(gateway: Gateway, mail: HeldMail, details: Details, kind: NoticeKind, detail: str) -> Iterator[Notice]:
    """A notice to each reader; raises TransientError."""
    envelope = details.envelope
    (recipient,) = (one.address for one in envelope.recipients)
    sender = gateway.directory.party(envelope.sender)
    receiver = gateway.directory.party(recipient)
    policy = combine(sender.settings, receiver.settings)
    allowed = policy.notice_subject
    facts = NoticeFacts(
        at=utc_now(),
        mail=mail.mail,
        message_id=shown_message_id(mail.message_id, details.findings),
        subject=shown_subject(details.subject, details.findings, allowed=allowed),
        found=found_of(details.findings),
        reasons=mail.reasons,
        quarantine=str(mail.id),
        expires=mail.expires if kind is NoticeKind.EXPIRES_SOON else None,
        detail=detail,
    )
    hop = Hop.NEIGHBOUR if envelope.origin is Origin.NEIGHBOUR else None
    ours = envelope.sender if sender.internal and _vouched_for(mail, envelope.sender, envelope.origin) else None
    for reader, role in _readers(gateway, kind, policy, ours, recipient if receiver.internal else None):
        yield Notice(kind, mail.attempt, recipient, reader, role, envelope.sender, facts, hop)


def _vouched_for(mail: HeldMail, sender: Address | None, origin: Origin) -> bool:
    """Whether the sender is who it says. Mail of a neighbour has that in its header: who was told of it before."""
    if sender is None or origin is Origin.OUTSIDE:
        return False
    return origin is Origin.AUTHORISED or notice_requests.was_told(mail.attempt, sender)


def _readers(
    gateway: Gateway, kind: NoticeKind, policy: Settings, sender: Address | None, recipient: Address | None
) -> Iterator[tuple[Address, Role]]:
    """Each once, by the first of its roles."""
    wanted: list[tuple[Address | None, Role]] = []
    if kind in policy.notify_managers:
        managers = [Address.parse(one) for one in policy.dlp_managers]
        outside = policy.notify_outside_managers
        wanted += [(one, Role.MANAGER) for one in managers if outside or gateway.directory.party(one).internal]
    if kind in policy.notify_sender:
        wanted.append((sender, Role.SENDER))
    if kind in policy.notify_recipient:
        wanted.append((recipient, Role.RECIPIENT))
    told: set[str] = set()
    for reader, role in wanted:
        if reader is not None and reader.key not in told:
            told.add(reader.key)
            yield reader, role
