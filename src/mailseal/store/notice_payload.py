"""What is sealed of a notice that is to be sent: whom it is about, and the facts that it may tell."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from mailseal.keys.sealing import BrokenSealError
from mailseal.mail.address import Address, AddressError
from mailseal.notices.facts import Found, NoticeFacts
from mailseal.policy.model import Action
from mailseal.policy.notice_kind import NoticeKind, Role
from mailseal.ports import Hop, Notice
from mailseal.store.outcomes import known_reasons, reasons_to_json

Json = dict[str, Any]


def identity(notice: UUID) -> bytes:
    """What a sealed notice is bound to."""
    return b"store_notice:" + notice.bytes


def to_octets(notice: Notice) -> bytes:
    """As it is sealed."""
    facts = notice.facts
    value = {
        "kind": notice.kind.value,
        "attempt": notice.attempt.hex(),
        "about": str(notice.about),
        "reader": str(notice.reader),
        "role": notice.role.value,
        "sender": None if notice.sender is None else str(notice.sender),
        "hop": notice.hop,
        "facts": {
            "at": facts.at.isoformat(),
            "mail": facts.mail,
            "message_id": facts.message_id,
            "subject": facts.subject,
            "found": [[one.name, one.count, one.action.value] for one in facts.found],
            "reasons": reasons_to_json(facts.reasons),
            "quarantine": facts.quarantine,
            "expires": None if facts.expires is None else facts.expires.isoformat(),
            "detail": facts.detail,
        },
    }
    return json.dumps(value).encode()


def from_octets(octets: bytes) -> Notice:
    """The notice again; raises BrokenSealError for one of another release."""
    try:
        value = json.loads(octets)
        return Notice(
            kind=NoticeKind(value["kind"]),
            attempt=bytes.fromhex(value["attempt"]),
            about=Address.parse(value["about"]),
            reader=Address.parse(value["reader"]),
            role=Role(value["role"]),
            sender=None if value["sender"] is None else Address.parse(value["sender"]),
            facts=_facts(value["facts"]),
            hop=Hop(value["hop"]) if value["hop"] else None,
        )
    except (ValueError, LookupError, TypeError, AddressError) as error:
        raise BrokenSealError(f"what is known of a notice cannot be read ({type(error).__name__})") from None


def _facts(value: Mapping[str, Any]) -> NoticeFacts:
    expires = value["expires"]
    return NoticeFacts(
        at=datetime.fromisoformat(value["at"]),
        mail=value["mail"],
        message_id=value["message_id"],
        subject=value["subject"],
        found=tuple(Found(name, int(count), Action(action)) for name, count, action in value["found"]),
        reasons=known_reasons(value["reasons"]),
        quarantine=value["quarantine"],
        expires=None if expires is None else datetime.fromisoformat(expires),
        detail=value["detail"],
    )
