"""decide: what shall happen to one recipient's copy, from settings, findings and what the mail asks. Knows no keys.

The order is that of the protect path in docs/policy.md. One more finding or a stricter setting never weakens.
"""

from collections.abc import Sequence

from mailseal.policy.model import Action, Already, Asked, Decision, Finding, SignWish, Waiver
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.policy.settings import Mode, OnFailure, Settings

_MODE_REASONS = {
    Mode.NEVER: because(ReasonCode.MODE_NEVER),
    Mode.ALLOW: because(ReasonCode.MODE_ALLOW),
    Mode.FORCE: because(ReasonCode.MODE_FORCE),
    Mode.MANDATORY: because(ReasonCode.MODE_MANDATORY),
}


def decide(
    policy: Settings,
    findings: Sequence[Finding],
    asked: Asked,
    *,
    authorised: bool,
    internal_sender: bool,
    waiver: Waiver | None = None,
) -> Decision:
    """The decision under a combined policy. Only an authorised, internal sender signs, triggers and is notified.

    `findings`: those that count whatever becomes of the mail.
    """
    ours = authorised and internal_sender
    must = _demands(policy, findings, asked, waiver, ours=ours)
    skipped = None if must else _skipped(policy, asked)
    encrypt, encrypt_reasons = _encryption(policy, asked, must, skipped)
    sign, sign_reason = _signature(policy, asked, skipped, ours=ours)
    return Decision(
        try_encrypt=encrypt,
        must_encrypt=encrypt and bool(must),
        sign=sign,
        on_failure=policy.on_failure if ours else OnFailure.REFUSE,
        refuse=blocking(findings),
        reasons=(*(finding_reason(one) for one in findings), *encrypt_reasons, *sign_reason),
        already=asked.already,
        size_bytes=asked.size_bytes,
        hold=holding(findings),
    )


def blocking(findings: Sequence[Finding]) -> Reason | None:
    """The finding that forbids the mail to leave at all."""
    return _first_of(Action.BLOCK, findings)


def holding(findings: Sequence[Finding]) -> Reason | None:
    """The finding for which somebody has to look at the mail."""
    return _first_of(Action.QUARANTINE, findings)


def _first_of(action: Action, findings: Sequence[Finding]) -> Reason | None:
    return next((finding_reason(one) for one in findings if one.action is action), None)


def finding_reason(finding: Finding) -> Reason:
    """A finding as a reason: never what was found."""
    return because(ReasonCode.FINDING, name=finding.name, action=finding.action, count=finding.count)


def counted(findings: Sequence[Finding], reasons: Sequence[Reason]) -> tuple[Finding, ...]:
    """The findings that a plan with these reasons went by: no delayed ones for a copy that would not leave in clear."""
    return tuple(one for one in findings if finding_reason(one) in reasons)


def unwaived(findings: Sequence[Finding], waiver: Waiver | None) -> tuple[Finding, ...]:
    """The findings that still count: a release waives what held the mail, never what demands encryption or forbids."""
    if waiver is None:
        return tuple(findings)
    return tuple(one for one in findings if one.action is not Action.QUARANTINE or one.key not in waiver.approved)


def _demands(
    policy: Settings, findings: Sequence[Finding], asked: Asked, waiver: Waiver | None, *, ours: bool
) -> tuple[Reason, ...]:
    """Everything that demands encryption."""
    demands = [finding_reason(one) for one in findings if one.action is Action.MUST_ENCRYPT]
    if policy.mode is Mode.MANDATORY:
        demands.append(_MODE_REASONS[Mode.MANDATORY])
    if ours and asked.encrypt is not None:
        demands.append(asked.encrypt)
    if waiver is not None and waiver.must_encrypt:
        demands.append(because(ReasonCode.RELEASED_ENCRYPTED))
    return tuple(demands)


def _skipped(policy: Settings, asked: Asked) -> Reason | None:
    """Why the mail is left as it is, though nobody has protected it; never if it must be encrypted."""
    if asked.been_through:
        return because(ReasonCode.BEEN_THROUGH)
    return because(ReasonCode.CALENDAR_SKIPPED) if asked.calendar and policy.skip_calendar else None


def _encryption(
    policy: Settings, asked: Asked, must: Sequence[Reason], skipped: Reason | None
) -> tuple[bool, tuple[Reason, ...]]:
    """Whether to try, and why (findings are reasons of their own)."""
    if asked.already is Already.ENCRYPTED:
        return False, (because(ReasonCode.ALREADY_ENCRYPTED),)
    if must:
        return True, tuple(one for one in must if one.code is not ReasonCode.FINDING)
    if skipped is not None:
        return False, (skipped,)
    return policy.mode is not Mode.NEVER, (_MODE_REASONS[policy.mode],)


def _signature(
    policy: Settings, asked: Asked, skipped: Reason | None, *, ours: bool
) -> tuple[SignWish, tuple[Reason, ...]]:
    """Whether to sign when there is a key, and why not or who asked."""
    if not ours:
        return SignWish.NO, (because(ReasonCode.ORIGIN_OUTSIDE),)
    if asked.already is Already.ENCRYPTED:
        return SignWish.NO, ()  # said already
    if asked.already is Already.SIGNED:
        return SignWish.NO, (because(ReasonCode.ALREADY_SIGNED),)
    if skipped is not None and (asked.sign is None or skipped.code is ReasonCode.BEEN_THROUGH):
        return SignWish.NO, ()
    if asked.sign is not None:
        return SignWish.YES, (asked.sign,)
    if not policy.sign:
        return SignWish.NO, (because(ReasonCode.SIGNING_OFF),)
    if policy.sign_only_when_encrypting:
        return SignWish.WHEN_ENCRYPTING, ()
    return SignWish.YES, ()
