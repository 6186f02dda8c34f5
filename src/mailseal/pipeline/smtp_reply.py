"""One reply for all recipients, as plain SMTP has it (RFC 5321 §4.5.3.1.8, §6.1; RFC 3464 for the report)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mailseal.mail import reply
from mailseal.mail.dsn import status_report
from mailseal.mail.envelope import Envelope
from mailseal.mail.message import Message
from mailseal.mail.mime import parse
from mailseal.mail.reply import Reply
from mailseal.pipeline.relayed import ends_without_dsn
from mailseal.policy.model import Fate, Outcome
from mailseal.policy.reason import ReasonCode
from mailseal.policy.text import render


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The reply to DATA; `report` must be committed before the reply is given, if there is one."""

    reply: Reply
    report: bytes | None = None


def conclude(
    envelope: Envelope, message: Message, outcomes: Sequence[Outcome], hostname: str, at: datetime
) -> Conclusion:
    """Any deferred: that 4xx. All refused: the first 5xx. Some refused: 250 and one report, never for a null sender.

    Nor about a recipient whom the client wants no report about (NOTIFY, RFC 3461 §4.1). The same report says which
    copies went where no report of success comes from, if one was asked for (RFC 3461 §5.2.2).
    """
    deferred = [one for one in outcomes if one.fate is Fate.DEFERRED]
    if deferred:
        return Conclusion(deferred[0].reply)
    refused = [one for one in outcomes if one.fate is Fate.REFUSED]
    if len(refused) == len(outcomes):
        return Conclusion(refused[0].reply if refused else reply.DEFERRED)
    accepted = next(one.reply for one in outcomes if one.fate is not Fate.REFUSED)
    by_key = {one.address.key: one for one in envelope.recipients}
    pairs = [(by_key[key], one) for key, one in {one.recipient.key: one for one in outcomes}.items()]
    failed = [(to, one.reply, _why(one)) for to, one in pairs if one.fate is Fate.REFUSED and to.wants_failure]
    relayed = [(to, one.reply) for to, one in pairs if to.wants_success and ends_without_dsn(one)]
    if envelope.sender is None or not (failed or relayed):
        return Conclusion(accepted)
    report = status_report(
        envelope=envelope,
        root=parse(message.raw).root,
        failed=failed,
        relayed=relayed,
        hostname=hostname,
        at=at,
    )
    return Conclusion(accepted, report)


def _why(outcome: Outcome) -> str:
    """The decisive reason; never what was found: the report may go anywhere."""
    if not outcome.reasons or outcome.reasons[-1].code is ReasonCode.FINDING:
        return ""
    return render(outcome.reasons[-1])
