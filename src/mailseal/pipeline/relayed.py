"""Copies that went where no report of success comes from: their sender is told so (RFC 3461 §5.2.2).

In LMTP each recipient has a report of its own, committed before the replies. In SMTP `smtp_reply` makes one for all.
"""

from dataclasses import replace

from mailseal.mail.dsn import status_report
from mailseal.mail.envelope import Protocol
from mailseal.pipeline.run import Run, failure_reason
from mailseal.policy.model import Outcome
from mailseal.policy.reason import ReasonCode


def ends_without_dsn(outcome: Outcome) -> bool:
    """Whether the copy went to a next hop that does not take over the wish for a report."""
    return any(reason.code is ReasonCode.RELAYED_WITHOUT_DSN for reason in outcome.reasons)


def report_relayed(run: Run) -> None:
    """Commit the reports of a mail that came by LMTP. The copies have left: a commit that fails is only logged."""
    envelope = run.envelope
    if envelope.protocol is not Protocol.LMTP or envelope.sender is None:
        return
    for recipient in envelope.recipients:
        outcome = run.outcomes.get(recipient.address.key)
        if outcome is None or not recipient.wants_success or not ends_without_dsn(outcome):
            continue
        try:
            report = status_report(
                envelope=envelope,
                root=run.root,
                relayed=[(recipient, outcome.reply)],
                hostname=run.gateway.hostname,
                at=run.at,
            )
            run.gateway.reports.failure(run.attempt, recipient.address, envelope.sender, report, run.back)
        except Exception as error:  # noqa: BLE001 -- a 451 now would only have the copy sent again
            reasons = (*outcome.reasons, failure_reason(error))
            run.outcomes[recipient.address.key] = replace(outcome, reasons=reasons)
