"""A notice of each kind about a made-up mail: for previews, and to try templates with."""

from datetime import UTC, datetime, timedelta

from mailseal.notices.catalogue import Catalogue, Language
from mailseal.notices.facts import Found, NoticeFacts, Told
from mailseal.notices.kinds import KINDS
from mailseal.notices.render import Values, summary_of, values_of
from mailseal.policy.model import Action
from mailseal.policy.notice_kind import NoticeKind, Role
from mailseal.policy.reason import ReasonCode, because

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
READER = "anna@example.com"
GATEWAY = "gateway.example.com"

_HELD = "019cadd8-7c40-7000-8000-00000000000{}"
_ENDS = (NoticeKind.RELEASED, NoticeKind.DELETED, NoticeKind.EXPIRED)
_FOUND = (Found("Credit card numbers", 3, Action.QUARANTINE), Found("IBAN", 1, Action.WARN))


def sample(kind: NoticeKind, role: Role = Role.SENDER) -> tuple[Told, ...]:
    """About two recipients of one mail; everything that a notice of this kind can say."""
    known = KINDS[kind].known
    held = "held" in known
    reasons = (because(ReasonCode.NO_CERTIFICATE, address="bob@partner.example"), because(ReasonCode.NO_PGP_KEY))
    return tuple(
        Told(
            kind=kind,
            role=role,
            attempt=b"sample",
            recipient=recipient,
            sender=READER,
            facts=NoticeFacts(
                at=AT,
                mail="0123456789abcdef",
                message_id="<20260302.1@example.com>",
                subject="Figures of the first quarter",
                found=_FOUND if "found" in known else (),
                reasons=reasons if "reasons" in known else (),
                quarantine=_HELD.format(number) if held else "",
                expires=AT + timedelta(days=30) if held and kind not in _ENDS else None,
                detail={NoticeKind.ENCRYPTED: "smime", NoticeKind.RELEASED: "policy"}.get(kind, ""),
            ),
        )
        for number, recipient in enumerate(("bob@partner.example", "carol@partner.example"), 1)
    )


def values(kind: NoticeKind, role: Role, reader: str, known: Catalogue, language: Language) -> Values:
    """The values of all variables of a kind; a summary stands for three notices."""
    if kind is NoticeKind.SUMMARY:
        return summary_of([sample(NoticeKind.DLP_QUARANTINE, role)] * 3, reader, GATEWAY, known, language)
    return values_of(sample(kind, role), reader, GATEWAY, known, language)
