"""plan: how a decision is carried out with the keys there are. A method that cannot falls through to the next.

What must be encrypted never comes out as Clear, and nothing does while keys are awaited.
"""

from collections.abc import Sequence
from dataclasses import replace

from mailseal.policy.decide import blocking, finding_reason, holding
from mailseal.policy.model import (
    Able,
    Action,
    Already,
    Clear,
    Decision,
    Defer,
    Finding,
    Hold,
    MethodName,
    Notify,
    Plan,
    Protect,
    Refuse,
    Signer,
    SignWish,
)
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.policy.settings import OnFailure, Settings


def plan(
    decision: Decision,
    policy: Settings,
    able: Able,
    *,
    delayed: Sequence[Finding] = (),
    null_sender: bool,
) -> Plan:
    """The plan for one recipient. `delayed` are findings that count only if the mail would leave in clear.

    `null_sender`: there is nobody to notify. When a method fails for good while it is carried out, take it out of
    `able` with the reason and plan again.
    """
    if decision.refuse is not None:
        return Refuse(decision.refuse, decision.reasons)
    if decision.hold is not None:
        return Hold(decision.hold, decision.reasons)
    reasons = list(decision.reasons)
    if decision.try_encrypt:
        protect = _protect(decision, policy, able, reasons)
        if protect is not None:
            return protect
    if decision.must_encrypt:
        return _failed(decision, reasons, null_sender=null_sender)
    if delayed:
        stronger = with_delayed(decision, delayed)
        return plan(stronger, policy, able, null_sender=null_sender)
    return _clear(decision, policy, able, reasons)


def _protect(decision: Decision, policy: Settings, able: Able, reasons: list[Reason]) -> Protect | Defer | None:
    """By the first method that can, or that may soon; why each earlier one cannot is added to `reasons`."""
    for method in MethodName:
        against = obstacle(method, decision, policy)
        keys = able.keys.get(method)
        if against is None and keys:
            signer = None if decision.sign is SignWish.NO else _signer(method, able, reasons)
            return Protect(method, keys, signer, (*reasons, because(ReasonCode.PROTECTED_BY, method=method)))
        if against is None and method in able.awaited:
            return Defer(able.awaited[method], tuple(reasons))
        reasons.append(against or able.unable.get(method) or because(ReasonCode.NO_CERTIFICATE, method=method))
    reasons.append(because(ReasonCode.NO_USABLE_METHOD))
    return None


def _failed(decision: Decision, reasons: Sequence[Reason], *, null_sender: bool) -> Plan:
    reason = because(ReasonCode.MUST_ENCRYPT_FAILED)
    if decision.on_failure is OnFailure.QUARANTINE:
        return Hold(reason, tuple(reasons))
    if decision.on_failure is OnFailure.NOTIFY and not null_sender:
        return Notify(reason, tuple(reasons))
    return Refuse(reason, tuple(reasons))


def with_delayed(decision: Decision, delayed: Sequence[Finding]) -> Decision:
    """The decision with findings that were held back: as if they had been there from the start."""
    must = any(one.action is Action.MUST_ENCRYPT for one in delayed) and decision.already is not Already.ENCRYPTED
    return replace(
        decision,
        try_encrypt=must or decision.try_encrypt,
        must_encrypt=must or decision.must_encrypt,
        refuse=blocking(delayed),
        hold=holding(delayed),
        reasons=(*decision.reasons, *(finding_reason(one) for one in delayed)),
    )


def _clear(decision: Decision, policy: Settings, able: Able, reasons: list[Reason]) -> Clear:
    signer = None
    if decision.sign is SignWish.WHEN_ENCRYPTING:
        reasons.append(because(ReasonCode.SIGN_ONLY_WHEN_ENCRYPTING))
    elif decision.sign is SignWish.YES:
        signer = _first_signer(decision, policy, able, reasons)
    if decision.already is not Already.ENCRYPTED:
        reasons.append(because(ReasonCode.SENT_CLEAR))
    return Clear(signer, tuple(reasons))


def _first_signer(decision: Decision, policy: Settings, able: Able, reasons: list[Reason]) -> Signer | None:
    """The first method that may sign and has a key; else the reasons say why none does."""
    obstacles = {method: obstacle(method, decision, policy) for method in MethodName}
    for method, against in obstacles.items():
        if against is None and method in able.signers:
            return _signer(method, able, reasons)
    reasons.extend(one for one in obstacles.values() if one is not None and one not in reasons)
    if None in obstacles.values():
        reasons.append(able.no_signer or because(ReasonCode.NO_SIGNING_KEY))
    return None


def _signer(method: MethodName, able: Able, reasons: list[Reason]) -> Signer | None:
    fingerprint = able.signers.get(method)
    if fingerprint is None:
        reasons.append(able.no_signer or because(ReasonCode.NO_SIGNING_KEY))
        return None
    reasons.append(because(ReasonCode.SIGNED_BY, method=method, fingerprint=fingerprint))
    return Signer(method, fingerprint)


def obstacle(method: MethodName, decision: Decision, policy: Settings) -> Reason | None:
    """What the settings have against a method for this mail, whatever keys there are."""
    match method:
        case MethodName.SMIME:
            enabled, limit_bytes = policy.smime, policy.smime_max_bytes
        case MethodName.PGP:
            enabled, limit_bytes = policy.pgp, policy.pgp_max_bytes
    if not enabled:
        return because(ReasonCode.METHOD_OFF, method=method)
    if decision.size_bytes > limit_bytes:
        return because(ReasonCode.METHOD_TOO_LARGE, method=method, limit_bytes=limit_bytes)
    return None
