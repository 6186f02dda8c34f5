"""Holding a copy: its mail is in the quarantine, committed, before anybody is told 250."""

from collections.abc import Sequence
from dataclasses import replace

from mailseal.errors import TransientError
from mailseal.mail import reply
from mailseal.mail.header import decoded_subject
from mailseal.notices.facts import shown_message_id, shown_subject
from mailseal.pipeline.run import Run, ending_with, failure_reason
from mailseal.pipeline.telling import to_tell_of_held
from mailseal.policy.decide import counted
from mailseal.policy.held import Held, WhyHeld
from mailseal.policy.model import Fate, Finding, Hold
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.policy.settings import Settings


class NoQuarantineError(TransientError):
    """There is no quarantine here, so the client keeps the mail."""


def held_before(run: Run, index: int) -> bool:
    """Whether an earlier attempt has held the copy, though its client has not heard; then that is its outcome.

    What is held goes on from there, so it must not go on from here as well, whatever policy says by now. Raises
    TransientError.
    """
    quarantine = run.gateway.quarantine
    if quarantine is None or not quarantine.has(run.attempt, run.address(index)):
        return False
    run.settle(index, Fate.HELD, reply.HELD, [because(ReasonCode.HELD_BEFORE)])
    return True


def hold(run: Run, index: int, plan: Hold, policy: Settings, findings: Sequence[Finding]) -> None:
    """Hold the copy of the recipient at an index, or defer it. Never raises: the others' copies go on."""
    reasons = ending_with(plan.reasons, plan.reason)
    if plan.reason.code is ReasonCode.MUST_ENCRYPT_FAILED and run.fault is not None:
        reasons = (*reasons, because(ReasonCode.AMBIGUOUS))
    if run.out_of_time():
        run.defer(index, because(ReasonCode.OUT_OF_TIME), reply.OUT_OF_TIME, reasons)
        return
    try:
        quarantine = _hold(run, index, reasons, policy, findings)
    except BaseException as error:  # noqa: BLE001 -- one recipient's failure, or panic, must not touch the others
        run.defer(index, failure_reason(error), reply.STORE_UNAVAILABLE, reasons)
        return
    if quarantine:  # what only explains holds nothing
        reasons = (*reasons, because(ReasonCode.HELD, quarantine=quarantine))
    run.settle(index, Fate.HELD, reply.HELD, reasons)


def _hold(run: Run, index: int, reasons: tuple[Reason, ...], policy: Settings, findings: Sequence[Finding]) -> str:
    if run.gateway.quarantine is None:
        raise NoQuarantineError("this mail is to be held, and there is no quarantine here")
    held = Held(
        run.attempt,
        replace(run.came, recipients=(run.envelope.recipients[index],)),
        shown_message_id(run.root.header("message-id") or "", tuple(findings)),
        shown_subject(decoded_subject(run.root), tuple(findings), allowed=policy.log_subject),
        _why({one.code for one in reasons}),
        reasons,
        counted(findings, reasons),
        policy.quarantine_days,
        run.at,
    )
    return run.gateway.quarantine.hold(held, run.message, to_tell_of_held(run, index, reasons))


def _why(codes: set[ReasonCode]) -> WhyHeld:
    if ReasonCode.AMBIGUOUS in codes:
        return WhyHeld.AMBIGUOUS
    return WhyHeld.MUST_ENCRYPT_FAILED if ReasonCode.MUST_ENCRYPT_FAILED in codes else WhyHeld.DLP
